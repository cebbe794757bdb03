"""The table of repeats: classes, and rates learnt from what was taken again."""

from __future__ import annotations

import numpy as np
import pytest

from stream.recommending.repeats import CELLS, LAGS, TIMES, RepeatTable, cell, classes


def test_classes_tell_counts_steps_and_times_apart() -> None:
    base = cell(1, 1, 60.0)
    assert 0 <= base < CELLS
    assert len({base, cell(2, 1, 60.0), cell(1, 2, 60.0), cell(1, 1, 3_600.0)}) == 4
    assert cell(60_000, 255, 1e12) == CELLS - 1
    assert cell(1, 1, 0.0) == cell(1, 1, 59.0) == 0


def test_rates_begin_with_a_law_and_follow_what_is_seen() -> None:
    table = RepeatTable()
    often, rarely = cell(8, 1, 0.0), cell(1, 100, 0.0)
    assert table.rates[often] > table.rates[rarely] > 0
    cells = np.full(5_000, rarely, np.uint16)
    table.fold(cells, np.arange(5_000) % 4 == 0)
    assert table.rates[rarely] == pytest.approx(0.25, abs=0.01)
    before = table.rates[often]
    table.fold(np.empty(0, np.uint16), np.empty(0, np.bool_))
    assert table.rates[often] == before


def test_old_tries_fade() -> None:
    table = RepeatTable()
    for taken, expected in ((True, 1.0), (False, 0.0)):
        for _ in range(30):
            table.fold(np.zeros(10_000, np.uint16), np.full(10_000, taken))
        assert table.rates[0] == pytest.approx(expected, abs=0.01)


def test_own_items_are_classed_with_whether_they_were_taken_again() -> None:
    item = np.array([[3, -1, 4], [5, 3, -1]], np.int32)
    count, lag = np.ones((2, 3), np.uint16), np.ones((2, 3), np.uint8)
    idle = np.array([[0, 0, 1e6], [0, 0, 0]], np.float32)
    own = (item, count, lag, idle, idle)
    cells, taken = classes(own, np.array([4, 9, 5], np.int32), np.array([0, 2, 3]))
    assert cells.tolist() == [0, cell(1, 1, 1e6), 0, 0]
    assert taken.tolist() == [False, True, True, False]


def test_classes_are_those_of_the_formula() -> None:
    """Steps ago by the root of 2.5, time by the sixth power of 2 from a minute on: only their bounds are kept."""
    for lag in range(1, 256):
        assert cell(1, lag, 0.0) == min(int(np.log2(lag) * 1.5), LAGS - 1) * TIMES
    for seconds in np.unique(np.geomspace(1, 2**24, 5_000).astype(np.int64)).tolist():
        assert cell(1, 1, float(seconds)) == min(int(np.log2(1 + seconds / 60) / 2.6), TIMES - 1)
