"""The first glance, and the cut, against plain references."""

from __future__ import annotations

import numpy as np
import pytest

from stream.recommending.pruning import LEAST_MIXED, glance_at, mix, prune


def test_the_mixture_is_a_weighted_sum() -> None:
    rng = np.random.default_rng(3)
    shares, weights = rng.random((4, 9), np.float32), rng.random(4, np.float32)
    shares[2] = 0
    mixed = np.empty(9, np.float32)
    mix(shares, np.array([0, 1, 3]), weights, 9, mixed)
    np.testing.assert_allclose(mixed, weights @ shares, rtol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_the_first_glance_is_a_sum_of_logarithms_or_nearly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, columns = 50, 6
    shares = (rng.random((columns, n)) ** 8).astype(np.float32)
    shares[3] = 0
    mixed = (rng.random(n) ** 20).astype(np.float32)
    least = np.full(columns, 1e-4, np.float32)
    glance = rng.normal(size=columns + 1).astype(np.float32)
    liked = np.empty(n, np.float32)
    glance_at(shares, np.array([0, 1, 2, 4, 5]), mixed, least, glance, n, liked)
    logs = np.column_stack([np.log2(shares.T + least), np.log(np.maximum(mixed, LEAST_MIXED))])
    plain = logs @ glance
    assert liked.min() == 0
    np.testing.assert_allclose(liked, plain - plain.min(), atol=2 * 0.09 * np.abs(glance).sum())
    assert np.corrcoef(liked, plain)[0, 1] > 0.999


@pytest.mark.parametrize("most", range(1, 9))
def test_pruning_keeps_the_best_among_ties_too(most: int) -> None:
    liked = np.array([1, 1, 5, 1, 3, 3, 1], np.float32)
    chosen = np.empty(7, np.int64)
    n = prune(liked, 7, most, chosen)
    assert n == min(most, 7)
    assert sorted(liked[chosen[:n]], reverse=True) == [5, 3, 3, 1, 1, 1, 1][:most]
    assert len(set(chosen[:n].tolist())) == n
