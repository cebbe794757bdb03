"""How events meet published lists."""

from __future__ import annotations

import numpy as np
import pytest

from stream.recommending.answers import published_rank


@pytest.mark.parametrize("exclude_seen", [True, False])
@pytest.mark.parametrize("seed", range(10))
def test_published_ranks_are_those_of_the_plain_reference(exclude_seen: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, users, k = 60, 6, 3
    list_item = np.stack([rng.choice(np.arange(1, 12), k, replace=False) for _ in range(users)]).astype(
        np.uint64
    )
    list_item[0] = 0
    history = np.zeros((users, 5), np.uint64)
    for u in range(users):
        history[u, :u] = rng.choice(np.arange(1, 12), u, replace=False)
    popular = rng.permutation(np.arange(1, 12)).astype(np.uint64)[:8]
    rows, item = rng.integers(0, users, n), rng.integers(0, 13, n).astype(np.uint64)
    weight = rng.choice(np.array([1, 0, -1], np.float32), n)
    rank, popular_rank = np.empty(n, np.int16), np.empty(n, np.int16)
    published_rank(rows, item, weight, list_item, history, popular, exclude_seen, rank, popular_rank)
    for i in range(n):
        u = rows[i]
        if not item[i] or weight[i] <= 0 or not list_item[u, 0]:
            assert (rank[i], popular_rank[i]) == (-2, -2)
            continue
        seen = set(history[u].tolist()) if exclude_seen else set()
        alternative = [p for p in popular.tolist() if p not in seen][:k]
        for got, shown in ((rank[i], list_item[u].tolist()), (popular_rank[i], alternative)):
            assert got == (shown.index(item[i]) if item[i] in shown else -1)
