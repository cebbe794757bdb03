"""What is counted of items: how often, in which cluster, after which other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.config import RecommendingSettings
from stream.recommending.kernels import LAG_DECAY
from stream.recommending.tables import Growth, NeighbourTable, heaviest

# Charts are sorted out anew after so many events: sorting costs a millisecond, and a list is hardly worse for counts that
# are this much behind.
SORT_EVERY = 256
# What was touched after another item also says something of the reverse, but less.
BACKWARDS = 0.5

Rows32 = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Charts:
    """The heaviest items with their shares of all counts, best first; rows of items, -1 where there are no more."""

    popular: Rows32  # (p,)
    popular_share: Floats  # (p,)
    trending: Rows32  # (cluster ids, t)
    trending_share: Floats  # (cluster ids, t)


class ItemCounts:
    """Decayed counts over item rows; equal ones are ordered by the items' hashes, for rows differ between processes."""

    def __init__(self, settings: RecommendingSettings, chart_length: int) -> None:
        self._chart_length = chart_length  # of the popular ones
        self._trending_length = settings.candidates
        self._growth = Growth(settings.half_life)
        self.popularity = np.zeros(0, np.float32)
        self.popularity_total = 0.0
        self.covisits = NeighbourTable(settings.neighbours)
        self.trending = NeighbourTable(settings.trending)  # rows are cluster ids
        self._clock = 0
        self.charts = self._sort(np.empty(0, np.uint64))

    def count(
        self,
        items: npt.NDArray[np.int64],
        weights: Floats,
        clusters: npt.NDArray[np.int32],
        context: npt.NDArray[np.int64],
        keys: npt.NDArray[np.uint64],
    ) -> None:
        """Count e events: their item rows (e,), weights (e,), the user's cluster (e,) or -1, and the rows that the user
        touched before (e, C), newest first, -1 for none. ``keys`` (rows,) are the items' hashes."""
        self._reserve(len(keys))
        now = np.float32(self._growth.now)
        weighted = weights * now
        np.add.at(self.popularity, items, weighted)
        self.popularity_total += float(weighted.sum())
        self.trending.reserve(int(clusters.max(initial=-1)) + 1)
        self.trending.add(clusters.astype(np.int64), items, weighted)
        depth = context.shape[1]
        after, before = np.repeat(items, depth), context.ravel()
        lag = np.tile(LAG_DECAY ** np.arange(depth, dtype=np.float32) * now, len(items))
        self.covisits.add(before, after, lag)
        self.covisits.add(np.where(before >= 0, after, -1), before, lag * np.float32(BACKWARDS))

    def advance(self, clock: int, keys: npt.NDArray[np.uint64]) -> None:
        """Move to ``clock``, in events; older counts fade, and charts are sorted out when it is time."""
        factor = self._growth.advance(clock)
        if factor != 1.0:
            self.popularity *= np.float32(factor)
            self.popularity_total *= factor
            self.covisits.scale(factor)
            self.trending.scale(factor)
        if clock // SORT_EVERY != self._clock // SORT_EVERY:
            self.charts = self._sort(keys)
        self._clock = clock

    def _reserve(self, rows: int) -> None:
        self.covisits.reserve(rows)
        if rows > len(self.popularity):
            grown = np.zeros(max(rows, 2 * len(self.popularity)), np.float32)
            grown[: len(self.popularity)] = self.popularity
            self.popularity = grown

    def _sort(self, keys: npt.NDArray[np.uint64]) -> Charts:
        popular = heaviest(self.popularity, self._chart_length)
        popular = popular[np.lexsort((keys[popular], -self.popularity[popular]))]
        share = self.popularity[popular] / np.float32(max(self.popularity_total, 1e-9))
        clusters = len(self.trending.totals)
        trending = np.full((clusters, self._trending_length), -1, np.int32)
        trending_share = np.zeros((clusters, self._trending_length), np.float32)
        for cluster in np.flatnonzero(self.trending.totals > 0):
            ids, counts = self.trending.ids[cluster], self.trending.counts[cluster]
            used = np.flatnonzero((ids >= 0) & (counts > 0))
            order = used[np.lexsort((keys[ids[used]], -counts[used]))][: self._trending_length]
            trending[cluster, : len(order)] = ids[order]
            trending_share[cluster, : len(order)] = counts[order] / self.trending.totals[cluster]
        return Charts(popular, share, trending, trending_share)
