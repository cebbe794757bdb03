"""What speaks for a candidate, as the ranker sees it; and the user's situation, which is the same for all of a list."""

from __future__ import annotations

import numpy as np
from numba import njit

from stream.recommending.logarithms import take_logs
from stream.recommending.pruning import LEAST_MIXED, LN2
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
# Added to the rate of a class of own items before its logarithm is taken.
LEAST_RATE = np.float32(1e-4)


@njit(cache=True, fastmath=True)
def _describe_shares(chosen, m, heard, shares, mixed, escape, least, popular, base, X):  # type: ignore[no-untyped-def]
    """Write what the sources say of the chosen candidates: logarithms of the ``heard`` columns, and of what sums up."""
    columns = len(shares)
    for f in heard:
        for q in range(m):
            X[f, q] = shares[f, chosen[q]] + least[f]
        take_logs(X, f, f + 1, m, np.float32(1))
    backed = popular + CHANCE
    for q in range(m):
        c = chosen[q]
        X[columns + MIXED, q] = max(mixed[c], LEAST_MIXED)
        X[columns + CHANCES, q] = shares[backed, c] + escape * shares[base, c] + LEAST_CHANCE
    take_logs(X, columns + MIXED, columns + MIXED + 1, m, LN2)
    take_logs(X, columns + CHANCES, columns + CHANCES + 1, m, np.float32(1))


@njit(cache=True, fastmath=True)
def _describe_lives(items, chosen, m, lives, clock, X):  # type: ignore[no-untyped-def]
    """Write how old the items are, and what was taken of them."""
    first, latest, taken, again = lives
    x = len(X) - MORE_FEATURES
    for q in range(m):
        row = items[chosen[q]]
        known_for = taken[row] if row < len(taken) else np.float32(0)
        known = known_for > 0
        X[x + AGE, q] = clock + 1 - first[row] if known else 1
        X[x + QUIET, q] = clock + 1 - latest[row] if known else 1
        X[x + TAKEN, q] = 1 + known_for
        X[x + AGAIN, q] = again[row] / (known_for + np.float32(5)) if known else 0
    take_logs(X, x + AGE, x + QUIET + 1, m, LN2)
    take_logs(X, x + TAKEN, x + TAKEN + 1, m, LN2)


@njit(cache=True, fastmath=True)
def _compare(items, chosen, m, vector, last, item_vectors, X):  # type: ignore[no-untyped-def]
    """Write how like the items are to the user's ``vector``, and to the item taken ``last``, -1 none."""
    x = len(X) - MORE_FEATURES
    other = item_vectors[max(last, 0)]
    for q in range(m):
        theirs = item_vectors[items[chosen[q]]]
        like_profile, like_last = np.float32(0), np.float32(0)
        for j in range(len(vector)):
            like_profile += vector[j] * theirs[j]
            like_last += other[j] * theirs[j]
        X[x + LIKE_PROFILE, q] = like_profile
        X[x + LIKE_LAST, q] = like_last if last >= 0 else np.float32(0)


@njit(cache=True, fastmath=True)
def _describe_own(u, chosen, m, own_at, own, steps, rates, X):  # type: ignore[no-untyped-def]
    """Write what the user has had to do with the items that are their own; of the others nothing."""
    _, count, lag, idle, usual = own
    x = len(X) - MORE_FEATURES
    X[x + SEEN :, :m] = 0
    some = False
    for q in range(m):
        h = own_at[chosen[q]]
        if h < 0:
            continue
        if not some:
            X[x + COUNT : x + OVERDUE + 1, :m] = 1
            X[x + RATED, :m] = 1
            some = True
        seconds = idle[u, h]
        X[x + SEEN, q] = 1
        X[x + COUNT, q] = count[u, h]
        X[x + LAG, q] = lag[u, h]
        X[x + IDLE, q] = 1 + seconds / 60
        if usual[u, h] >= 0:
            X[x + OVERDUE, q] = (seconds + 60) / (usual[u, h] + 60)
        X[x + RATE, q] = count[u, h] / (steps + np.float32(1))
        X[x + RATED, q] = rates[cell(count[u, h], lag[u, h], seconds)] + LEAST_RATE
    if some:
        take_logs(X, x + COUNT, x + OVERDUE + 1, m, LN2)
        take_logs(X, x + RATED, x + RATED + 1, m, LN2)


@njit(cache=True)
def describe(u, chosen, m, heard, gathered, mixed, people, known, least, X):  # type: ignore[no-untyped-def]
    """Write the features of user ``u``'s chosen candidates into ``X`` float32 (F, >= m), a row per feature.

    Of the columns of shares only those that are ``heard`` (h,): of the others all candidates have the same.
    ``gathered`` is (items, shares, own_at) of ``gather``, ``mixed`` the mixture of the shares. ``people`` is (own,
    steps (m,), last item (m,), vectors (m, d), escape (m,)); ``known`` is (lives of items, clock, item vectors, rates
    of repeats, columns of popularity, which of these is backed off to).
    """
    items, shares, own_at = gathered
    own, steps, last, vectors, escape = people
    lives, clock, item_vectors, rates, popular, base = known
    _describe_shares(chosen, m, heard, shares, mixed, escape[u], least, popular, base, X)
    _describe_lives(items, chosen, m, lives, clock, X)
    _compare(items, chosen, m, vectors[u], last[u], item_vectors, X)
    _describe_own(u, chosen, m, own_at, own, steps[u], rates, X)
