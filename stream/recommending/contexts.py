"""What followed the last items and actions: successors counted in many contexts, and one probability by backing off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from stream.recommending.scratch import FREE
from stream.recommending.tables import Floats, Proposals, grown, lightest, place_of
from stream.steps import CHAIN, CONTEXTS

# Places that a key may take: of these the lightest makes room. More keep heavy contexts better in a full table, and
# cost a cache miss each.
PROBES = 4
# Of a basket, so many items are counted as successors: the rest of a very long one would push out everything else.
LONGEST_STEP = 30
# Steps whose contexts are fetched ahead of being counted: 12 rows of some 300 bytes each, so 64 of them lie in 256 KB.
# More push each other out of a core's own cache, fewer wait for memory more often.
AHEAD = 64


@dataclass(frozen=True, slots=True)
class InContext:
    """What may follow in the contexts of m users."""

    shares: Proposals  # in each context
    chances: Proposals  # one probability by backing off over the first CHAIN, without what is left to items at large
    escape: Floats  # (m,) that
    evidence: Floats  # (m, CONTEXTS) counts


class ContextTable:
    """A hashed table of ``rows`` contexts, each with its ``width`` heaviest successors; full, it forgets the lightest.

    ``rows`` is a power of two. Memory: rows x (8 width + 20) bytes, most of it taken as the table fills.
    """

    def __init__(self, rows: int, width: int) -> None:
        self.keys = np.zeros(rows, np.uint64)  # 0: free
        self.totals = np.zeros(rows, np.float32)
        self.place = np.full(rows, -1, np.int32)  # where the successors of each are, -1 for a free row
        self.n = 0  # rows taken
        self.used = np.zeros(0, np.int32)  # by place
        self.ids = np.zeros((0, width), np.int32)  # item rows, the first ``used`` of them
        self.counts = np.zeros((0, width), np.float32)

    def count(
        self,
        keys: npt.NDArray[np.uint64],
        size: npt.NDArray[np.int32],
        items: npt.NDArray[np.int64],
        weight: float,
    ) -> None:
        """Count the ``items`` (e,) of s steps of ``size`` (s,) under their ``keys`` (s, CONTEXTS), ``weight`` each."""
        most = min(len(self.keys), self.n + int(np.count_nonzero(keys)))
        self.used, self.ids, self.counts = (
            grown(array, most) for array in (self.used, self.ids, self.counts)
        )
        self.n = int(_count(self._table, keys, size, items, np.float32(weight), self.n))

    @property
    def _table(self) -> tuple[npt.NDArray[Any], ...]:
        return self.keys, self.totals, self.place, self.used, self.ids, self.counts

    def scale(self, factor: float) -> None:
        """Multiply all counts."""
        self.counts *= np.float32(factor)
        self.totals *= np.float32(factor)

    def propose(self, keys: npt.NDArray[np.uint64], now: float, place: npt.NDArray[np.int32]) -> InContext:
        """What may follow in m users' contexts, ``keys`` (m, CONTEXTS); ``place``: ``Scratch.places`` of all items."""
        m, width = len(keys), self.ids.shape[1]
        shares, chances = Proposals.blank(m, CONTEXTS, width), Proposals.blank(m, 1, CHAIN * width)
        escape, evidence = np.empty(m, np.float32), np.zeros((m, CONTEXTS), np.float32)
        _propose(
            self._table, keys, np.float32(now), place, shares.arrays(), chances.arrays(), escape, evidence
        )
        return InContext(shares, chances, escape, evidence)


@njit(cache=True)
def _row(keys, totals, key):  # type: ignore[no-untyped-def]
    """Find the row of ``key``; if it has none, give -1 - the row it may take."""
    mask = np.uint64(len(keys) - 1)
    lightest = np.int64(key & mask)
    for p in range(PROBES):
        r = np.int64((key + np.uint64(p)) & mask)
        if keys[r] == key:
            return r
        if totals[r] < totals[lightest]:
            lightest = r
    return -1 - lightest


@njit(cache=True)
def _find(keys, key):  # type: ignore[no-untyped-def]
    """Find the row of ``key``, or -1."""
    mask = np.uint64(len(keys) - 1)
    for p in range(PROBES):
        r = (key + np.uint64(p)) & mask
        if keys[r] == key:
            return np.int64(r)
    return -1


@njit(cache=True)
def _fetch(table, step_keys):  # type: ignore[no-untyped-def]
    """Read where the keys of some steps lead, and do nothing with it but add it up.

    None of these reads waits for another key's, as they do where contexts are counted one after the other; so memory
    answers many of them at a time, and what is counted next lies in the cache.
    """
    keys, totals, place, used, ids, counts = table
    mask = np.uint64(len(keys) - 1)
    half = ids.shape[1] // 2
    read = np.float32(0)
    for s in range(len(step_keys)):
        for key in step_keys[s]:
            if key == 0:
                continue
            r = np.int64(key & mask)
            read += totals[r] + np.float32(keys[r] == key)
            at = max(place[r], 0)
            read += used[at] + ids[at, 0] + ids[at, half] + counts[at, 0] + counts[at, half]
    return read


@njit(cache=True)
def _count(table, step_keys, size, items, weight, n):  # type: ignore[no-untyped-def]
    """Count steps; ``n`` rows are taken. Returns how many are by then."""
    keys, totals, place, used, ids, counts = table
    start = 0
    for s in range(len(size)):
        if s % AHEAD == 0:
            _fetch(table, step_keys[s : s + AHEAD])
        end = start + min(size[s], LONGEST_STEP)
        for key in step_keys[s]:
            if key == 0:
                continue
            r = _row(keys, totals, key)
            if r < 0:
                r = -1 - r
                keys[r], totals[r] = key, 0
                if place[r] < 0:
                    place[r] = n
                    n += 1
                used[place[r]] = 0
            for e in range(start, end):
                totals[r] += weight
                _succeed(used, ids, counts, place[r], items[e], weight)
        start += size[s]
    return n


@njit(cache=True, inline="always")
def _succeed(used, ids, counts, r, item, weight):  # type: ignore[no-untyped-def]
    at = place_of(item, ids[r, : used[r]])
    if at < 0:
        if used[r] < ids.shape[1]:
            at = used[r]
            used[r] += 1
        else:
            at = lightest(counts[r])
        ids[r, at], counts[r, at] = item, 0
    counts[r, at] += weight


@njit(cache=True, fastmath=True)
def _propose(table, keys, now, place, shares, chances, escape, evidence):  # type: ignore[no-untyped-def]
    all_keys, totals, successors, used, ids, counts = table
    item, share, length = shares
    backed, chance, how_many = chances
    for u in range(len(keys)):
        n = 0
        left = np.float32(1)
        for k in range(len(keys[u])):
            length[u, k] = 0
            r = _find(all_keys, keys[u, k]) if keys[u, k] != 0 else -1
            if r < 0:
                continue
            total = totals[r] / now
            r = successors[r]
            evidence[u, k] = total
            half = np.float32(0.5) * used[r]
            if k < CHAIN:  # Witten and Bell, 1991: the more kinds have followed, the likelier is yet another
                fade = half / (total + half)
                left *= fade
                for q in range(n):
                    chance[u, 0, q] *= fade
            length[u, k] = used[r]
            for q in range(used[r]):
                i = ids[r, q]
                count = counts[r, q] / now
                item[u, k, q], share[u, k, q] = i, count / (total + np.float32(0.5))
                if k < CHAIN:
                    if place[i] < 0:
                        place[i] = n
                        backed[u, 0, n], chance[u, 0, n] = i, 0
                        n += 1
                    chance[u, 0, place[i]] += count / (total + half)
        escape[u], how_many[u, 0] = left, n
        for q in range(n):
            place[backed[u, 0, q]] = FREE
