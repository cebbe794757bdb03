"""What speaks for a candidate, as the ranker sees it; and the user's situation, which is the same for all of a list."""

from __future__ import annotations

import numpy as np
from numba import njit

from stream.recommending.repeats import cell
from stream.recommending.sources import CHANCE
from stream.steps import CONTEXTS

# Features behind the logarithms of the columns' shares.
(
    MIXED, CHANCES, AGE, QUIET, AGAIN, TAKEN, LIKE_PROFILE, LIKE_LAST, SEEN, COUNT, LAG, IDLE, OVERDUE, RATE, RATED,
) = range(15)  # fmt: skip
MORE_FEATURES = 15
# Of the situation: history, steps, silence, repeats, basket, session, the log's repeats, pause, cluster; then the
# evidence in contexts, the escape from them, and what item models say in all.
SITUATION = 9 + CONTEXTS + 1 + 2
# Least probability by backing off.
LEAST_CHANCE = np.float32(1e-6)


@njit(cache=True, fastmath=True)
def take_logs(X, m, columns, least):  # type: ignore[no-untyped-def]
    """Replace the first ``columns`` of m rows of ``X`` float32 by log2(x + least), to 2e-4.

    From the bits of a number: its exponent, and a polynomial of its mantissa. Library logarithms cost more than
    all the rest of a list.
    """
    bits = X.view(np.int32)
    exponent = np.empty(columns, np.float32)
    for q in range(m):
        for f in range(columns):
            X[q, f] += least[f]
        for f in range(columns):
            exponent[f] = (bits[q, f] >> 23) - 127
            bits[q, f] = (bits[q, f] & 0x7FFFFF) | 0x3F800000
        for f in range(columns):
            x = X[q, f]
            y = np.float32(-0.0800109) * x + np.float32(0.6355111)
            y = y * x + np.float32(-2.0994023)
            y = y * x + np.float32(4.0496169)
            X[q, f] = exponent[f] + y * x + np.float32(-2.5056147)


@njit(cache=True, fastmath=True)
def _dot(a, b):  # type: ignore[no-untyped-def]
    total = np.float32(0)
    for j in range(len(a)):
        total += a[j] * b[j]
    return total


@njit(cache=True, fastmath=True)
def _describe_own(u, h, own, steps, rates, x):  # type: ignore[no-untyped-def]
    """What the user has had to do with the item at place ``h`` of the history; -1: nothing."""
    _, count, lag, idle, usual = own
    x[:] = 0
    if h < 0:
        return
    seconds = idle[u, h]
    x[0] = 1
    x[1] = np.log(count[u, h])
    x[2] = np.log(lag[u, h])
    x[3] = np.log1p(seconds / 60)
    if usual[u, h] >= 0:
        x[4] = np.log((seconds + 60) / (usual[u, h] + 60))
    x[5] = count[u, h] / (steps[u] + np.float32(1))
    x[6] = np.log(rates[cell(count[u, h], lag[u, h], seconds)] + np.float32(1e-4))


@njit(cache=True, fastmath=True)
def describe(u, chosen, m, gathered, mixed, people, known, least, X):  # type: ignore[no-untyped-def]
    """Write the features of user ``u``'s chosen candidates into ``X`` float32 (m, F).

    ``gathered`` is (items, shares, own_at) of ``gather``, ``mixed`` the mixture of the shares. ``people`` is (own,
    steps (m,), last item (m,), vectors (m, d), escape (m,)); ``known`` is (lives of items, clock, item vectors, rates
    of repeats, columns of popularity, which of these is backed off to).
    """
    items, shares, own_at = gathered
    own, steps, last, vectors, escape = people
    (first, latest, taken, again), clock, item_vectors, rates, popular, base = known
    columns = shares.shape[1]
    for q in range(m):
        c = chosen[q]
        row = items[c]
        X[q, :columns] = shares[c]
        X[q, columns + MIXED] = np.log(max(mixed[c], np.float32(1e-7)))
        chance = shares[c, popular + CHANCE] + escape[u] * shares[c, base] + LEAST_CHANCE
        X[q, columns + CHANCES] = np.log2(chance)
        if row < len(taken) and taken[row] > 0:
            X[q, columns + AGE] = np.log1p(np.float32(clock - first[row]))
            X[q, columns + QUIET] = np.log1p(np.float32(clock - latest[row]))
            X[q, columns + AGAIN] = again[row] / (taken[row] + np.float32(5))
            X[q, columns + TAKEN] = np.log1p(taken[row])
        else:
            X[q, columns + AGE : columns + TAKEN + 1] = 0
        X[q, columns + LIKE_PROFILE] = _dot(vectors[u], item_vectors[row])
        X[q, columns + LIKE_LAST] = _dot(item_vectors[last[u]], item_vectors[row]) if last[u] >= 0 else 0
        _describe_own(u, own_at[c], own, steps, rates, X[q, columns + SEEN :])
    take_logs(X, m, columns, least)
