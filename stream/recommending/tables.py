"""Decayed counts of bounded size: per item popularity, and per row the heaviest successors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Proposals:
    """What a source proposes to m users, in ``b`` columns: item rows with shares, repeated ones to be added up."""

    item: npt.NDArray[np.int32]  # (m, b, w)
    share: Floats  # (m, b, w)
    length: npt.NDArray[np.int32]  # (m, b) how many of the w there are

    @classmethod
    def blank(cls, users: int, columns: int, width: int) -> Proposals:
        """Room for proposals."""
        shape = users, columns, width
        return cls(np.empty(shape, np.int32), np.empty(shape, np.float32), np.zeros(shape[:2], np.int32))

    def select(self, part: slice) -> Proposals:
        """Those to some of the users."""
        return Proposals(self.item[part], self.share[part], self.length[part])

    def silenced(self) -> Proposals:
        """The same room with nothing in it: kernels are compiled for all sources, and need all of them."""
        return replace(self, length=np.zeros_like(self.length))

    def arrays(self) -> tuple[npt.NDArray[np.int32], Floats, npt.NDArray[np.int32]]:
        """Give what kernels take."""
        return self.item, self.share, self.length


# Growth of forward-decayed counts, as a power of two, at which they are scaled back: float32 overflows at
# 2^127.
REBASE = 30.0


class Growth:
    """The weight of a count made now, where older ones keep theirs: forward decay by a clock of events.

    Counts made at clock c weigh 2^((c - origin) / half_life), so that nothing old needs touching; ``advance``
    says by what everything must be multiplied once that has grown too large (Cormode et al., 2009).

    Examples
    --------
    >>> growth = Growth(half_life=100.0)
    >>> growth.advance(100.0), growth.now
    (1.0, 2.0)
    """

    def __init__(self, half_life: float) -> None:
        self.half_life = half_life
        self.origin = 0.0
        self.now = 1.0

    def advance(self, clock: float) -> float:
        """Set the clock, which never runs backwards; returns the factor for all counts made so far."""
        exponent = (clock - self.origin) / self.half_life
        factor = 1.0
        if exponent > REBASE:
            factor = 2.0 ** max(-1000.0, -exponent)
            self.origin, exponent = clock, 0.0
        self.now = 2.0**exponent
        return factor


def grown(array: npt.NDArray[Any], rows: int) -> npt.NDArray[Any]:
    """``array`` with room for ``rows`` rows at least; new ones are zeros."""
    n = len(array)
    if rows <= n:
        return array
    size = max(rows, 2 * n, 64)
    return np.concatenate([array, np.zeros((size - n, *array.shape[1:]), array.dtype)])


@njit(cache=True)
def place_of(item, ids):  # type: ignore[no-untyped-def]
    """Find ``item`` among ``ids`` int32 (n,), all different, or give -1; no way out, so that it is vectorised."""
    at = -1
    for q in range(len(ids)):
        at = max(at, q if ids[q] == item else -1)
    return at


@njit(cache=True)
def lightest(counts):  # type: ignore[no-untyped-def]
    """Find the first of the smallest ``counts`` float32 (n,)."""
    least = counts[0]
    for q in range(1, len(counts)):
        least = min(least, counts[q])
    at = 0
    while counts[at] != least:
        at += 1
    return at


@njit(cache=True)
def add_pair(table, row, item, weight):  # type: ignore[no-untyped-def]
    """Count ``item`` with ``weight`` in ``row`` of a table (ids, counts, totals)."""
    ids, counts, totals = table
    totals[row] += weight
    at = place_of(item, ids[row])
    if at < 0:
        at = lightest(counts[row])
        ids[row, at], counts[row, at] = item, 0
    counts[row, at] += weight


@njit(cache=True)
def _add(ids, counts, totals, row, item, weight):  # type: ignore[no-untyped-def]
    for i in range(len(row)):
        if row[i] >= 0 and item[i] >= 0:
            add_pair((ids, counts, totals), row[i], item[i], weight[i])


@njit(cache=True, fastmath=True, error_model="numpy")
def _propose(ids, counts, totals, history, lag, most_lag, fades, evidence, item, share, length):  # type: ignore[no-untyped-def]
    for u in range(len(history)):
        norm = np.float32(0)
        for h in range(history.shape[1]):
            if history[u, h] >= 0 and lag[u, h] <= most_lag:
                norm += fades[lag[u, h]]
        n = 0
        for h in range(history.shape[1]):
            r = history[u, h]
            if r < 0 or lag[u, h] > most_lag or r >= len(totals) or totals[r] <= 0:
                continue
            scale = fades[lag[u, h]] / (norm * (totals[r] + evidence))
            for q in range(ids.shape[1]):
                item[u, 0, n], share[u, 0, n] = ids[r, q], counts[r, q] * scale
                n += (ids[r, q] >= 0) & (counts[r, q] > 0)
        length[u, 0] = n


class NeighbourTable:
    """Per row at most ``width`` items with counts; the lightest makes room for a newcomer.

    A newcomer starts from its own count, not from that of the one it replaces (as Space-Saving would have it;
    Metwally et al., 2005): heavy items lose nothing, and light ones are not taken for heavy. ``ids`` int32
    (rows, width), -1 free; ``counts`` float32 (rows, width); ``totals`` float32 (rows,).
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.ids = np.full((0, width), -1, np.int32)
        self.counts = np.zeros((0, width), np.float32)
        self.totals = np.zeros(0, np.float32)

    def reserve(self, rows: int) -> None:
        """Have room for ``rows`` rows."""
        n = len(self.totals)
        if rows <= n:
            return
        size = max(rows, 2 * n, 64)
        self.ids = np.concatenate([self.ids, np.full((size - n, self.width), -1, np.int32)])
        self.counts = np.concatenate([self.counts, np.zeros((size - n, self.width), np.float32)])
        self.totals = np.concatenate([self.totals, np.zeros(size - n, np.float32)])

    def add(
        self,
        rows: npt.NDArray[np.int64],
        items: npt.NDArray[np.int64],
        weights: npt.NDArray[np.float32],
    ) -> None:
        """Count ``items`` (n,) with ``weights`` (n,) in ``rows`` (n,), in order; -1 is passed over."""
        _add(self.ids, self.counts, self.totals, rows, items, weights)

    def propose(
        self,
        history: npt.NDArray[np.int32],
        lag: npt.NDArray[np.uint8],
        most_lag: int,
        fades: Floats,
        evidence: np.float32,
    ) -> Proposals:
        """Neighbours of the ``history`` (m, R) of m users, -1 none, touched ``lag`` (m, R) steps ago.

        Those of more than ``most_lag`` steps ago say nothing, the others as much as ``fades`` (256,) has for their lag.
        A row's counts are shares of its total, to which ``evidence`` is added: little counted says little.
        """
        proposals = Proposals.blank(len(history), 1, history.shape[1] * self.width + 1)
        tables = self.ids, self.counts, self.totals
        _propose(*tables, history, lag, most_lag, fades, evidence, *proposals.arrays())
        return proposals

    def heaviest(
        self, row: int, n: int, keys: npt.NDArray[np.uint64]
    ) -> tuple[npt.NDArray[np.int64], Floats]:
        """The ``n`` heaviest items of a row at most, int64, heaviest first, and their counts; ties by ``keys``."""
        if row >= len(self.totals):
            return np.empty(0, np.int64), np.empty(0, np.float32)
        used = np.flatnonzero((self.ids[row] >= 0) & (self.counts[row] > 0))
        items, counts = self.ids[row][used].astype(np.int64), self.counts[row][used]
        order = np.lexsort((keys[items], -counts))[:n]
        return items[order], counts[order]

    def copy(self, source: int, target: int) -> None:
        """Add the counts of row ``source`` to row ``target``."""
        self.reserve(max(source, target) + 1)
        items = self.ids[source][self.ids[source] >= 0].astype(np.int64)
        counts = self.counts[source][self.ids[source] >= 0].copy()
        # What the row has counted of items that it no longer holds goes along.
        rest = self.totals[source] - counts.sum()
        self.add(np.full(len(items), target, np.int64), items, counts)
        self.totals[target] += rest

    def clear(self, row: int) -> None:
        """Forget a row."""
        self.ids[row], self.counts[row], self.totals[row] = -1, 0, 0

    def scale(self, factor: float) -> None:
        """Multiply all counts."""
        self.counts *= np.float32(factor)
        self.totals *= np.float32(factor)


@njit(cache=True)
def nth_largest(values, n):  # type: ignore[no-untyped-def]
    """Give the ``n``-th largest of float32 ``values``, which are contiguous and not negative; 0 where there are fewer.

    Such numbers are ordered as their bits are, so it is found bit by bit, by counting: for some hundred values a
    quarter of the time that a partition takes. Where a bit parts ``n`` of them from the rest, it is the least of these.
    """
    bits = values.view(np.int32)
    found = np.int32(0)
    for shift in range(30, -1, -1):
        above = np.int32(found | np.int32(1 << shift))
        count = np.int32(0)
        for i in range(len(bits)):
            count = np.int32(count + np.int32(bits[i] >= above))
        if count >= n:
            found = above
        if count == n:
            least = np.int32(0x7FFFFFFF)
            for i in range(len(bits)):
                least = min(least, bits[i] if bits[i] >= above else np.int32(0x7FFFFFFF))
            found = least
            break
    return np.array([found]).view(np.float32)[0]


def heaviest(scores: npt.NDArray[np.float32], n: int, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
    """Give the indices of the ``n`` largest positive ``scores``, largest first, or of all; int32 (<= n,).

    Ties go by ``keys``, those at the cut too: rows differ between processes, hashes do not.

    Examples
    --------
    >>> heaviest(np.array([1, 3, 1, 0], np.float32), 2, np.array([9, 8, 7, 6], np.uint64))
    array([1, 2], dtype=int32)
    """
    least = np.partition(scores, -n)[-n] if n < len(scores) else 0
    top = np.flatnonzero((scores > 0) & (scores >= least))
    return top[np.lexsort((keys[top], -scores[top]))][:n].astype(np.int32)
