from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans

from stream.clustering.assign import assign
from stream.clustering.seeding import choose_k, seed_centres


def blobs(k: int, per: int, d: int = 8, seed: int = 0, spread: float = 0.3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    middle = rng.normal(size=(k, d)) * 3
    return (np.repeat(middle, per, axis=0) + spread * rng.normal(size=(k * per, d))).astype(np.float32)


def error(X: np.ndarray, centres: np.ndarray) -> float:
    return float(assign(X, centres.astype(np.float32))[1].sum())


@pytest.mark.parametrize("seed", range(5))
def test_close_to_batch_k_means(seed: int) -> None:
    X = blobs(12, 50, seed=seed)
    best = KMeans(12, n_init=10, random_state=seed).fit(X)
    assert error(X, seed_centres(X, 12, seed)) <= 1.03 * best.inertia_


def test_same_seed_same_centres_and_input_is_left_alone() -> None:
    X = blobs(5, 20)
    before = X.copy()
    np.testing.assert_array_equal(seed_centres(X, 5, seed=3), seed_centres(X, 5, seed=3))
    np.testing.assert_array_equal(X, before)


def test_no_more_centres_than_distinct_points() -> None:
    X = np.repeat(np.array([[1.0, 2], [3, 4]]), 10, axis=0)
    assert len(seed_centres(X, 5, seed=0)) == 2
    assert len(seed_centres(np.zeros((4, 3)), 5, seed=0)) == 1


def test_spherical_centres_have_unit_length() -> None:
    X = blobs(4, 30) * np.linspace(0.1, 9, 120)[:, None]
    centres = seed_centres(X, 4, seed=0, spherical=True)
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1, rtol=1e-5)


def test_weights_count() -> None:
    X = np.array([[0.0], [1.0]])
    assert seed_centres(X, 1, seed=0, weights=[3, 1])[0, 0] == pytest.approx(0.25)
    assert len(seed_centres(X, 2, seed=0, weights=[1, 0])) == 1  # nothing stands for the second point


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30])
def test_bad_points_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="drop such rows"):
        seed_centres(np.array([[0.0], [bad], [1.0]]), 2, seed=0)


def test_nothing_to_seed_from() -> None:
    with pytest.raises(ValueError, match="seeding needs"):
        seed_centres(np.zeros((0, 3)), 2, seed=0)


@pytest.mark.parametrize("k", [3, 8, 15])
def test_choose_k_finds_the_number_of_blobs(k: int) -> None:
    # Candidates are a tenth apart, so that is how close it can come.
    assert choose_k(blobs(k, 60, d=16), 2, 40, seed=0) == pytest.approx(k, rel=0.11)


def test_choose_k_keeps_to_its_bounds() -> None:
    assert 4 <= choose_k(blobs(2, 30), 4, 6, seed=0) <= 6
    assert choose_k(np.array([[0, 0], [1, 1], [2, 2]]), 2, 50, seed=0) <= 3
    with pytest.raises(ValueError, match="bounds"):
        choose_k(blobs(2, 30), 6, 4, seed=0)
