from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import AgglomerativeClustering

from stream.clustering.hierarchy import build_hierarchy
from stream.clustering.quality import adjusted_rand


def tree(seed: int = 0) -> np.ndarray:
    """12 centres: 4 groups of 3, the groups in 2 pairs."""
    rng = np.random.default_rng(seed)
    pairs, groups = rng.normal(size=(2, 6)) * 30, rng.normal(size=(4, 6)) * 8
    return np.repeat(np.repeat(pairs, 2, axis=0) + groups, 3, axis=0) + rng.normal(size=(12, 6)) * 0.5


def test_equal_to_wards_clustering_and_nested() -> None:
    centres = tree()
    made = build_hierarchy(np.arange(12), centres, levels=[2, 4, 7])
    for level, k in enumerate([2, 4, 7]):
        theirs = AgglomerativeClustering(k, linkage="ward").fit_predict(centres)
        assert adjusted_rand(theirs, made.segments[level]) == 1.0
    for fine in np.unique(made.segments[1]):
        assert len(np.unique(made.segments[0][made.segments[1] == fine])) == 1


def test_path() -> None:
    made = build_hierarchy(np.array([2, 5, 9]), [[0.0], [1.0], [9.0]], levels=[1, 2])
    assert made.path(2) == made.path(5) != made.path(9)
    assert len(made.path(9)) == 2
    assert made.path(3) == made.path(10) == ()


def test_segments_keep_their_ids_as_centres_move_and_clusters_come_and_go() -> None:
    centres = tree()
    before = build_hierarchy(np.arange(12), centres, levels=[4])
    moved = centres + np.random.default_rng(1).normal(size=centres.shape) * 0.3
    order = np.r_[3:12, 0:3]  # clusters 0 to 2 go; in their place are 12 to 14
    after = build_hierarchy(np.arange(3, 15), moved[order], [4], before, lineage={0: 12, 1: 13, 2: 14})
    assert [after.path(c) for c in range(3, 12)] == [before.path(c) for c in range(3, 12)]
    assert after.path(12) == before.path(0)
    assert after.next_id == before.next_id


def test_new_segments_get_new_ids() -> None:
    centres = tree()
    before = build_hierarchy(np.arange(12), centres, levels=[2])
    after = build_hierarchy(np.arange(12), centres, [2, 4], before)
    np.testing.assert_array_equal(after.segments[0], before.segments[0])
    assert not np.isin(after.segments[1], before.segments[0]).any()


def test_few_clusters() -> None:
    assert build_hierarchy(np.zeros(0, np.int64), np.zeros((0, 3)), [2]).segments.shape == (1, 0)
    assert build_hierarchy(np.array([7]), np.zeros((1, 3)), [2, 3]).path(7) != ()
    assert len(set(build_hierarchy(np.arange(2), np.eye(2), [5]).segments[0])) == 2
    with pytest.raises(ValueError, match="ascending"):
        build_hierarchy(np.arange(2), np.eye(2), [5, 3])
