"""Places go to where they are worth most."""

from __future__ import annotations

import numpy as np
import pytest

from stream.clustering.assign import assign
from stream.clustering.breathing import breathe, settle, total_error, usefulness
from stream.clustering.quality import batch_centres


def crowds(k: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    middle = rng.normal(size=(k, 10))
    X = middle[rng.integers(0, k, 60 * k)] + 0.5 * rng.normal(size=(60 * k, 10))
    return X.astype(np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_ends_no_higher_than_the_best_of_ten(seed: int) -> None:
    X = crowds(12, seed)
    found = breathe(X, X[:9].copy(), seed)
    assert found.shape == (9, 10)
    assert total_error(X, found) <= 1.001 * total_error(X, batch_centres(X, 9, seed))


def test_is_pure_and_the_same_each_time() -> None:
    X = crowds(6, 0)
    start, before = X[:5].copy(), X.copy()
    one = breathe(X, start, 3)
    np.testing.assert_array_equal(one, breathe(X, start, 3))
    np.testing.assert_array_equal(start, before[:5])
    np.testing.assert_array_equal(X, before)


def test_spherical_centres_stay_on_the_sphere() -> None:
    X = crowds(6, 1)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    found = breathe(X, X[:5].copy(), spherical=True)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_few_centres_and_points_that_are_all_the_same(k: int) -> None:
    X = np.ones((20, 4), np.float32)
    found = breathe(X, X[:k].copy())
    assert found.shape == (k, 4)
    assert total_error(X, found) < 1e-5


def test_usefulness_is_what_the_error_would_grow_by() -> None:
    X, centres = crowds(5, 2), crowds(5, 3)[:6]
    before = assign(X, centres)[1].astype(np.float64).sum()
    without = [assign(X, np.delete(centres, c, axis=0))[1].astype(np.float64).sum() for c in range(6)]
    np.testing.assert_allclose(usefulness(X, centres), np.array(without) - before, rtol=1e-3, atol=1e-2)


def test_settled_centres_are_means() -> None:
    X = crowds(4, 4)
    centres = settle(X, X[:4].copy(), steps=100)
    rows, _ = assign(X, centres)
    np.testing.assert_allclose(centres, [X[rows == c].mean(axis=0) for c in range(4)], atol=1e-4)
