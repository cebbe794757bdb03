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
# Least probability by backing off, and by the mixture.
LEAST_CHANCE = np.float32(1e-6)
LEAST_MIXED = np.float32(1e-7)
# Of ``take_logs``: 2 / (n ln 2) for n = 1, 3, 5, 7; the root of 2, and its logarithm.
SERIES = tuple(np.float32(2 / (n * np.log(2))) for n in (1, 3, 5, 7))
ROOT, HALF = np.float32(np.sqrt(2)), np.float32(0.5)
LN2 = np.float32(np.log(2))


@njit(cache=True, fastmath=True, error_model="numpy")
def take_logs(X, first, last, m, unit):  # type: ignore[no-untyped-def]
    """Replace the first m of each of the rows ``first`` to ``last`` of ``X`` float32 by unit * log2(x), to 1e-6.

    From the bits of a positive number: its exponent, and of its mantissa f the series of log((1 + s) / (1 - s)) with
    s = (f - c) / (f + c) and c the root of 2, so that s is below .18. Library logarithms, one by one, would cost more
    than all the rest of a list; nor does a division that may raise become a vector instruction.
    """
    bits = X.view(np.int32)
    exponent = np.empty(m, np.float32)
    for f in range(first, last):
        for q in range(m):
            exponent[q] = (bits[f, q] >> 23) - 127
            bits[f, q] = (bits[f, q] & 0x7FFFFF) | 0x3F800000
        for q in range(m):
            s = (X[f, q] - ROOT) / (X[f, q] + ROOT)
            z = s * s
            series = s * (SERIES[0] + z * (SERIES[1] + z * (SERIES[2] + z * SERIES[3])))
            X[f, q] = unit * (exponent[q] + HALF + series)


@njit(cache=True, fastmath=True)
def _describe_own(u, h, own, steps, rates, X, q):  # type: ignore[no-untyped-def]
    """What the user has had to do with the item at place ``h`` of the history."""
    _, count, lag, idle, usual = own
    seconds = idle[u, h]
    x = len(X) - MORE_FEATURES
    X[x + SEEN, q] = 1
    X[x + COUNT, q] = np.log(count[u, h])
    X[x + LAG, q] = np.log(lag[u, h])
    X[x + IDLE, q] = np.log1p(seconds / 60)
    if usual[u, h] >= 0:
        X[x + OVERDUE, q] = np.log((seconds + 60) / (usual[u, h] + 60))
    X[x + RATE, q] = count[u, h] / (steps[u] + np.float32(1))
    X[x + RATED, q] = np.log(rates[cell(count[u, h], lag[u, h], seconds)] + np.float32(1e-4))


@njit(cache=True, fastmath=True)
def _compare(vector, last, row, item_vectors, X, q):  # type: ignore[no-untyped-def]
    """How like item ``row`` is to the user's ``vector``, and to the item taken ``last``, -1 none."""
    like_profile, like_last = np.float32(0), np.float32(0)
    for j in range(len(vector)):
        like_profile += vector[j] * item_vectors[row, j]
    if last >= 0:
        for j in range(len(vector)):
            like_last += item_vectors[last, j] * item_vectors[row, j]
    x = len(X) - MORE_FEATURES
    X[x + LIKE_PROFILE, q] = like_profile
    X[x + LIKE_LAST, q] = like_last


@njit(cache=True, fastmath=True)
def describe(u, chosen, m, gathered, mixed, people, known, least, X):  # type: ignore[no-untyped-def]
    """Write the features of user ``u``'s chosen candidates into ``X`` float32 (F, >= m), a row per feature.

    ``gathered`` is (items, shares, own_at) of ``gather``, ``mixed`` the mixture of the shares. ``people`` is (own,
    steps (m,), last item (m,), vectors (m, d), escape (m,)); ``known`` is (lives of items, clock, item vectors, rates
    of repeats, columns of popularity, which of these is backed off to).
    """
    items, shares, own_at = gathered
    own, steps, last, vectors, escape = people
    (first, latest, taken, again), clock, item_vectors, rates, popular, base = known
    columns = shares.shape[1]
    X[columns + SEEN :, :m] = 0
    for q in range(m):
        c = chosen[q]
        row = items[c]
        for f in range(columns):
            X[f, q] = shares[c, f] + least[f]
        X[columns + MIXED, q] = max(mixed[c], LEAST_MIXED)
        X[columns + CHANCES, q] = shares[c, popular + CHANCE] + escape[u] * shares[c, base] + LEAST_CHANCE
        known_for = taken[row] if row < len(taken) else np.float32(0)
        X[columns + AGE, q] = clock + 1 - first[row] if known_for > 0 else 1
        X[columns + QUIET, q] = clock + 1 - latest[row] if known_for > 0 else 1
        X[columns + TAKEN, q] = 1 + known_for
        X[columns + AGAIN, q] = again[row] / (known_for + np.float32(5)) if known_for > 0 else 0
        _compare(vectors[u], last[u], row, item_vectors, X, q)
        if own_at[c] >= 0:
            _describe_own(u, own_at[c], own, steps, rates, X, q)
    take_logs(X, 0, columns, m, np.float32(1))
    take_logs(X, columns + MIXED, columns + MIXED + 1, m, LN2)
    take_logs(X, columns + CHANCES, columns + CHANCES + 1, m, np.float32(1))
    take_logs(X, columns + AGE, columns + QUIET + 1, m, LN2)
    take_logs(X, columns + TAKEN, columns + TAKEN + 1, m, LN2)
