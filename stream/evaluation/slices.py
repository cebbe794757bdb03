"""Scores of some of the steps: of cold users and items, of newcomers and regulars, and over the log's time."""

from __future__ import annotations

from typing import Any

import numpy as np

from stream.evaluation.scores import Scoreboard

COLD_USER = 2  # earlier events at most
COLD_ITEM = 50  # events of the log since an item first came, fewer than these; or it never came
QUARTERS = 4
PERIODS = 24  # of the curves: many enough to see fashions come and go, few enough to be steady


def slices(board: Scoreboard) -> dict[str, Any]:
    """Scores by who asked, for what, and when.

    In ``cold_items`` only such targets count, so a step may be in it for one item and for another not; the
    lists are the same.
    """
    earlier, age = board.column("earlier"), board.column("age")
    masks = {
        "cold_users": earlier <= COLD_USER,
        "new_users": earlier == 0,
        "returning_users": earlier > 0,
        "cold_items": age < COLD_ITEM,
    }
    quarter = period_of(board, QUARTERS)
    masks |= {f"quarter_{number + 1}": quarter == number for number in range(QUARTERS)}
    return {name: board.scores(mask) for name, mask in masks.items()}


def over_time(board: Scoreboard) -> list[dict[str, Any]]:
    """Scores of the log's periods, each of as many steps, with the ``time`` at which they end, in ms."""
    period, time = period_of(board, PERIODS), board.column("time")
    return [
        {"time": int(time[period == number].max()), **board.scores(period == number)}
        for number in np.unique(period).tolist()
    ]


def period_of(board: Scoreboard, periods: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Which of the log's ``periods`` each target's step is in, from 0."""
    step = board.column("step") - board.first
    return np.asarray(step * periods // (int(step.max(initial=0)) + 1), np.int64)
