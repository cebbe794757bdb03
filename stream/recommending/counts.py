"""What is counted of items: everything that lists are made from, save what the learner trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from stream.clustering.lineage import LineageEvent
from stream.config_lists import RecommendingSettings
from stream.hashing import HashIndex
from stream.recommending.contexts import ContextTable
from stream.recommending.pairs import Pairs
from stream.recommending.popularity import Popularity
from stream.recommending.repeats import RepeatTable
from stream.recommending.tables import Floats, Growth, grown
from stream.recommending.trending import Trending
from stream.steps import FIRST_OF_USER, Steps

# Charts of clusters are sorted out anew after so many events: sorting costs a millisecond, and a list is hardly worse
# for counts that are this much behind.
SORT_EVERY = 256
# What a step leaves of the log's means over all steps: they speak of the last thousand or so.
LOG_HABIT = 0.999


# Items remembered that were taken for the first time last; they are proposed until they have made their way, or many
# others have come after them. A few hundred would cost a cosine each in every list.
DEBUTS = 64


class ItemLives:
    """By item row: when it was taken first and last, by the clock of events; how often, and by who knew it."""

    def __init__(self) -> None:
        self.first = np.zeros(0, np.int64)
        self.last = np.zeros(0, np.int64)
        self.taken = np.zeros(0, np.float32)
        self.again = np.zeros(0, np.float32)
        self.debuts = np.full(DEBUTS, -1, np.int32)  # item rows, the newest first, -1 none

    def reserve(self, rows: int) -> None:
        """Have room for ``rows`` items."""
        self.first, self.last, self.taken, self.again = (
            grown(array, rows) for array in (self.first, self.last, self.taken, self.again)
        )

    def has_taken(self, rows: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bool_]:
        """Which items anybody has taken; ``rows`` of any shape, of which those that came late were not counted yet."""
        known = (rows >= 0) & (rows < len(self.taken))
        return known & (self.taken[np.where(known, rows, 0)] > 0) if len(self.taken) else known

    def arrays(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats, Floats]:
        """Give what kernels take."""
        return self.first, self.last, self.taken, self.again

    def count(self, items: npt.NDArray[np.int64], new: npt.NDArray[np.bool_], clock: int) -> None:
        """Count e events, taken at ``clock``."""
        never = items[self.taken[items] == 0]
        if len(never):
            fresh, at = np.unique(never, return_index=True)
            newest = fresh[np.argsort(-at)].astype(np.int32)
            self.debuts = np.concatenate([newest, self.debuts])[:DEBUTS]
        _live(self.first, self.last, self.taken, self.again, items, new, clock)


class ItemCounts:
    """Decayed counts over item rows; equal ones are ordered by the items' hashes, for rows differ between processes."""

    def __init__(self, settings: RecommendingSettings, chart_length: int) -> None:
        self._trending_length = settings.candidates
        self._growth = Growth(settings.half_life)
        self.popularity = Popularity(settings, chart_length)
        self.lives = ItemLives()
        self.pairs = Pairs(settings.neighbours)
        self.contexts = ContextTable(settings.context_rows, settings.neighbours)
        self.repeats = RepeatTable()
        self.habits = np.zeros(3)  # of the log: share of repeats in a step, log(1 + s) between steps, weight
        self.trending = Trending(settings.trending)
        self._next_sort = (
            1  # on the clock; a young log's charts are sorted often, so that first users get lists
        )
        self.charts = self.trending.charts(self._trending_length, np.empty(0, np.uint64))

    def count(
        self,
        items: npt.NDArray[np.int64],
        weights: Floats,
        new: npt.NDArray[np.bool_],
        steps: Steps,
        window: npt.NDArray[np.int64],
        index: HashIndex,
        clock: int,
    ) -> None:
        """Count e events of s ``steps``, at ``clock``.

        ``items`` (e,) are rows, ``weights`` (e,), ``new`` (e,) to their users; ``window`` (w,) the rows of the
        steps' windows; ``steps.cluster`` are clusters as of now.
        """
        keys, now = index.keys, self._growth.now
        self.reserve(len(keys))
        self.popularity.count(items, weights, new, np.repeat(steps.flags, steps.size), keys)
        self.lives.count(items, new, clock)
        clusters = np.repeat(steps.cluster, steps.size).astype(np.int64)
        self.trending.add(clusters, items, weights * np.float32(now))
        self.pairs.count(steps, items, window, now)
        self.contexts.count(steps.keys, steps.size, items, now)
        self._learn_habits(steps, new)

    def inherit(self, events: Sequence[LineageEvent]) -> None:
        """Hand on what is trending in clusters that have gone, and to newborn ones."""
        self.trending.inherit(events)

    def advance(self, clock: int, time: int, keys: npt.NDArray[np.uint64]) -> None:
        """Move to ``clock``, in events, and ``time``, in ms; older counts fade, and charts are sorted out anew."""
        self.popularity.advance(clock, time)
        factor = self._growth.advance(clock)
        if factor != 1.0:
            for table in (self.pairs, self.contexts, self.trending):
                table.scale(factor)
        if clock >= self._next_sort:
            self.charts = self.trending.charts(self._trending_length, keys)
            self._next_sort = clock + min(SORT_EVERY, clock)

    @property
    def now(self) -> float:
        """The weight of a pair counted now."""
        return self._growth.now

    def _learn_habits(self, steps: Steps, new: npt.NDArray[np.bool_]) -> None:
        known = steps.flags & FIRST_OF_USER == 0
        if not known.any():
            return
        start = np.concatenate([[0], np.cumsum(steps.size)[:-1]])
        repeats = np.add.reduceat((~new).astype(np.float64), start) / steps.size
        means = np.array([repeats[known].mean(), np.log1p(steps.gap[known]).mean(), 1.0])
        left = LOG_HABIT ** int(known.sum())
        self.habits = self.habits * left + means * (1 - left)

    def reserve(self, rows: int) -> None:
        """Have room for ``rows`` items."""
        self.popularity.reserve(rows)
        self.lives.reserve(rows)
        self.pairs.reserve(rows)


@njit(cache=True)
def _live(first, last, taken, again, items, new, clock):  # type: ignore[no-untyped-def]
    for e in range(len(items)):
        i = items[e]
        if taken[i] == 0:
            first[i] = clock
        last[i] = clock
        taken[i] += 1
        if not new[e]:
            again[i] += 1
