"""Holds: how long an item stays out of a user's lists."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.config import ProfileSettings
from stream.hashing import action_code
from stream.profiles.holds import FOREVER, held, hold_code, hold_left, hold_seconds, holds_of
from stream.profiles.layout import RowLayout
from stream.profiles.table import ProfileTable
from stream.profiles.update import find_users, learn_history

SECONDS = st.integers(1, 2**31)


@given(SECONDS)
def test_a_time_comes_back_within_a_tenth_of_a_per_cent(seconds: int) -> None:
    assert hold_seconds(hold_code(seconds)) == pytest.approx(seconds, rel=1e-3, abs=1e-3)


@given(SECONDS, SECONDS)
def test_longer_holds_have_larger_codes(one: int, other: int) -> None:
    assert (hold_code(one) <= hold_code(other)) == (one <= other) or hold_code(one) == hold_code(other)
    assert hold_code(one) < FOREVER


@given(SECONDS, SECONDS)
def test_what_is_left_of_a_hold(seconds: int, elapsed: int) -> None:
    left = hold_seconds(hold_left(hold_code(seconds), elapsed))
    assert left == pytest.approx(max(0, seconds - elapsed), rel=1e-3, abs=1e-3 * seconds)
    assert hold_left(FOREVER, elapsed) == FOREVER
    assert hold_left(0, elapsed) == 0


def test_each_action_has_its_own_window() -> None:
    action = np.array([action_code(name) for name in ("purchase", "view", "watch")], np.uint16)
    holds = holds_of(action, {"purchase": 60_000, "watch": "forever"})
    assert [float(hold_seconds(code)) for code in holds] == [pytest.approx(60, rel=1e-3), 0, np.inf]
    assert holds_of(action, {}).tolist() == [0, 0, 0]


def test_an_item_is_held_until_its_window_has_passed() -> None:
    items = np.array([[5, 6, 7, 0]], np.uint64)
    times = np.array([[100, 100, 100, 0]], np.uint32)
    holds = np.array([[hold_code(60), 0, FOREVER, FOREVER]], np.uint16)

    def at(second: int) -> list[bool]:
        return held(items, times, holds, np.array([second * 1000]))[0].tolist()

    assert at(100) == [True, False, True, False]
    assert at(159) == [True, False, True, False]
    assert at(161) == [False, False, True, False]


DONE = [
    (0, "a", "purchase"),
    (50, "a", "view"),
    (80, "a", "view"),
    (30, "a", "watch"),
    (60, "b", "view"),
    (10, "c", "watch"),
]


@given(order=st.permutations(DONE))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_hold_counts_from_its_own_event_in_whatever_order_events_come(
    make_batch: Any, order: list[tuple[int, str, str]]
) -> None:
    table = ProfileTable(RowLayout.of(ProfileSettings(), 2, 4, "test", 1))
    for second, item, name in order:
        table.begin()
        batch = make_batch(["ann"], [1_000 * (10**6 + second)], [item], actions=[action_code(name)])
        learn_history(batch, find_users(batch, table), table, {"purchase": 100_000, "watch": 60_000})
        table.commit()
    row = table.rows[:1]
    assert (row["history_time"][0, :3] - 10**6).tolist() == [80, 60, 10]

    def held_at(second: int) -> list[bool]:
        columns = (row["history_item"], row["history_time"], row["history_hold"])
        return held(*columns, np.array([1_000 * (10**6 + second)]))[0, :3].tolist()

    assert [held_at(second) for second in (69, 71, 99, 101)] == [
        [True, False, True], [True, False, False], [True, False, False], [False, False, False],
    ]  # fmt: skip
