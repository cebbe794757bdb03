from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from stream.clustering.projection import Moments, fit_projection


def cone(n: int = 300, d: int = 20, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * np.linspace(3, 0.3, d) + 10
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)


def test_axes_are_the_principal_ones() -> None:
    X = cone()
    ours, theirs = fit_projection(X, 5).components.T, PCA(5).fit(X).components_
    np.testing.assert_allclose(np.abs((ours * theirs).sum(axis=1)), 1, atol=1e-3)


def test_opens_the_cone() -> None:
    X = cone()
    projected = fit_projection(X, 8).apply(X)
    assert (X @ X.T).mean() > 0.9
    assert abs((projected @ projected.T).mean()) < 0.05
    np.testing.assert_allclose(np.linalg.norm(projected, axis=1), 1, rtol=1e-5)


def test_whitened_axes_have_equal_variance() -> None:
    X = cone()
    plane = fit_projection(X, 4, whiten=True)
    assert np.var((X - plane.mean) @ plane.components, axis=0) == pytest.approx(np.ones(4), rel=1e-3)


def test_fewer_rows_than_dimensions() -> None:
    X = cone(n=5)
    plane = fit_projection(X, 16)
    assert plane.dimensions == 4
    assert plane.apply(X).shape == (5, 4)
    assert fit_projection(X[:1], 16).apply(X[:1]).tolist() == [[0.0]]


def test_a_row_at_the_mean_has_no_direction() -> None:
    X = cone()
    plane = fit_projection(X, 8)
    assert not plane.apply(plane.mean[None]).any()


def test_moments_kept_online_equal_those_of_all_rows() -> None:
    X = cone()
    moments = Moments.zeros(X.shape[1])
    for start in range(0, len(X), 64):
        moments.add(X[start : start + 64])
    np.testing.assert_allclose(moments.covariance(), np.cov(X.T.astype(np.float64), bias=True), atol=1e-9)
    one, other = moments.projection(5), fit_projection(X, 5)
    np.testing.assert_allclose(one.components, other.components, atol=1e-3)


def test_moments_fade() -> None:
    moments = Moments.zeros(1)
    moments.add(np.array([[0.0], [2.0]]))
    moments.add(np.array([[9.0], [9.0]]), decay=0.0)
    assert moments.covariance() == pytest.approx(np.zeros((1, 1)))


def test_nothing_to_fit() -> None:
    with pytest.raises(ValueError, match="needs vectors"):
        fit_projection(np.zeros((0, 4)), 2)
