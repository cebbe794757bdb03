"""Segments: clusters grouped at the levels a user chooses, under ids that last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import cut_tree, linkage
from scipy.optimize import linear_sum_assignment

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """Segments of c clusters at L levels, coarse first, each within one of the level before."""

    clusters: Ids  # (c,) ids, ascending
    segments: Ids  # (L, c) segment of each cluster; ids are not shared between levels
    next_id: int  # the id that the next new segment gets

    def path(self, cluster: int) -> tuple[int, ...]:
        """Segments of a cluster, coarse first; () of one that is not in it."""
        row = int(np.searchsorted(self.clusters, cluster))
        if row == len(self.clusters) or self.clusters[row] != cluster:
            return ()
        return tuple(self.segments[:, row].tolist())


def build_hierarchy(
    clusters: Ids,
    centres: npt.ArrayLike,
    levels: Sequence[int],
    previous: Hierarchy | None = None,
    lineage: Mapping[int, int] | None = None,
) -> Hierarchy:
    """Group ``clusters`` (c,), ascending, by ``centres`` (c, d): Ward's linkage (1963), cut at ``levels``.

    A segment keeps the id that most of its clusters had before, matched so that the most clusters stay; a
    group without such clusters is a new segment. Ids are never reused.

    Parameters
    ----------
    levels
        Numbers of segments, ascending; with fewer clusters than that, each is its own segment.
    previous
        The hierarchy before, whose ids go on.
    lineage
        Cluster that took over from one that is gone.

    Raises
    ------
    ValueError
        If levels do not ascend from 1 or above.

    Examples
    --------
    >>> centres = [[0, 0], [0, 1], [9, 0], [9, 1]]
    >>> before = build_hierarchy(np.array([3, 4, 7, 8]), centres, levels=[2])
    >>> before.segments
    array([[0, 0, 1, 1]])
    >>> build_hierarchy(np.array([4, 7, 8, 9]), [[0, 1], [9, 0], [9, 1], [40, 40]], [3], before).segments
    array([[0, 1, 1, 2]])
    """
    if list(levels) != sorted(set(levels)) or (levels and levels[0] < 1):
        raise ValueError(f"levels must be ascending numbers of segments, not {list(levels)}")
    groups = _cut(np.asarray(centres, np.float64), levels)
    segments, next_id = np.zeros((len(levels), len(clusters)), np.int64), previous.next_id if previous else 0
    for level, group in enumerate(groups):
        known = _before(clusters, previous, level, lineage or {})
        segments[level], next_id = _name(group, known, next_id)
    return Hierarchy(clusters.copy(), segments, next_id)


def _cut(centres: npt.NDArray[np.float64], levels: Sequence[int]) -> Ids:
    """Group of each centre at each level, (L, c)."""
    if len(centres) < 2:
        return np.zeros((len(levels), len(centres)), np.int64)
    tree = linkage(centres, "ward")
    columns = [cut_tree(tree, n_clusters=[min(level, len(centres))])[:, 0] for level in levels]
    return np.array(columns, np.int64).reshape(len(levels), len(centres))


def _before(clusters: Ids, previous: Hierarchy | None, level: int, lineage: Mapping[int, int]) -> Ids:
    """Segment of each cluster in the hierarchy before, (c,), -1 for none."""
    if previous is None or level >= len(previous.segments):
        return np.full(len(clusters), -1, np.int64)
    known: dict[int, int] = {}
    pairs = list(zip(previous.clusters.tolist(), previous.segments[level].tolist(), strict=True))
    for cluster, segment in pairs:
        known.setdefault(lineage.get(cluster, cluster), segment)
    known.update(pairs)  # what a cluster itself was in counts more than what it took over
    return np.array([known.get(int(c), -1) for c in clusters], np.int64)


def _name(group: Ids, known: Ids, next_id: int) -> tuple[Ids, int]:
    """Segment ids of the clusters in ``group`` (c,), keeping as many of those ``known`` (c,) as can be."""
    old = np.unique(known[known >= 0])
    n = int(group.max()) + 1 if len(group) else 0
    shared = np.zeros((n, len(old)))
    for g, k in zip(group, known, strict=True):
        if k >= 0:
            shared[g, np.searchsorted(old, k)] += 1
    names = np.full(n, -1, np.int64)
    for g, o in zip(*linear_sum_assignment(-shared), strict=True):
        if shared[g, o] > 0:
            names[g] = old[o]
    new = np.flatnonzero(names < 0)
    names[new] = next_id + np.arange(len(new))
    return names[group], next_id + len(new)
