"""How likely a user takes up an own item again: a learnt table of how often, how many steps and how long ago."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from stream.recommending.tables import Floats

# Classes of each: counts 1 to 8 and more, steps ago by the root of 2.5, time by the sixth power of 2 from a minute on.
COUNTS, LAGS, TIMES = 8, 10, 8
CELLS = COUNTS * LAGS * TIMES
# As if so many own items of each class had been there, and had been taken up again as a rough law has it: in
# proportion to their count, and ever less with every step. It holds until the log has shown better.
PRIOR_TRIES = 20.0
# Tries a cell remembers: fewer are noise, more hide that habits change.
REMEMBERED = 20_000.0


# The class of each number of steps, and the seconds with which each class of times but the first begins.
CLASS_OF_LAG = np.minimum(np.log2(np.maximum(np.arange(256), 1)) * 1.5, LAGS - 1).astype(np.int64)
TIME_BOUNDS = (60 * (np.exp2(2.6 * np.arange(1, TIMES)) - 1)).astype(np.float32)


@njit(cache=True, inline="always")
def cell(count, lag, seconds):  # type: ignore[no-untyped-def]
    """Give the class of an own item taken ``count`` times, last 1 <= ``lag`` <= 255 steps and ``seconds`` ago."""
    a = min(count, COUNTS) - 1
    c = 0
    for bound in TIME_BOUNDS:
        c += seconds >= bound
    return (a * LAGS + CLASS_OF_LAG[lag]) * TIMES + c


class RepeatTable:
    """Of own items of each class, how many there were at a step, and how many of these were taken in it."""

    def __init__(self) -> None:
        count = 1 + np.arange(COUNTS, dtype=np.float64)[:, None, None]
        lag = np.exp2(np.arange(LAGS) / 1.5)[None, :, None]
        rate = np.broadcast_to(0.03 * count / (1 + count) / np.sqrt(lag), (COUNTS, LAGS, TIMES))
        self.tries = np.full(CELLS, PRIOR_TRIES)
        self.hits = rate.ravel() * PRIOR_TRIES

    @property
    def rates(self) -> Floats:
        """Share of tries that were hits, float32 (CELLS,)."""
        return np.asarray(self.hits / self.tries, np.float32)

    def fold(self, cells: npt.NDArray[np.uint16], hit: npt.NDArray[np.bool_]) -> None:
        """Take in own items that users had at a step: their classes (n,), and whether they were taken."""
        self.tries += np.bincount(cells, minlength=CELLS)
        self.hits += np.bincount(cells[hit], minlength=CELLS)
        fade = np.minimum(1, REMEMBERED / self.tries)
        self.tries *= fade
        self.hits *= fade


def classes(
    own: tuple[npt.NDArray[np.int32], ...], target: npt.NDArray[np.int32], bounds: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.bool_]]:
    """Classes (o,) of the own items of m users, and whether each is among ``target[bounds[u]:bounds[u + 1]]``.

    ``own`` as ``gather`` has it: item rows (m, H), -1 none, counts, steps ago, s ago and more.
    """
    n = int((own[0] >= 0).sum())
    out, taken = np.empty(n, np.uint16), np.empty(n, np.bool_)
    _classes(own, target, bounds, out, taken)
    return out, taken


@njit(cache=True)
def _classes(own, target, bounds, out, taken):  # type: ignore[no-untyped-def]
    item, count, lag, idle, _ = own
    n = 0
    for u in range(len(item)):
        for h in range(item.shape[1]):
            if item[u, h] < 0:
                continue
            out[n] = cell(count[u, h], lag[u, h], idle[u, h])
            taken[n] = False
            for t in range(bounds[u], bounds[u + 1]):
                taken[n] |= target[t] == item[u, h]
            n += 1
