"""Scores by slice, over time, and how widely lists reach."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from stream.evaluation.scores import Scoreboard
from stream.evaluation.slices import over_time, slices
from stream.evaluation.spread import Spread

NONE = np.zeros((1, 2), np.uint64)


def lists(*rows: list[int]) -> tuple[np.ndarray, np.ndarray]:
    made = np.array(rows, np.uint64)
    return made, made


def test_a_step_counts_where_it_belongs(make_steps: Callable[..., Any]) -> None:
    board = Scoreboard(k=2)
    asked, targets = make_steps(
        [(1, 0, [5]), (2, 10, [5, 6]), (1, 20, [7]), (3, 30, [6])],
        had=[{}, {5: 0}, {}, {}],
        earlier=[0, 3, 2, 1],
        age=[0, 60, 49, 50, 500],
    )
    fresh = lists([5, 6], [5, 1], [1, 2], [6, 5])
    live = lists([0, 0], [5, 1], [1, 2], [0, 0])
    popular = lists(*[[5, 6]] * 4)
    board.add(asked, targets, {"fresh": fresh, "live": live, "popular": popular})
    found = {name: one["fresh"]["all"] for name, one in slices(board).items()}
    assert {name: one["steps"] for name, one in found.items()} == {
        "cold_users": 3, "new_users": 1, "returning_users": 3, "cold_items": 2,
        "quarter_1": 1, "quarter_2": 1, "quarter_3": 1, "quarter_4": 1,
    }  # fmt: skip
    assert found["cold_users"]["recall@2"] == pytest.approx(2 / 3)
    assert found["cold_items"]["recall@2"] == 1 / 2  # of the second step only item 6 is one
    whole = board.scores()
    assert whole["fresh"]["new"]["steps"] == 4
    assert whole["fresh"]["new"]["recall@2"] == 2 / 4  # the second step wants only 6
    assert whole["live"]["all"]["steps"] == 2  # of those who had a list
    assert whole["live"]["popular"]["all"]["recall@2"] == 1 / 2
    assert whole["comparators"]["popular"] == whole["fresh"]["popular"]


def test_steps_that_only_teach_are_not_scored(make_steps: Callable[..., Any]) -> None:
    board, spread = Scoreboard(k=2, first=1), Spread(first=1)
    asked, targets = make_steps([(1, 0, [5]), (2, 1, [6])])
    made = {name: lists([5, 4], [6, 4]) for name in ("fresh", "live", "popular")}
    board.add(asked, targets, made)
    sources = np.array([[0, 1], [1, 1]], np.uint8)
    spread.add(asked, targets, made, (sources, sources))
    assert board.scores()["fresh"]["all"]["steps"] == 1
    assert spread.coverage(4)["fresh"]["all"] == 2 / 4
    found = spread.sources(["a", "b", "catalogue"])["all"]
    assert found["b"] == {"places": 1.0, "hits": 1.0, "precision": 0.5}
    assert found["a"] == {"places": 0.0, "hits": 0.0, "precision": 0.0}


def test_sources_of_one_name_are_one_and_new_targets_are_apart(make_steps: Callable[..., Any]) -> None:
    spread = Spread()
    asked, targets = make_steps([(1, 0, [5, 6])], had=[{5: 0}])
    every, new = np.array([[5, 6]], np.uint64), np.array([[6, 0]], np.uint64)
    sources = np.array([[0, 2]], np.uint8), np.array([[1, 0]], np.uint8)
    spread.add(asked, targets, {"fresh": (every, new)}, sources)
    found = spread.sources(["popular", "popular", "content"])
    assert found["all"]["popular"] == {"places": 0.5, "hits": 0.5, "precision": 1.0}
    assert found["new"]["popular"] == {"places": 1.0, "hits": 1.0, "precision": 1.0}
    assert found["new"]["content"]["places"] == 0  # an empty place comes from nowhere


def test_periods_are_in_order_and_add_up(make_steps: Callable[..., Any]) -> None:
    board = Scoreboard(k=2, first=10)
    for start in range(0, 100, 7):
        steps = [(n, n * 1_000, [n]) for n in range(start, min(start + 7, 100))]
        asked, targets = make_steps(steps, first=start)
        made = lists(*[[n, 0] for n, _, _ in steps])
        board.add(asked, targets, {"fresh": made, "live": made, "popular": made})
    periods = over_time(board)
    assert len(periods) == 24
    times = [period["time"] for period in periods]
    assert times == sorted(times)
    assert times[-1] == 99_000
    assert sum(period["fresh"]["all"]["steps"] for period in periods) == 90
    assert Scoreboard(2).scores()["fresh"]["all"]["steps"] == 0
    assert over_time(Scoreboard(2)) == []
