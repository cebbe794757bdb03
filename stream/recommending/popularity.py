"""What is popular: counts of every item at several half-lives, in events and in time, of all takers and of some."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from stream.config_lists import RecommendingSettings
from stream.recommending.tables import Floats, Growth, grown
from stream.steps import FIRST_OF_USER, STARTS_SESSION

# Who is counted: everybody; those to whom the item was new; what a session, or a user, began with.
EVERYBODY, NEWCOMERS, OPENINGS, FIRSTS = 0, 1, 2, 3
NAMES = ("popular", "popular-new", "session-start", "first-taken")
HOUR_MS = 3_600_000


class Popularity:
    """Columns of decayed counts, one for each half-life and circle of takers; the heaviest of each stand in a chart.

    A chart is exact at every moment: all counts of a column fade alike, so only what is taken can rise in it.
    """

    def __init__(self, settings: RecommendingSettings, chart_length: int) -> None:
        columns = [(EVERYBODY, half_life, False) for half_life in settings.popular_half_lives]
        columns += [(EVERYBODY, hours * HOUR_MS, True) for hours in settings.popular_hours]
        columns += [(NEWCOMERS, half_life, False) for half_life in settings.new_half_lives]
        columns += [(circle, max(settings.new_half_lives), False) for circle in (OPENINGS, FIRSTS)]
        self.circles = np.array([circle for circle, _, _ in columns], np.int64)
        self.names = [NAMES[circle] for circle, _, _ in columns]
        self.by_time = np.array([timed for _, _, timed in columns])
        self._growth = [Growth(half_life) for _, half_life, _ in columns]
        self.counts = np.zeros((0, len(columns)), np.float32)  # (rows, columns)
        self.totals = np.zeros(len(columns), np.float64)
        self.chart = np.full((len(columns), chart_length), -1, np.int32)  # item rows, best first

    @property
    def shares(self) -> Floats:
        """What makes a share of a count, float32 (columns,)."""
        return (1 / np.maximum(self.totals, 1e-30)).astype(np.float32)

    def column(self, half_life: float) -> int:
        """The column of everybody whose half-life in events is nearest to ``half_life``, in proportion."""
        distances = [
            abs(np.log(growth.half_life / half_life)) if circle == EVERYBODY and not timed else np.inf
            for growth, circle, timed in zip(self._growth, self.circles, self.by_time, strict=True)
        ]
        return int(np.argmin(distances))

    def reserve(self, rows: int) -> None:
        """Have room for ``rows`` items."""
        self.counts = grown(self.counts, rows)

    def count(
        self,
        items: npt.NDArray[np.int64],
        weights: Floats,
        new: npt.NDArray[np.bool_],
        flags: npt.NDArray[np.uint8],
        keys: npt.NDArray[np.uint64],
    ) -> None:
        """Count e events: item rows, weights, if new to the user, flags of their steps; ``keys`` (rows,) break ties."""
        now = np.array([growth.now for growth in self._growth])
        _count(self.counts, self.totals, self.chart, self.circles, now, items, weights, new, flags, keys)

    def advance(self, clock: int, time: int) -> None:
        """Move on to ``clock``, in events, and ``time``, in ms."""
        for p, growth in enumerate(self._growth):
            factor = growth.advance(time if self.by_time[p] else clock)
            if factor != 1.0:
                self.counts[:, p] *= np.float32(factor)
                self.totals[p] *= factor


@njit(cache=True)
def _count(counts, totals, chart, circles, now, items, weights, new, flags, keys):  # type: ignore[no-untyped-def]
    for e in range(len(items)):
        i = items[e]
        for p in range(len(circles)):
            circle = circles[p]
            if circle == NEWCOMERS and not new[e]:
                continue
            if circle == OPENINGS and not flags[e] & STARTS_SESSION:
                continue
            if circle == FIRSTS and not flags[e] & FIRST_OF_USER:
                continue
            weight = weights[e] * now[p]
            counts[i, p] += weight
            totals[p] += weight
            _rise(counts, p, chart[p], i, keys)


@njit(cache=True, inline="always")
def _heavier(counts, p, a, b, keys):  # type: ignore[no-untyped-def]
    return counts[a, p] > counts[b, p] or (counts[a, p] == counts[b, p] and keys[a] < keys[b])


@njit(cache=True)
def _rise(counts, p, chart, i, keys):  # type: ignore[no-untyped-def]
    """Put item ``i``, whose count has grown, into its place in the chart."""
    last = len(chart) - 1
    if chart[last] >= 0 and counts[i, p] < counts[chart[last], p]:
        return  # as most: were it in the chart, it would be no lighter than the last
    at = 0
    while at < last and chart[at] != i and chart[at] >= 0:
        at += 1
    if chart[at] >= 0 and chart[at] != i and not _heavier(counts, p, i, chart[at], keys):
        return
    while at > 0 and _heavier(counts, p, i, chart[at - 1], keys):
        chart[at] = chart[at - 1]
        at -= 1
    chart[at] = i
