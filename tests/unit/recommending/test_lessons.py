"""Whom the recommender learns from, and how users are read from their profiles."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from stream.config_lists import RecommendingSettings
from stream.hashing import HashIndex, hash_texts
from stream.profiles.kernels import HABIT, gap_code
from stream.profiles.layout import RowLayout
from stream.profiles.update import History, Touched
from stream.recommending.lessons import LESSONS_PER_BATCH, choose_lessons
from stream.recommending.readers import expected_return, item_rows, read_profiles


def touched_of(slots: list[int]) -> Touched:
    slot = np.array(slots, np.int64)
    m = len(set(slots))
    last = np.array([max(i for i, s in enumerate(slots) if s == u) for u in range(m)], np.int64)
    return Touched(np.arange(m), np.zeros(m, np.int32), slot, last)


def history_of(steps: list[int], times: list[int] | None = None) -> History:
    step = np.array(steps, np.int32)
    s = int(step.max(initial=-1)) + 1
    time = np.array(times or [0] * s, np.int64)
    none = np.zeros((s, 1), np.uint64)
    flat = np.zeros(s, np.uint8)
    return History(step >= 0, step, time, flat, flat.astype(np.float32), none, none, flat[:, None])


def index_of(*items: str) -> HashIndex:
    index = HashIndex()
    index.insert(hash_texts(items))
    return index


def test_lessons_are_what_each_user_took_first_that_counts(make_batch: Any) -> None:
    users, items = list("babbacab"), ["i1", "i2", "unknown", "i1", "i0", "i1", "i3", "i2"]
    batch = make_batch(users, [0] * 8, items, weights=[1, 1, 1, 1, 1, -1, 1, 1])
    history = history_of([0, 1, 0, 0, 1, 2, 3, 4], times=[50, 70, 80, 90, 95])
    touched = touched_of([0, 1, 0, 0, 1, 2, 1, 0])
    lessons = choose_lessons(batch, touched, history, index_of("i0", "i1", "i2", "i3"))
    assert lessons.users.tolist() == [0, 1]
    assert lessons.time.tolist() == [50, 70]
    took = [lessons.target[a:b].tolist() for a, b in pairwise(lessons.bounds.tolist())]
    assert took == [[1], [0, 2]]


def test_no_lessons_of_nothing(make_batch: Any) -> None:
    batch = make_batch(["a"], [0], [None])
    lessons = choose_lessons(batch, touched_of([0]), history_of([-1]), HashIndex())
    assert (len(lessons.users), lessons.bounds.tolist()) == (0, [0])


@pytest.mark.parametrize("offset", [0, 7_000])
def test_of_many_users_some_are_drawn_and_other_batches_draw_others(make_batch: Any, offset: int) -> None:
    n = 5 * LESSONS_PER_BATCH
    touched, history = touched_of(list(range(n))), history_of(list(range(n)))

    def users(first_offset: int) -> list[int]:
        batch = make_batch([f"u{i}" for i in range(n)], [0] * n, ["i0"] * n, first_offset=first_offset)
        lessons = choose_lessons(batch, touched, history, index_of("i0"))
        assert lessons.bounds.tolist() == list(range(LESSONS_PER_BATCH + 1))
        drawn: list[int] = lessons.users.tolist()
        return drawn

    one = users(offset)
    assert len(set(one)) == LESSONS_PER_BATCH
    assert users(offset + n) != one


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_a_reader_is_what_the_profile_says_by_now(exclude_seen: bool) -> None:
    layout = RowLayout(dimensions=2, history=5, event_ids=1, list_length=1, encoder=1, generation=1)
    rows = layout.blank(np.ones(2, np.uint64))
    rows["history_item"][0, :4] = hash_texts(["a", "b", "c", "d"])
    rows["history_weight"][0, :4] = [10, -10, 20, 30]
    rows["history_time"][0, :4] = [900, 900, 800, 700]
    rows["history_gap"][0, 2] = gap_code(100)
    rows["step_time"][0], rows["steps"][0] = 900_000, 3
    settings = RecommendingSettings(exclude_seen=exclude_seen)
    index, cluster = index_of("d", "c", "b", "a"), np.array([4, -1])
    now = np.array([1_000_000, 1_000_000])
    readers = read_profiles(rows, cluster, np.zeros((2, 1), np.float32), index, settings, now)
    assert readers.own.tolist() == [[3, -1, 1, 0, -1], [-1] * 5]
    assert readers.lag[0, :4].tolist() == [1, 1, 2, 3]
    assert readers.idle[0, :4].tolist() == [100, 100, 200, 300]
    assert readers.usual[0, :2].tolist() == [-1, -1]
    assert readers.usual[0, 2] == pytest.approx(100, rel=0.06)
    assert readers.seen[0].tolist() == ([3, 2, 1, 0, -1] if exclude_seen else [])
    assert readers.length.tolist() == [4, 0]
    assert readers.silence.tolist() == [100, -1]


def test_users_are_expected_back_after_their_own_time() -> None:
    layout = RowLayout(dimensions=2, history=5, event_ids=1, list_length=1, encoder=1, generation=1)
    rows = layout.blank(np.ones(2, np.uint64))
    rows["step_time"], rows["steps"] = 5_000, [1, 60]
    rows["pace"] = [0, np.log1p(3_600) / (1 - HABIT)]
    habits = np.array([0, np.log1p(60) / 2, 0.5])
    newcomer, regular = expected_return(rows, habits).tolist()
    assert newcomer == pytest.approx(5_000 + 60_000, abs=2)
    assert 2_000_000 < regular - 5_000 < 3_600_000


def test_rows_of_items_keep_their_shape() -> None:
    rows = item_rows(hash_texts(["a", "?", None, "b"]).reshape(2, 2)[:, ::-1], index_of("a", "b"))
    assert rows.tolist() == [[-1, 0], [1, -1]]
    assert rows.dtype == np.int32
