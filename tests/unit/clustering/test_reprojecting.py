"""A space that has gone stale is replaced, and users stay in their clusters."""

from __future__ import annotations

import numpy as np
import pytest

from stream.clustering.assign import assign, assign_sticky, unit_rows
from stream.clustering.projection import Projection, fit_projection
from stream.clustering.reprojecting import MEMBERS, STALE, better_projection, captured, carry_over
from stream.clustering.seeding import seed_centres

D, K = 24, 6


def users(rng: np.random.Generator, axes: slice, n: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors of K crowds that differ along ``axes``, in a cone, and the crowd of each."""
    crowd = rng.permutation(n) % K
    directions = np.zeros((K, D), np.float32)
    directions[:, axes] = np.random.default_rng(7).normal(size=(K, axes.stop - axes.start))
    noise = rng.normal(scale=0.25, size=(n, D))
    return unit_rows((directions[crowd] + noise + 2 * np.eye(D)[0]).astype(np.float32)), crowd


def test_a_space_that_fits_is_kept() -> None:
    rng = np.random.default_rng(0)
    X, _ = users(rng, slice(1, 7))
    old = fit_projection(X, 6)
    assert better_projection(old, users(rng, slice(1, 7))[0], 6, whiten=False) is None


@pytest.mark.parametrize("whiten", [False, True])
def test_what_is_captured_comes_back_after_a_drift(whiten: bool) -> None:
    rng = np.random.default_rng(0)
    old = fit_projection(users(rng, slice(1, 7))[0], 6, whiten)
    X, _ = users(rng, slice(10, 16))
    best = captured(fit_projection(X, 6), X)
    assert captured(old, X) < 0.5 * best
    new = better_projection(old, X, 6, whiten)
    assert new is not None
    assert captured(new, X) == pytest.approx(best, rel=1e-4)
    assert better_projection(new, X, 6, whiten) is None


def test_axes_that_were_asked_for_since_are_added() -> None:
    X, _ = users(np.random.default_rng(0), slice(1, 7))
    new = better_projection(fit_projection(X, 2), X, 6, whiten=False)
    assert new is not None
    assert new.dimensions == 6
    assert better_projection(new, X, 2, whiten=False) is None  # fewer see less


def test_a_mean_that_moves_makes_a_space_stale() -> None:
    X, _ = users(np.random.default_rng(0), slice(1, 7))
    fit = fit_projection(X, 6)
    off = Projection(np.zeros(D, np.float32), fit.components)
    assert captured(off, X) < STALE * captured(fit, X)


def test_users_stay_in_their_clusters() -> None:
    rng = np.random.default_rng(1)
    # Half of the axes change, and few crowds look alike along the others.
    old = fit_projection(users(rng, slice(1, 7))[0], 6)
    X, crowd = users(rng, slice(4, 10))
    centres = seed_centres(old.apply(X), K, seed=0)
    before = assign(old.apply(X), centres)[0]
    new = better_projection(old, X, 6, whiten=False)
    assert new is not None
    carried, errors = carry_over(centres, old, new, X)
    after = assign_sticky(new.apply(X), carried, before, 0.2, False)
    assert np.mean(after != before) < 0.1
    means = np.stack([new.apply(X)[before == c].mean(axis=0) for c in range(K)])
    np.testing.assert_allclose(carried, means, atol=1e-5)
    mean = ((new.apply(X) - carried[before]) ** 2).sum(axis=1)
    np.testing.assert_allclose(errors, [mean[before == c].mean() for c in range(K)], rtol=1e-4)
    assert len(set(zip(crowd.tolist(), after.tolist(), strict=True))) >= K


def test_a_cluster_that_the_sample_misses_is_mapped() -> None:
    rng = np.random.default_rng(2)
    X, crowd = users(rng, slice(1, 7))
    old = fit_projection(X, 8)
    turn = np.linalg.qr(rng.normal(size=(8, 8)))[0].astype(np.float32)
    new = Projection(old.mean, old.components @ turn)  # the same space, other axes
    centres = np.stack([old.apply(X)[crowd == c].mean(axis=0) for c in range(K)])
    few = X[(crowd != 3) | (np.cumsum(crowd == 3) < MEMBERS)]
    carried, _ = carry_over(centres, old, new, few)
    np.testing.assert_allclose(carried[3], centres[3] @ turn, atol=0.05)
