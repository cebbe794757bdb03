"""How events change profiles: against a plain reference, and in any order of arrival."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.config import ProfileSettings
from stream.events.batch import EventBatch
from stream.profiles.layout import RowLayout
from stream.profiles.table import ProfileTable
from stream.profiles.update import History, Touched, drop_duplicates, find_users, learn_history, learn_vectors

DIMENSIONS, HISTORY = 8, 4
SETTINGS = ProfileSettings(half_life_ms=1_000_000, history=HISTORY, event_ids=3)
START = 1_700_000_000_000
VECTORS = np.eye(DIMENSIONS, dtype=np.float32)[:6]
ITEMS = [None, "a", "b", "c", "d", "e", "f"]


@dataclass
class Event:
    user: str
    item: str | None
    time: int
    weight: float
    action: int = 1


EVENTS = st.lists(
    st.builds(
        Event,
        user=st.sampled_from(["ann", "bob"]),
        item=st.sampled_from(ITEMS),
        time=st.integers(0, 5_000).map(lambda s: START + 1_000 * s),
        weight=st.sampled_from([1.0, 0.6, 0.2, 0.0, -1.0]),
        action=st.integers(1, 9),
    ),
    max_size=25,
    unique_by=lambda event: event.time,
)


def new_table() -> ProfileTable:
    return ProfileTable(RowLayout.of(SETTINGS, 2, DIMENSIONS, "test", 1))


def to_batch(make_batch: Any, events: list[Event]) -> EventBatch:
    columns = ([getattr(event, name) for event in events] for name in ("user", "time", "item", "weight"))
    return make_batch(*columns, actions=[event.action for event in events])


def learn(table: ProfileTable, batch: EventBatch) -> History:
    """One commit; items are described by VECTORS, save the last one, which has none."""
    vector_row = np.array([ITEMS.index(item) - 1 if item in ITEMS[1:6] else -1 for item in batch.item_id])
    table.begin()
    touched = find_users(batch, table)
    learn_vectors(batch, touched, table, vector_row.astype(np.int64), VECTORS, SETTINGS)
    learnt = learn_history(batch, touched, table)
    table.commit()
    return learnt


def by_user(table: ProfileTable) -> dict[int, np.void]:
    return {int(row["user"]): row for row in table.rows[: len(table)]}


@given(EVENTS)
def test_vectors_are_decayed_means(make_batch: Any, events: list[Event]) -> None:
    table = new_table()
    batch = to_batch(make_batch, events)
    learn(table, batch)
    for user, row in by_user(table).items():
        mine = [event for event, u in zip(events, batch.user.tolist(), strict=True) if u == user]
        newest = max(event.time for event in mine)
        sums, mass, taste = np.zeros(DIMENSIONS), 0.0, 0.0
        for event in mine:
            if event.item in ITEMS[1:6]:
                w = event.weight * 0.5 ** ((newest - event.time) / SETTINGS.half_life_ms)
                sums += w * VECTORS[ITEMS.index(event.item) - 1]
                mass += abs(w)
                taste += w
        assert row["time"] == newest
        assert row["mass"] == pytest.approx(mass, rel=1e-5)
        assert row["taste"] == pytest.approx(taste, abs=1e-5)
        np.testing.assert_allclose(row["vector"], sums / (mass or 1), atol=6e-4)


@given(EVENTS, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(make_batch: Any, events: list[Event], random: Any) -> None:
    straight, shuffled = new_table(), new_table()
    learn(straight, to_batch(make_batch, events))
    events = random.sample(events, len(events))
    while events:
        n = random.randint(1, len(events))
        learn(shuffled, to_batch(make_batch, events[:n]))
        events = events[n:]
    expected = by_user(straight)
    assert expected.keys() == by_user(shuffled).keys()
    for user, row in by_user(shuffled).items():
        # Each batch rounds the mean to float16 once.
        np.testing.assert_allclose(row["vector"], expected[user]["vector"], atol=3e-3)
        for name in ("mass", "taste"):
            assert row[name] == pytest.approx(expected[user][name], rel=1e-4, abs=1e-5)
        for name in ("time", "events", "history_item", "history_time"):
            assert row[name].tolist() == expected[user][name].tolist(), name


@given(EVENTS, st.randoms(use_true_random=False))
def test_a_history_with_room_is_the_same_in_any_order(
    make_batch: Any, events: list[Event], random: Any
) -> None:
    events = [event for event in events if event.item in ITEMS[: HISTORY + 1]]
    one, other = new_table(), new_table()
    learn(one, to_batch(make_batch, events))
    learn(other, to_batch(make_batch, random.sample(events, len(events))))
    for user, row in by_user(other).items():
        for name in ("item", "time", "weight", "count"):
            assert row["history_" + name].tolist() == by_user(one)[user]["history_" + name].tolist()


class PlainHistory:
    """A user's items, newest first, in Python's own words: [item, s, hundredths, count]."""

    def __init__(self) -> None:
        self.entries: list[list[Any]] = []

    def take_in(self, event: Event) -> bool:
        """Whether the item is new."""
        if event.item is None:
            return False
        entry = next((e for e in self.entries if e[0] == event.item), None)
        time, weight = event.time // 1000, round(event.weight * 100)
        if entry is None:
            if len(self.entries) == HISTORY:
                if self.entries[-1][1] > time:
                    return True
                self.entries.pop()
            self._insert([event.item, time, weight, 1])
            return True
        entry[2] += weight
        entry[3] += 1
        if time >= entry[1]:
            self.entries.remove(entry)
            entry[1] = time
            self._insert(entry)
        return False

    def _insert(self, entry: list[Any]) -> None:
        at = next((i for i, other in enumerate(self.entries) if other[1] <= entry[1]), len(self.entries))
        self.entries.insert(at, entry)


# Few seconds, so that many events share one, arrive late, and drive others out.
TIGHT = st.lists(
    st.builds(
        Event,
        user=st.just("ann"),
        item=st.sampled_from(ITEMS),
        time=st.integers(0, 9).map(lambda s: START + 1_000 * s),
        weight=st.sampled_from([1.0, 0.29, -1.0]),
        action=st.integers(1, 9),
    ),
    min_size=1,
    max_size=30,
)


@given(TIGHT, st.integers(1, 30))
def test_histories_are_those_of_the_plain_reference(make_batch: Any, events: list[Event], size: int) -> None:
    table, plain = new_table(), PlainHistory()
    named = make_batch(ITEMS[1:], [0] * 6, ITEMS[1:])
    texts = dict(zip(named.item.tolist(), ITEMS[1:], strict=True))
    for start in range(0, len(events), size):
        batch = to_batch(make_batch, events[start : start + size])
        new = learn(table, batch).new
        for i, event in enumerate(events[start : start + size]):
            assert bool(new[i]) == plain.take_in(event)
    row, n = table.rows[0], len(plain.entries)
    assert not row["history_item"][n:].any()
    columns = zip(
        [texts[item] for item in row["history_item"][:n].tolist()],
        *(row["history_" + name][:n].tolist() for name in ("time", "weight", "count")),
        strict=True,
    )
    assert [list(column) for column in columns] == plain.entries


def test_an_item_taken_back_is_in_no_window_and_sums_do_not_overflow(make_batch: Any) -> None:
    table = new_table()
    learn(table, make_batch(["ann"] * 2, [START, START + 1_000], ["a", "b"], weights=[1.0, -1.0]))
    history = learn(table, make_batch(["ann"], [START + 2_000], ["c"]))
    assert np.count_nonzero(history.window) == 1
    learn(table, make_batch(["ann"] * 500, [START + 3_000] * 500, ["a"] * 500))
    assert table.rows[0]["history_weight"][0] == 32_767
    learn(table, make_batch(["ann"] * 900, [START + 3_000] * 900, ["a"] * 900, weights=[-1.0] * 900))
    assert table.rows[0]["history_weight"][0] == -32_768


def test_a_late_event_is_worth_what_it_would_be_by_now(make_batch: Any) -> None:
    table, h = new_table(), SETTINGS.half_life_ms
    learn(table, make_batch(["ann"], [START + h], ["a"]))
    learn(table, make_batch(["ann"], [START], ["b"]))
    assert table.rows[0]["time"] == START + h
    np.testing.assert_allclose(table.rows[0]["vector"][:2], [2 / 3, 1 / 3], atol=1e-3)


def test_a_dislike_turns_away_and_taste_says_so(make_batch: Any) -> None:
    table = new_table()
    learn(table, make_batch(["ann"] * 2, [START, START], ["a", "b"], weights=[0.5, -1.0]))
    assert table.rows[0]["taste"] == pytest.approx(-0.5)
    np.testing.assert_allclose(table.rows[0]["vector"][:2], [1 / 3, -2 / 3], atol=1e-3)


def test_items_without_a_vector_say_nothing_of_taste(make_batch: Any) -> None:
    table, h = new_table(), SETTINGS.half_life_ms
    learn(table, make_batch(["ann"] * 3, [START, START + 5 * h, START], ["f", "f", "a"], weights=[1, 1, -1]))
    row = table.rows[0]
    assert row["taste"] == pytest.approx(-(0.5**5))
    assert row["events"] == 3


def test_a_profile_that_has_faded_to_nothing_starts_again(make_batch: Any) -> None:
    table, h = new_table(), SETTINGS.half_life_ms
    learn(table, make_batch(["ann"], [START], ["a"]))
    learn(table, make_batch(["ann"], [START + 2_000 * h], ["f"]))
    assert table.rows[0]["mass"] == 0
    assert not table.rows[0]["vector"].any()
    learn(table, make_batch(["ann"], [START + 2_000 * h], ["b"]))
    np.testing.assert_allclose(table.rows[0]["vector"], VECTORS[1])


def test_users_are_found_in_order_with_their_last_event(make_batch: Any) -> None:
    batch = make_batch(
        ["bob", "ann", "bob", "bob", "ann"], [START] * 5, ["a"] * 5, partitions=[0, 0, 1, 0, 0]
    )
    table = new_table()
    table.begin()
    touched = find_users(batch, table)
    assert touched.slot.tolist() == [0, 1, 2, 0, 1]
    assert touched.last_event.tolist() == [3, 4, 2]
    assert touched.partition.tolist() == [0, 0, 1]
    assert touched.rows.tolist() == [0, 1, 2]


def without_duplicates(table: ProfileTable, batch: EventBatch) -> tuple[EventBatch, Touched, int]:
    table.begin()
    result = drop_duplicates(batch, find_users(batch, table), table)
    table.commit()
    return result


def test_duplicates_are_known_per_user_within_and_across_batches(make_batch: Any) -> None:
    table = new_table()
    ids = ["1", "2", "1", None, None, "1"]
    batch = make_batch(["ann"] * 5 + ["bob"], [START] * 6, ["a"] * 6, event_ids=ids)
    events, touched, dropped = without_duplicates(table, batch)
    assert (dropped, events.offset.tolist()) == (1, [0, 1, 3, 4, 5])
    assert touched.slot.tolist() == [0, 0, 0, 0, 1]
    again = make_batch(["ann", "bob"], [START] * 2, ["a"] * 2, event_ids=["2", "3"])
    events, touched, dropped = without_duplicates(table, again)
    assert (dropped, events.user_id, touched.slot.tolist()) == (1, ["bob"], [0])
    assert touched.last_event.tolist() == [0]


def test_only_the_latest_event_ids_are_remembered(make_batch: Any) -> None:
    table = new_table()
    ids = ["1", "2", "3", "4"]
    without_duplicates(table, make_batch(["ann"] * 4, [START] * 4, ["a"] * 4, event_ids=ids))
    again = make_batch(["ann"] * 4, [START] * 4, ["a"] * 4, event_ids=["2", "3", "4", "1"])
    events, _, dropped = without_duplicates(table, again)
    assert (dropped, events.offset.tolist()) == (3, [3])


@given(EVENTS)
def test_rollback_undoes_events(make_batch: Any, events: list[Event]) -> None:
    table = new_table()
    learn(table, make_batch(["ann"] * 3, [START + 5_000] * 3, ["a", "b", "c"], event_ids=["1", "2", "3"]))
    before = table.rows[: len(table)].tobytes()
    batch = to_batch(make_batch, events)
    table.begin()
    touched = find_users(batch, table)
    learn_vectors(batch, touched, table, np.zeros(len(batch), np.int64), VECTORS, SETTINGS)
    learn_history(batch, touched, table)
    table.rollback()
    assert table.rows[: len(table)].tobytes() == before
