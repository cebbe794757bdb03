"""Who took what for the first time: the window of the log that models of items are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

# Of a user's takings so many before each other make pairs with it: as many items as a profile remembers by default. A
# shopkeeper who takes thousands would otherwise outweigh hundreds of customers, and cost as the square.
PAIRED = 64
# Decayed takings below which an item is in no model: of a single user nothing can be learnt.
LEAST_TAKEN = 1.5


@dataclass(frozen=True, slots=True)
class Taken:
    """t takings in the order of the log."""

    user: npt.NDArray[np.uint64]  # (t,) hashes
    item: npt.NDArray[np.uint64]  # (t,) hashes
    clock: npt.NDArray[np.int64]  # (t,) the model's, in events
    now: int  # the model's clock


class Takings:
    """The last ``size`` takings of items that were new to their user, 24 bytes each.

    A window, and not sums of pairs: those of 4,096 items would be 64 MB in every worker and every snapshot, though only
    the learner ever looks at them. It knows items by hash, so it is the same bytes in all processes.

    Examples
    --------
    >>> takings = Takings(size=2)
    >>> takings.fold(np.array([7, 8, 9], np.uint64), np.array([1, 2, 3], np.uint64), clock=5)
    >>> takings.read(now=6).user
    array([8, 9], dtype=uint64)
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._user = np.zeros(0, np.uint64)
        self._item = np.zeros(0, np.uint64)
        self._clock = np.zeros(0, np.int64)
        self._count = 0  # of all there ever were

    def __len__(self) -> int:
        return min(self._count, self.size)

    def fold(self, user: npt.NDArray[np.uint64], item: npt.NDArray[np.uint64], clock: int) -> None:
        """Take in takings (t,), in order, made at ``clock``; the oldest make room."""
        self._reserve(self._count + len(user))
        user, item = user[-self.size :], item[-self.size :]
        at = (self._count + np.arange(len(user))) % self.size
        self._user[at], self._item[at], self._clock[at] = user, item, clock
        self._count += len(user)

    def read(self, now: int) -> Taken:
        """A copy, oldest first."""
        n = len(self)
        order = (self._count - n + np.arange(n)) % self.size
        return Taken(self._user[order], self._item[order], self._clock[order], now)

    def _reserve(self, count: int) -> None:
        held = len(self._user)
        if held >= min(count, self.size):
            return
        grown = min(self.size, max(count, 2 * held, 1_024))
        for name in ("_user", "_item", "_clock"):
            old = getattr(self, name)
            setattr(self, name, np.concatenate([old, np.zeros(grown - held, old.dtype)]))


@dataclass(frozen=True, slots=True)
class Gram:
    """How many users took both of two items, decayed: X'X of the matrix X of users and items."""

    items: npt.NDArray[np.uint64]  # (n,) hashes, ascending
    counts: npt.NDArray[np.float32]  # (n, n) symmetric; in the diagonal, how many took the item


def gram_of(taken: Taken, most: int, half_life: float) -> Gram:
    """Count the pairs among the ``most`` heaviest items; 4 bytes for each two of them.

    A pair counts 2^(-age / half_life) by the age of its younger half, in events.
    """
    weight = np.exp2((taken.clock - taken.now) / half_life).astype(np.float32)
    items, code = np.unique(taken.item, return_inverse=True)
    mass = np.bincount(code, weight, len(items))
    heavy = np.flatnonzero(mass >= LEAST_TAKEN)
    # Ties go by hash, for items are sorted by it; so do the rows.
    heavy = np.sort(heavy[np.argsort(-mass[heavy], kind="stable")[:most]])
    place = np.full(len(items), -1, np.int32)
    place[heavy] = np.arange(len(heavy))
    order = np.argsort(taken.user, kind="stable")
    user = taken.user[order]
    first = np.flatnonzero(np.concatenate([[True], user[1:] != user[:-1]])) if len(user) else np.empty(0, int)
    counts = np.zeros((len(heavy), len(heavy)), np.float32)
    count_pairs(np.append(first, len(user)), place[code[order]], weight[order], counts)
    counts += np.tril(counts, -1).T
    return Gram(items[heavy], counts)


@njit(cache=True, nogil=True)
def count_pairs(first, place, weight, counts):  # type: ignore[no-untyped-def]
    """Count who took both, user by user, into the lower triangle of ``counts`` float32 (n, n).

    User u took ``place[first[u]:first[u + 1]]`` int32 in that order, -1 for an item without a row, with ``weight``.
    """
    for u in range(len(first) - 1):
        for p in range(first[u], first[u + 1]):
            j = place[p]
            if j < 0:
                continue
            counts[j, j] += weight[p]
            for q in range(max(first[u], p - PAIRED), p):
                i = place[q]
                if i >= 0 and i != j:
                    counts[max(i, j), min(i, j)] += weight[p]
