from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.cluster import KMeans

from stream.clustering import quality


@settings(max_examples=60, deadline=None)
@given(n=st.integers(4, 60), k=st.integers(2, 6), seed=st.integers(0, 999))
def test_equal_to_scikit_learn(n: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, labels, truth = (
        rng.normal(size=(n, 3)).astype(np.float32),
        rng.integers(0, k, n),
        rng.integers(0, k, n),
    )
    assert quality.adjusted_rand(truth, labels) == pytest.approx(metrics.adjusted_rand_score(truth, labels))
    assert quality.normalised_mutual_information(truth, labels) == pytest.approx(
        metrics.normalized_mutual_info_score(truth, labels), abs=1e-9
    )
    if 2 <= len(set(labels.tolist())) < n:
        assert quality.silhouette(X, labels) == pytest.approx(metrics.silhouette_score(X, labels), abs=1e-4)
        assert quality.davies_bouldin(X, labels) == pytest.approx(
            metrics.davies_bouldin_score(X, labels), rel=1e-4
        )


def test_batch_centres_are_as_good_as_scikit_learns() -> None:
    X = np.random.default_rng(0).normal(size=(600, 5)).astype(np.float32)
    theirs = KMeans(10, n_init=10, random_state=0).fit(X).inertia_ / len(X)
    assert quality.quantisation_error(X, quality.batch_centres(X, 10)) <= 1.01 * theirs


def test_a_sample_of_the_silhouette_is_close_and_the_same_each_time() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 3000)
    X = (rng.normal(size=(3, 4))[labels] * 3 + rng.normal(size=(3000, 4))).astype(np.float32)
    whole, part = quality.silhouette(X, labels, sample=3000), quality.silhouette(X, labels, sample=500)
    assert part == pytest.approx(whole, abs=0.05)
    assert part == quality.silhouette(X, labels, sample=500)


def test_degenerate_clusterings() -> None:
    X, one = np.zeros((3, 2)), [1, 1, 1]
    assert quality.silhouette(X, one) == quality.davies_bouldin(X, one) == 0.0
    assert quality.adjusted_rand(one, one) == quality.normalised_mutual_information(one, one) == 1.0
    assert quality.adjusted_rand([], []) == 1.0
    assert quality.quantisation_error(np.zeros((0, 2)), X) == 0.0
    assert quality.churn([], []) == 0.0
    with pytest.raises(ValueError, match="as many"):
        quality.adjusted_rand([1], [1, 2])
