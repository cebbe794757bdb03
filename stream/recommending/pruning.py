"""Which candidates are ranked at all: those that look best at first glance."""

from __future__ import annotations

import numpy as np
from numba import njit

from stream.recommending.features import LEAST_MIXED, LN2
from stream.recommending.tables import nth_largest

# The bits of 1.0, and by how much a logarithm grows with a number's bits.
ONE, PER_BIT = np.int32(0x3F800000), np.float32(2**-23)


@njit(cache=True, fastmath=True)
def mix(shares, weights, n, mixed):  # type: ignore[no-untyped-def]
    """Write the mixture of the ``shares`` (cap, columns) of n candidates into ``mixed`` float32."""
    for c in range(n):
        score = np.float32(0)
        for s in range(len(weights)):
            score += weights[s] * shares[c, s]
        mixed[c] = score


@njit(cache=True, fastmath=True)
def glance_at(shares, mixed, least, glance, n, liked):  # type: ignore[no-untyped-def]
    """Write into ``liked`` float32 what n candidates look like at first glance; the least is 0.

    That is a sum of logarithms, of the ``shares`` (cap, columns) and of the mixture, weighted by ``glance`` (columns +
    1,). Unlike the mixture it asks that several sources agree. The logarithms to base 2 are read off a number's bits,
    which are wrong by .09 at most, and cost next to nothing.
    """
    columns = shares.shape[1]
    x = np.empty(columns + 1, np.float32)
    bits = x.view(np.int32)
    weights = glance * PER_BIT
    weights[columns] *= LN2
    worst = np.float32(np.inf)
    for c in range(n):
        for s in range(columns):
            x[s] = shares[c, s] + least[s]
        x[columns] = max(mixed[c], LEAST_MIXED)
        score = np.float32(0)
        for s in range(columns + 1):
            score += weights[s] * np.float32(bits[s] - ONE)
        liked[c] = score
        worst = min(worst, score)
    for c in range(n):
        liked[c] -= worst


@njit(cache=True)
def prune(liked, n, most, chosen):  # type: ignore[no-untyped-def]
    """Put the ``most`` candidates that are liked best into ``chosen``; returns how many."""
    for c in range(n):
        chosen[c] = c
    if n <= most:
        return n
    least = nth_largest(liked[:n], most)
    equals = most - (liked[:n] > least).sum()  # so many of those at the cut have room
    kept = 0
    for c in range(n):
        if liked[c] == least:
            equals -= 1
        if liked[c] > least or (liked[c] == least and equals >= 0):
            chosen[kept] = c
            kept += 1
    return kept
