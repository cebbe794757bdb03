"""What came before a step: what is wanted, and what is new."""

from __future__ import annotations

from typing import Any

import numpy as np

from stream.evaluation.past import Asked, Past, Targets, join
from stream.hashing import hash_text


def test_an_item_is_a_target_once_a_step(make_batch: Any) -> None:
    batch = make_batch(["u", "u", "v", "u"], [1, 1, 1, 1], ["a", "b", "a", "a"])
    targets = Past().targets(batch, np.array([0, 0, 1, 0]))
    found = sorted(zip(targets.place.tolist(), targets.item.tolist(), strict=True))
    assert found == sorted([(0, hash_text("a")), (0, hash_text("b")), (1, hash_text("a"))])


def test_what_was_had_ever_is_not_new(make_batch: Any) -> None:
    past = Past()
    items = [f"i{n}" for n in range(500)]  # far more than a profile remembers
    past.learn(make_batch(["u"] * 500, range(500), items))
    again = make_batch(["u", "u", "v"], [600] * 3, ["i0", "fresh", "i0"])
    targets = past.targets(again, np.array([0, 0, 1]))
    new = dict(zip(zip(targets.place.tolist(), targets.item.tolist(), strict=True), targets.new, strict=True))
    assert not new[0, hash_text("i0")]
    assert new[0, hash_text("fresh")]
    assert new[1, hash_text("i0")]
    had, times = past.had(again.user)
    assert len(had[0]) == 500
    assert times[0].tolist() == list(range(500))
    assert len(had[2]) == 0


def test_a_cancellation_wants_nothing_and_an_impression_is_nothing(make_batch: Any) -> None:
    past = Past()
    batch = make_batch(["u"] * 3, [1, 1, 1], ["bought", "taken back", "shown"], weights=[1.0, -1.0, 0.0])
    assert past.targets(batch, np.zeros(3, np.int64)).item.tolist() == [hash_text("bought")]
    past.learn(batch)
    assert set(past.had(batch.user[:1])[0][0].tolist()) == {hash_text("bought"), hash_text("taken back")}


def test_age_is_in_events_of_the_log(make_batch: Any) -> None:
    past = Past()
    past.learn(make_batch(["u", "v", "w"], [1, 2, 3], ["a", "b", "c"]))
    targets = past.targets(make_batch(["x", "x"], [4, 4], ["a", "never"]), np.zeros(2, np.int64))
    age = dict(zip(targets.item.tolist(), targets.age.tolist(), strict=True))
    assert age == {hash_text("a"): 3, hash_text("never"): 0}


def test_joined_targets_point_at_their_own_steps() -> None:
    def part(*steps: int) -> tuple[Asked, Targets]:
        n = len(steps)
        column = np.arange(n)
        none = [np.empty(0, np.uint64)] * n
        times = [np.empty(0, np.int64)] * n
        asked = Asked(np.array(steps), column.astype(np.uint64), column, np.zeros(n, "V4"), none, times)
        return asked, Targets(column, np.array(steps, np.uint64), column > 0, column)

    asked, targets = join([part(0, 3), part(1), part(2, 4)])
    assert asked.step[targets.place].tolist() == targets.item.tolist() == [0, 3, 1, 2, 4]
