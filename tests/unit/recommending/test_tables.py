"""Counts of bounded size, against plain references."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.recommending.tables import REBASE, Growth, NeighbourTable, heaviest, nth_largest

ADDS = st.lists(
    st.tuples(st.integers(-1, 3), st.integers(-1, 9), st.sampled_from([0.25, 0.5, 1.0, 2.0])), max_size=60
)


class PlainNeighbours:
    """Slots of (item, count) per row; the first of the lightest makes room."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.slots: dict[int, list[list[Any]]] = {}
        self.totals: dict[int, float] = {}

    def add(self, row: int, item: int, weight: float) -> None:
        if row < 0 or item < 0:
            return
        self.totals[row] = self.totals.get(row, 0) + weight
        slots = self.slots.setdefault(row, [])
        for slot in slots:
            if slot[0] == item:
                slot[1] += weight
                return
        if len(slots) < self.width:
            slots.append([item, weight])
        else:
            slots[min(range(len(slots)), key=lambda q: slots[q][1])][:] = [item, weight]


@given(st.lists(ADDS, max_size=4), st.integers(1, 4))
def test_neighbours_are_those_of_the_plain_reference(batches: list[Any], width: int) -> None:
    table, plain = NeighbourTable(width), PlainNeighbours(width)
    for adds in batches:
        table.reserve(4)
        rows, items, weights = (np.array(c) for c in zip(*adds, strict=True)) if adds else ([], [], [])
        table.add(np.asarray(rows, np.int64), np.asarray(items, np.int64), np.asarray(weights, np.float32))
        for add in adds:
            plain.add(*add)
    for row, slots in plain.slots.items():
        n = len(slots)
        assert table.ids[row, :n].tolist() == [item for item, _ in slots]
        assert table.counts[row, :n].tolist() == [count for _, count in slots]
        assert (table.ids[row, n:] == -1).all()
        assert table.totals[row] == plain.totals[row]


def test_neighbours_survive_growth_and_scaling() -> None:
    table = NeighbourTable(2)
    table.reserve(1)
    one = np.zeros(1, np.int64)
    table.add(one, one + 5, np.ones(1, np.float32))
    table.reserve(1_000)
    table.scale(0.25)
    assert len(table.totals) >= 1_000
    assert (table.ids[0, 0], table.counts[0, 0], table.totals[0]) == (5, 0.25, 0.25)
    assert not table.totals[1:].any()


@given(
    st.lists(st.tuples(st.integers(0, 500), st.sampled_from([1.0, 2.5])), min_size=1, max_size=30),
    st.sampled_from([0.3, 5.0, 200.0]),
)
def test_growth_is_the_decay_that_it_stands_for(steps: list[tuple[int, float]], half_life: float) -> None:
    """Counts kept with growth, seen from now, are the sum of count x 2^-(age / half-life)."""
    growth, stored, clock, made = Growth(half_life), 0.0, 0, []
    for elapsed, count in steps:
        clock += elapsed
        stored *= growth.advance(clock)
        stored += count * growth.now
        made.append((clock, count))
        assert growth.now <= 2.0**REBASE
    expected = sum(count * 0.5 ** ((clock - then) / half_life) for then, count in made)
    assert stored / growth.now == pytest.approx(expected, rel=1e-9)


def test_growth_is_scaled_back_before_it_overflows() -> None:
    growth = Growth(1.0)
    assert growth.advance(REBASE) == 1.0
    assert growth.advance(REBASE + 1) == 2.0 ** -(REBASE + 1)
    assert growth.now == 1.0
    assert growth.advance(1e9) == 2.0**-1000


@given(st.lists(st.integers(-1, 4), max_size=30), st.integers(1, 12), st.randoms(use_true_random=False))
def test_heaviest_does_not_depend_on_the_order_of_rows(scores: list[int], n: int, random: Any) -> None:
    """Equal scores go by their keys, at the cut too: rows differ between processes."""
    keys = random.sample(range(1_000), len(scores))
    expected = sorted(
        (key for key, score in zip(keys, scores, strict=True) if score > 0),
        key=lambda key: (-scores[keys.index(key)], key),
    )[:n]
    top = heaviest(np.array(scores, np.float32), n, np.array(keys, np.uint64))
    assert [keys[i] for i in top.tolist()] == expected


@given(st.lists(st.floats(0, width=32), max_size=20), st.integers(1, 20))
def test_the_nth_largest_is_the_one_that_sorting_finds(values: list[float], n: int) -> None:
    expected = sorted(values, reverse=True)[n - 1] if n <= len(values) else 0
    assert nth_largest(np.array(values, np.float32), n) == expected
