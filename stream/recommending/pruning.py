"""Which candidates are ranked at all: those that look best at first glance."""

from __future__ import annotations

import numpy as np
from numba import njit

from stream.recommending.tables import nth_largest

# Least of the mixture, where its logarithm is taken.
LEAST_MIXED = np.float32(1e-7)
LN2 = np.float32(np.log(2))
# The bits of 1.0, and by how much a logarithm grows with a number's bits.
ONE, PER_BIT = np.int32(0x3F800000), np.float32(2**-23)


@njit(cache=True, fastmath=True)
def mix(shares, heard, weights, n, mixed):  # type: ignore[no-untyped-def]
    """Write the mixture of the ``shares`` (columns, cap) of n candidates into ``mixed`` float32, (columns,) weights.

    ``heard`` (h,) are the columns that are not all zeros.
    """
    mixed[:n] = 0
    for s in heard:
        weight = weights[s]
        for c in range(n):
            mixed[c] += weight * shares[s, c]


@njit(cache=True, fastmath=True)
def glance_at(shares, heard, mixed, least, glance, n, liked):  # type: ignore[no-untyped-def]
    """Write into ``liked`` float32 what n candidates look like at first glance; the least is 0.

    That is a sum of logarithms, of the ``shares`` (columns, cap) and of the mixture, weighted by ``glance`` (columns +
    1,). Unlike the mixture it asks that several sources agree. The logarithms to base 2 are read off a number's bits,
    which are wrong by .09 at most, and cost next to nothing. Columns that are not ``heard`` say the same of all.
    """
    x = np.empty(n, np.float32)
    bits = x.view(np.int32)
    weight = glance[len(glance) - 1] * PER_BIT * LN2
    for c in range(n):
        x[c] = max(mixed[c], LEAST_MIXED)
    for c in range(n):
        liked[c] = weight * np.float32(bits[c] - ONE)
    for s in heard:
        weight, floor = glance[s] * PER_BIT, least[s]
        for c in range(n):
            x[c] = shares[s, c] + floor
        for c in range(n):
            liked[c] += weight * np.float32(bits[c] - ONE)
    worst = np.float32(np.inf)
    for c in range(n):
        worst = min(worst, liked[c])
    for c in range(n):
        liked[c] -= worst


@njit(cache=True)
def prune(liked, n, most, chosen):  # type: ignore[no-untyped-def]
    """Put the ``most`` candidates that are liked best into ``chosen``, in their order; returns how many."""
    if n <= most:
        for c in range(n):
            chosen[c] = c
        return n
    least = nth_largest(liked[:n], most)
    equals = most
    for c in range(n):
        equals -= liked[c] > least
    # So many of those at the cut have room. No branches: which way they would go is anybody's guess.
    kept = 0
    for c in range(n):
        at_cut = liked[c] == least
        chosen[kept] = c
        kept += (liked[c] > least) | (at_cut & (equals > 0))
        equals -= at_cut
    return kept
