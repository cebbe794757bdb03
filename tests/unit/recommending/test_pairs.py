"""Which items go with which, against counts made in plain Python."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from stream.recommending.pairs import BACKWARDS, EVIDENCE, LAG_DECAY, Pairs
from stream.recommending.tables import NeighbourTable

ITEMS = 8


def counted(table: NeighbourTable) -> dict[tuple[int, int], float]:
    return {
        (row, int(item)): float(n)
        for row in range(ITEMS)
        for item, n in zip(table.ids[row], table.counts[row], strict=True)
        if item >= 0
    }


@pytest.mark.parametrize("seed", range(5))
def test_pairs_are_those_of_the_plain_reference(make_steps: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = Pairs(ITEMS)
    pairs.reserve(ITEMS)
    together: Counter[tuple[int, int]] = Counter()
    following: Counter[tuple[int, int]] = Counter()
    within: Counter[tuple[int, int]] = Counter()
    for _ in range(4):
        baskets = [rng.choice(ITEMS, n, replace=False).tolist() for n in rng.integers(1, 4, 3)]
        windows = [
            [(int(row), int(lag)) for row, lag in zip(rng.choice(ITEMS, 3, False), [1, 1, 2], strict=True)][
                :n
            ]
            for n in rng.integers(0, 4, 3)
        ]
        items = np.concatenate(baskets).astype(np.int64)
        steps = make_steps([len(b) for b in baskets], windows)
        pairs.count(steps, items, steps.window.astype(np.int64), now=2.0)
        for basket, window in zip(baskets, windows, strict=True):
            last = sum(lag == 1 for _, lag in window)
            for e in basket:
                for f in basket:
                    if e != f:
                        together[e, f] += 2 / np.sqrt(len(basket))
                for row, lag in window:
                    following[row, e] += 2 / last if lag == 1 else 0
                    within[row, e] += 2 * LAG_DECAY ** (lag - 1)
                    if row != e:
                        within[e, row] += 2 * BACKWARDS * LAG_DECAY ** (lag - 1)
    for table, expected in ((pairs.together, together), (pairs.next, following), (pairs.window, within)):
        assert counted(table) == pytest.approx({pair: n for pair, n in expected.items() if n}, rel=1e-5)
        assert table.totals[:ITEMS].sum() == pytest.approx(sum(expected.values()), rel=1e-5)


def test_what_is_proposed_are_shares_of_what_each_item_has_seen(make_steps: Any) -> None:
    pairs = Pairs(ITEMS)
    pairs.reserve(ITEMS)
    steps = make_steps([1, 1, 1], [[(0, 1)], [(0, 1)], [(1, 1)]])
    pairs.count(steps, np.array([5, 6, 7]), steps.window.astype(np.int64), now=1.0)
    history, lag = np.array([[0, 1, -1], [-1, -1, -1]], np.int32), np.array([[1, 2, 0], [0, 0, 0]], np.uint8)
    _, following, within = pairs.propose(history, lag, now=1.0)
    assert following.length[:, 0].tolist() == [2, 0]
    assert following.item[0, 0, :2].tolist() == [5, 6]
    np.testing.assert_allclose(following.share[0, 0, :2], [1 / 3, 1 / 3])
    n = within.length[0, 0]
    shares = dict(zip(within.item[0, 0, :n].tolist(), within.share[0, 0, :n].tolist(), strict=True))
    norm = 1 + LAG_DECAY
    assert shares[5] == pytest.approx(1 / (2 + EVIDENCE) / norm)
    assert shares[7] == pytest.approx(LAG_DECAY / (1 + EVIDENCE) / norm)
