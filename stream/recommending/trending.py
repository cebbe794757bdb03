"""What is trending in each cluster: its heaviest items, in rows that are given back when a cluster has gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.clustering.lineage import LineageEvent
from stream.recommending.tables import Floats, NeighbourTable

Ids = npt.NDArray[np.int64]


def places_of(ids: Ids, clusters: Ids) -> Ids:
    """Places of ``clusters`` (n,) among ``ids`` (c,), ascending; -1 where there is none.

    Examples
    --------
    >>> places_of(np.array([2, 5, 9]), np.array([9, -1, 2, 3]))
    array([ 2, -1,  0, -1])
    """
    if not len(ids):
        return np.full(len(clusters), -1, np.int64)
    at = np.minimum(np.searchsorted(ids, clusters), len(ids) - 1)
    return np.where(ids[at] == clusters, at, -1)


@dataclass(frozen=True, slots=True)
class Charts:
    """The heaviest items of c clusters with their shares, best first; rows of items, -1 where there are no more."""

    ids: Ids  # (c,) ascending
    item: npt.NDArray[np.int32]  # (c, t)
    share: Floats  # (c, t)


class Trending:
    """Decayed counts of ``width`` items for each cluster of which something was counted.

    Cluster ids are never used again, rows are: a clusterer that keeps finding new ones needs no more of them than
    there are clusters at a time.
    """

    def __init__(self, width: int) -> None:
        self.table = NeighbourTable(width)
        self.ids: Ids = np.empty(0, np.int64)  # (c,) ascending
        self.rows: Ids = np.empty(0, np.int64)  # (c,) of the table, of each of ``ids``

    def add(self, clusters: Ids, items: Ids, weights: Floats) -> None:
        """Count ``items`` (n,) with ``weights`` (n,) in ``clusters`` (n,), in order; -1 is passed over."""
        at = places_of(self.ids, clusters)
        if ((at < 0) & (clusters >= 0)).any():
            self._open(np.setdiff1d(clusters[clusters >= 0], self.ids))
            at = places_of(self.ids, clusters)
        rows = np.where(at >= 0, self.rows[at], -1) if len(self.ids) else at
        self.table.add(rows, items, weights)

    def inherit(self, events: Sequence[LineageEvent]) -> None:
        """Hand on counts: to the newborn those of its parents, to an heir those of who is gone."""
        for event in events:
            for parent in event.parents:
                self._copy(parent, event.cluster)
            if event.heir is not None:
                self._copy(event.cluster, event.heir)
                self._close(event.cluster)

    def heaviest(self, cluster: int, n: int, keys: npt.NDArray[np.uint64]) -> tuple[Ids, Floats]:
        """The ``n`` heaviest items of a cluster at most, as rows, and their counts: ``NeighbourTable.heaviest``."""
        row = self._row(cluster)
        return (
            (np.empty(0, np.int64), np.empty(0, np.float32)) if row < 0 else self.table.heaviest(row, n, keys)
        )

    def charts(self, length: int, keys: npt.NDArray[np.uint64]) -> Charts:
        """Sort out the ``length`` heaviest items of all clusters."""
        item = np.full((len(self.ids), length), -1, np.int32)
        share = np.zeros((len(self.ids), length), np.float32)
        for at, row in enumerate(self.rows.tolist()):
            items, counts = self.table.heaviest(row, length, keys)
            item[at, : len(items)] = items
            share[at, : len(items)] = counts / max(self.table.totals[row], np.finfo(np.float32).tiny)
        return Charts(self.ids, item, share)

    def scale(self, factor: float) -> None:
        """Multiply all counts."""
        self.table.scale(factor)

    def _row(self, cluster: int) -> int:
        (at,) = places_of(self.ids, np.array([cluster])).tolist()
        return -1 if at < 0 else int(self.rows[at])

    def _open(self, clusters: Ids) -> None:
        """Give ``clusters`` (n,) the first rows that are free."""
        n = len(self.ids) + len(clusters)
        free = np.setdiff1d(np.arange(n), self.rows)[: len(clusters)]
        self.table.reserve(n)
        ids, rows = np.concatenate([self.ids, clusters]), np.concatenate([self.rows, free])
        order = np.argsort(ids)
        self.ids, self.rows = ids[order], rows[order]

    def _close(self, cluster: int) -> None:
        row, stay = self._row(cluster), self.ids != cluster
        if row >= 0:
            self.table.clear(row)
            self.ids, self.rows = self.ids[stay], self.rows[stay]

    def _copy(self, source: int, target: int) -> None:
        if self._row(source) >= 0:
            if self._row(target) < 0:
                self._open(np.array([target]))
            self.table.copy(self._row(source), self._row(target))
