"""What is noted of steps while a batch is walked over: windows, flags, habits, and the contexts' keys."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stream.config import ProfileSettings
from stream.hashing import hash_texts
from stream.profiles.kernels import HABIT, gap_code, gap_seconds
from stream.profiles.layout import RowLayout
from stream.profiles.table import ProfileTable
from stream.profiles.update import History, find_users, learn_history
from stream.steps import FIRST_OF_USER, RECENT, SESSION_GAP_MS, STARTS_SESSION

START = 1_700_000_000_000
MINUTE = 60_000


@pytest.fixture
def table() -> ProfileTable:
    return ProfileTable(RowLayout.of(ProfileSettings(), 2, 4, "test", 1))


def learn(table: ProfileTable, batch: Any) -> History:
    table.begin()
    history = learn_history(batch, find_users(batch, table), table)
    table.commit()
    return history


def names(history: History, step: int, *items: str) -> list[tuple[str, int]]:
    texts = dict(zip(hash_texts(items).tolist(), items, strict=True))
    pairs = zip(history.window[step].tolist(), history.lag[step].tolist(), strict=True)
    return [(texts[item], lag) for item, lag in pairs if item]


def test_the_events_of_one_user_and_time_are_a_step(table: ProfileTable, make_batch: Any) -> None:
    users, times = ["ann", "bob", "ann", "ann", "ann"], [0, 0, 0, MINUTE, MINUTE]
    history = learn(table, make_batch(users, [START + t for t in times], ["a", "b", "b", None, "c"]))
    assert history.step.tolist() == [0, 1, 0, -1, 2]
    assert history.time.tolist() == [START, START, START + MINUTE]
    assert history.flags.tolist() == [STARTS_SESSION | FIRST_OF_USER] * 2 + [0]
    assert history.gap.tolist() == [0, 0, 60]
    assert names(history, 0, "a", "b") == []
    assert sorted(names(history, 2, "a", "b")) == [("a", 1), ("b", 1)]


def test_a_window_counts_how_many_steps_ago(table: ProfileTable, make_batch: Any) -> None:
    learn(table, make_batch(["ann"] * 3, [START, START + MINUTE, START + 2 * MINUTE], ["a", "b", "a"]))
    history = learn(table, make_batch(["ann"], [START + 3 * MINUTE], ["c"]))
    assert names(history, 0, "a", "b") == [("a", 1), ("b", 2)]


def test_a_step_that_goes_on_in_the_next_batch_knows_what_was_before_it(
    table: ProfileTable, make_batch: Any
) -> None:
    learn(table, make_batch(["ann"], [START], ["a"]))
    whole = ProfileTable(table.layout)
    learn(whole, make_batch(["ann"], [START], ["a"]))
    later = START + MINUTE
    first = learn(table, make_batch(["ann"], [later], ["b"]))
    second = learn(table, make_batch(["ann"], [later], ["c"]))
    at_once = learn(whole, make_batch(["ann"] * 2, [later] * 2, ["b", "c"]))
    for part in (first, second):
        assert names(part, 0, "a", "b") == names(at_once, 0, "a", "b") == [("a", 1)]
        # What the session began with is known in each; the number of steps in it is one more by then.
        assert part.keys[0, :3].tolist() == at_once.keys[0, :3].tolist()
    assert second.flags.tolist() == [0]
    assert table.rows[0]["steps"] == whole.rows[0]["steps"] == 2
    assert table.rows[0]["basket"] == whole.rows[0]["basket"]


def test_sessions_end_with_a_pause(table: ProfileTable, make_batch: Any) -> None:
    times = [START, START + MINUTE, START + MINUTE + SESSION_GAP_MS + 1]
    history = learn(table, make_batch(["ann"] * 3, times, ["a", "b", "c"]))
    assert history.flags.tolist() == [STARTS_SESSION | FIRST_OF_USER, 0, STARTS_SESSION]
    row = table.rows[0]
    assert row["session_item"] == hash_texts(["c"])[0]
    assert row["session_steps"] == 1


def test_habits_are_decayed_sums_over_steps(table: ProfileTable, make_batch: Any) -> None:
    times = [START, START, START + MINUTE, START + MINUTE]
    learn(table, make_batch(["ann"] * 4, times, ["a", "b", "a", "c"]))
    row = table.rows[0]
    assert row["basket"] == pytest.approx(2 * HABIT + 2)
    assert row["repeats"] == pytest.approx(0.5)
    assert row["pace"] == pytest.approx(np.log1p(60))


def test_recent_actions_keep_repetitions(table: ProfileTable, make_batch: Any) -> None:
    items = ["a", "b", "a", "b", "a", "b", "c"]
    learn(
        table,
        make_batch(["ann"] * 7, [START + i * MINUTE for i in range(7)], items, actions=[1, 2, 3, 4, 5, 6, 7]),
    )
    row = table.rows[0]
    assert row["recent_item"].tolist() == hash_texts(items[::-1])[:RECENT].tolist()
    assert row["recent_action"].tolist() == [7, 6, 5, 4, 3, 2]


def test_gaps_between_touches_of_an_item(table: ProfileTable, make_batch: Any) -> None:
    learn(table, make_batch(["ann"] * 3, [START, START + MINUTE, START + 61 * MINUTE], ["a", "b", "a"]))
    gaps = dict(
        zip(table.rows[0]["history_item"].tolist(), table.rows[0]["history_gap"].tolist(), strict=True)
    )
    a, b = hash_texts(["a", "b"]).tolist()
    assert gaps[b] == 0
    assert gap_seconds(gaps[a]) == pytest.approx(3_660, rel=0.06)


@pytest.mark.parametrize("seconds", [0, 1, 59, 3_600, 10**6, 10**9])
def test_a_gap_in_one_byte_is_near(seconds: int) -> None:
    assert gap_seconds(gap_code(seconds)) == pytest.approx(seconds, rel=0.06, abs=0.2)


def test_contexts_tell_actions_orders_and_pauses_apart(make_batch: Any) -> None:
    def keys(items: list[str], actions: list[int], wait: int = MINUTE) -> list[int]:
        table = ProfileTable(RowLayout.of(ProfileSettings(), 2, 4, "test", 1))
        n = len(items)
        learn(table, make_batch(["ann"] * n, [START + i for i in range(n)], items, actions=actions))
        return learn(table, make_batch(["ann"], [START + wait], ["next"])).keys[0].tolist()

    plain = keys(["a", "b", "c"], [1, 1, 1])
    assert plain == keys(["a", "b", "c"], [1, 1, 1])
    assert [key != 0 for key in plain] == [True] * 4 + [False] * 2 + [True] * 6
    assert len(set(plain)) == 11  # the two that are too long are 0
    action = keys(["a", "b", "c"], [1, 1, 2])
    assert (action[0], action[9:]) == (plain[0], plain[9:])
    assert not set(action[1:4]) & set(plain[1:4])
    pause = keys(["a", "b", "c"], [1, 1, 1], SESSION_GAP_MS + MINUTE)
    assert pause[10:] == plain[10:]
    assert set(pause[:9]) & set(plain[:9]) == {0}
    assert keys(["x", "b", "c"], [1, 1, 1])[:3] == plain[:3]
