"""What is counted of items: how often, in which cluster, after which other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.clustering.lineage import LineageEvent
from stream.config import RecommendingSettings
from stream.hashing import HashIndex
from stream.recommending.gathering import LAG_DECAY
from stream.recommending.tables import Growth, NeighbourTable, heaviest

# Charts are sorted out anew after so many events: sorting costs a millisecond, and a list is hardly worse for
# counts that are this much behind.
SORT_EVERY = 256
# What was touched after another item also says something of the reverse, but less.
BACKWARDS = 0.5

Rows32 = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Charts:
    """The heaviest items with their shares of all counts, best first; rows of items, -1 where there are no more."""

    popular: Rows32  # (half-lives, p)
    popular_share: Floats  # (half-lives, p)
    trending: Rows32  # (cluster ids, t)
    trending_share: Floats  # (cluster ids, t)


class Popularity:
    """How often items are taken, with one half-life, in events."""

    def __init__(self, half_life: float) -> None:
        self.half_life = half_life
        self._growth = Growth(half_life)
        self.counts = np.zeros(0, np.float32)  # by item row
        self.total = 0.0

    def reserve(self, rows: int) -> None:
        """Have room for ``rows`` items."""
        if rows > len(self.counts):
            grown = np.zeros(max(rows, 2 * len(self.counts)), np.float32)
            grown[: len(self.counts)] = self.counts
            self.counts = grown

    def count(self, items: npt.NDArray[np.int64], weights: Floats) -> None:
        """Count ``items`` (e,) with ``weights`` (e,)."""
        weighted = weights * np.float32(self._growth.now)
        np.add.at(self.counts, items, weighted)
        self.total += float(weighted.sum())

    def advance(self, clock: int) -> None:
        """Move to ``clock``, in events."""
        factor = self._growth.advance(clock)
        if factor != 1.0:
            self.counts *= np.float32(factor)
            self.total *= factor


class ItemCounts:
    """Decayed counts over item rows; equal ones are ordered by the items' hashes, for rows differ between processes."""

    def __init__(self, settings: RecommendingSettings, chart_length: int) -> None:
        self._chart_length = chart_length  # of the popular ones
        self._trending_length = settings.candidates
        self._growth = Growth(settings.half_life)
        self.popularity = [Popularity(half_life) for half_life in settings.popular_half_lives]
        self.covisits = NeighbourTable(settings.neighbours)
        self.trending = NeighbourTable(settings.trending)  # rows are cluster ids
        self._next_sort = (
            1  # on the clock; a young log's charts are sorted often, so that first users get lists
        )
        self.charts = self._sort(np.empty(0, np.uint64))

    def count(
        self,
        items: npt.NDArray[np.int64],
        weights: Floats,
        clusters: npt.NDArray[np.int64],
        context: npt.NDArray[np.int64],
        keys: npt.NDArray[np.uint64],
    ) -> None:
        """Count e events.

        ``items`` (e,) are rows, ``weights`` (e,), ``clusters`` (e,) the users' or -1, ``context`` (e, C) the
        rows that the user touched before, newest first, -1 for none; ``keys`` (rows,) are the items' hashes.
        """
        self._reserve(len(keys))
        for popularity in self.popularity:
            popularity.count(items, weights)
        now = np.float32(self._growth.now)
        self.trending.reserve(int(clusters.max(initial=-1)) + 1)
        self.trending.add(clusters, items, weights * now)
        depth = context.shape[1]
        after, before = np.repeat(items, depth), context.ravel()
        lag = np.tile(LAG_DECAY ** np.arange(depth, dtype=np.float32) * now, len(items))
        self.covisits.add(before, after, lag)
        self.covisits.add(np.where(before >= 0, after, -1), before, lag * np.float32(BACKWARDS))

    def inherit(self, events: Sequence[LineageEvent]) -> None:
        """Hand on what is trending: to the newborn its parents' counts, to an heir those of who is gone."""
        for event in events:
            for parent in event.parents:
                self.trending.copy(parent, event.cluster)
            if event.heir is not None:
                self.trending.copy(event.cluster, event.heir)
                self.trending.clear(event.cluster)

    def advance(self, clock: int, keys: npt.NDArray[np.uint64]) -> None:
        """Move to ``clock``, in events; older counts fade, and charts are sorted out when it is time."""
        for popularity in self.popularity:
            popularity.advance(clock)
        factor = self._growth.advance(clock)
        if factor != 1.0:
            self.covisits.scale(factor)
            self.trending.scale(factor)
        if clock >= self._next_sort:
            self.charts = self._sort(keys)
            self._next_sort = clock + min(SORT_EVERY, clock)

    @property
    def now(self) -> float:
        """The weight of a pair counted now."""
        return self._growth.now

    def counts_of(self, index: HashIndex) -> Floats:
        """Counts at the longest half-life by item row, (len(index),)."""
        counts = np.zeros(len(index), np.float32)
        longest = max(self.popularity, key=lambda popularity: popularity.half_life).counts[: len(index)]
        counts[: len(longest)] = longest
        return counts

    def popular_shares(self) -> tuple[tuple[Floats, ...], Floats]:
        """Counts by half-life, each (rows,), and what makes shares of them, (half-lives,)."""
        totals = np.array([popularity.total or 1.0 for popularity in self.popularity])
        return tuple(p.counts for p in self.popularity), (1 / totals).astype(np.float32)

    def _reserve(self, rows: int) -> None:
        self.covisits.reserve(rows)
        for popularity in self.popularity:
            popularity.reserve(rows)

    def _sort(self, keys: npt.NDArray[np.uint64]) -> Charts:
        popular = np.full((len(self.popularity), self._chart_length), -1, np.int32)
        share = np.zeros(popular.shape, np.float32)
        for p, popularity in enumerate(self.popularity):
            items = heaviest(popularity.counts, self._chart_length, keys)
            popular[p, : len(items)] = items
            share[p, : len(items)] = popularity.counts[items] / np.float32(popularity.total or 1.0)
        clusters = len(self.trending.totals)
        trending = np.full((clusters, self._trending_length), -1, np.int32)
        trending_share = np.zeros((clusters, self._trending_length), np.float32)
        for cluster in np.flatnonzero(self.trending.totals > 0).tolist():
            rows, counts = self.trending.heaviest(cluster, self._trending_length, keys)
            trending[cluster, : len(rows)] = rows
            trending_share[cluster, : len(rows)] = counts / self.trending.totals[cluster]
        return Charts(popular, share, trending, trending_share)
