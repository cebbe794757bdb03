"""From candidates to lists: blend, glance, prune, describe, rank; and to the lists that the ranker learns from."""

from __future__ import annotations

import numpy as np
from numba import njit

from stream.recommending.features import MIXED, MORE_FEATURES, describe
from stream.recommending.gathering import gather, head_of
from stream.recommending.pruning import glance_at, mix, prune
from stream.recommending.scoring import HIDDEN, score_features, silent_ones, situate
from stream.recommending.scratch import BARRED, FREE

# Candidates that the ranker sees, the best at first glance: describing and ranking costs 0.1 microseconds each. Half as
# many lose a hundredth of what lists find; with all of them they are hardly better.
PRUNE = 128
# Rows of features lie so many candidates further apart than they are long: rows at powers of two push each other out of
# the cache.
APART = 16


@njit(cache=True)
def _best(items, chosen, scores, m, tie, top):  # type: ignore[no-untyped-def]
    """Put the places in ``chosen`` of the best scores into ``top`` (k,), ties by ``tie``; how many."""
    k = len(top)
    n = 0
    for c in range(m):
        q = n if n < k else k - 1
        if n == k and not _before(c, top[q], items, chosen, scores, tie):
            continue
        while q > 0 and _before(c, top[q - 1], items, chosen, scores, tie):
            top[q] = top[q - 1]
            q -= 1
        top[q] = c
        n = min(n + 1, k)
    return n


@njit(cache=True, inline="always")
def _before(a, b, items, chosen, scores, tie):  # type: ignore[no-untyped-def]
    if scores[a] != scores[b]:
        return scores[a] > scores[b]
    return tie[items[chosen[a]]] < tie[items[chosen[b]]]


@njit(cache=True)
def _lead(shares, heard, weights, chosen, top, listed, out):  # type: ignore[no-untyped-def]
    """Write into ``out`` (k,) which column contributes most to each of the ``listed`` best."""
    for q in range(listed):
        c = chosen[top[q]]
        best, most = 0, np.float32(0)
        for s in heard:
            part = weights[s] * shares[s, c]
            best, most = (s, part) if part > most else (best, most)
        out[q] = best


@njit(cache=True)
def _bar(seen, place):  # type: ignore[no-untyped-def]
    for row in seen:
        if row >= 0:
            place[row] = BARRED


@njit(cache=True)
def _clear(seen, items, n, place, heard, shares):  # type: ignore[no-untyped-def]
    """Leave the room as it was found."""
    for row in seen:
        if row >= 0:
            place[row] = FREE
    for c in range(n):
        place[items[c]] = FREE
    for s in heard:
        shares[s, :n] = 0


@njit(cache=True)
def make_lists(  # type: ignore[no-untyped-def]
    people, seen, situation, weights, charts, proposals, first, known, least, glance, ranker, available, tie, scratch,
    out_item, out_score, out_source,
):  # fmt: skip
    """Make the lists of m users.

    ``people`` and ``known`` are as ``describe`` has them, ``charts``, ``proposals`` and ``first`` as ``gather``.
    ``seen`` int32 (m, H): item rows barred, -1 none; ``situation`` float32 (m, SITUATION); ``weights`` float32 (m,
    columns) of the mixture, ``glance`` float32 (columns + 1,) of the first glance; ``available`` bool and ``tie``
    uint64 (items,); ``scratch`` is ``Scratch.candidates``. Fills ``out_item`` int32 (m, k) with item rows, best first,
    -1 where there are no more, ``out_score`` float32, and ``out_source`` uint8: the column that contributes most.
    """
    own, rates, columns = people[0], known[3], weights.shape[1]
    place, items, shares, own_at, mixed, liked, chosen = scratch
    heads, floor = head_of(charts, available, place), np.log2(least)
    X, scores, situated, heard, told = _room(columns)
    top = np.empty(out_item.shape[1], np.int64)
    for u in range(len(weights)):
        _bar(seen[u], place)
        n = gather(
            u, own, rates, charts, heads, proposals, first, available, place, items, shares, own_at, heard
        )
        voices, features = _told(heard, told)
        mix(shares, voices, weights[u], n, mixed)
        glance_at(shares, voices, mixed, least, glance, n, liked)
        m = prune(liked, n, PRUNE, chosen)
        describe(u, chosen, m, voices, (items, shares, own_at), mixed, people, known, least, X)
        situate(situation[u], ranker, situated)
        alike = silent_ones(floor, heard, ranker, situated)
        score_features(X, m, features, columns + MIXED, alike, situated, ranker, scores)
        listed = _best(items, chosen, scores, m, tie, top)
        _lead(shares, voices, weights[u], chosen, top, listed, out_source[u])
        out_item[u, :] = -1
        for q in range(listed):
            out_item[u, q], out_score[u, q] = items[chosen[top[q]]], scores[top[q]]
        _clear(seen[u], items, n, place, voices, shares)


@njit(cache=True)
def _room(columns):  # type: ignore[no-untyped-def]
    """Room for what is ranked of one user: features, scores, hidden units, columns heard, and features told."""
    features = columns + MORE_FEATURES
    return (
        np.empty((features, PRUNE + APART), np.float32),
        np.empty(PRUNE, np.float32),
        np.empty(HIDDEN, np.float32),
        np.empty(columns, np.bool_),
        np.empty(features, np.int64),
    )


@njit(cache=True)
def _told(heard, told):  # type: ignore[no-untyped-def]
    """Give the columns that are ``heard``, and with them all features behind the columns; ``told`` (F,) is room."""
    h = 0
    for s in range(len(heard)):
        told[h] = s
        h += heard[s]
    for f in range(MORE_FEATURES):
        told[h + f] = len(heard) + f
    return told[:h], told[: h + MORE_FEATURES]


@njit(cache=True)
def _sample(liked, is_target, own_at, n, most, chosen):  # type: ignore[no-untyped-def]
    """Choose up to ``most`` candidates to learn from, of those that would be ranked in either kind of list.

    Those are the PRUNE liked best, and the PRUNE liked best that are new to the user. Of them all that were taken, and
    of the rest every so-manieth by liking, so that the ranker learns on what it will be asked.
    """
    order = np.argsort(-liked[:n], kind="mergesort")
    ranked = np.zeros(n, np.bool_)
    new = 0
    for q in range(n):
        c = order[q]
        if q < PRUNE or (own_at[c] < 0 and new < PRUNE):
            ranked[q] = True
        new += own_at[c] < 0
    m, rest = 0, 0
    for q in range(n):
        if ranked[q] and is_target[order[q]] and m < most // 2:
            chosen[m] = order[q]
            m += 1
            ranked[q] = False
        rest += ranked[q]
    room, seen = most - m, 0
    for q in range(n):
        if ranked[q] and not is_target[order[q]]:
            if rest <= room or (seen + 1) * room // rest > seen * room // rest:
                chosen[m] = order[q]
                m += 1
            seen += 1
    return m


@njit(cache=True)
def sample_lists(  # type: ignore[no-untyped-def]
    target, bounds, people, weights, mixtures, charts, proposals, first, known, least, glance, available, scratch,
    most, taught, features, hit, size,
):  # fmt: skip
    """Draw up what might have been listed for m users just before they took something.

    User u took the item rows ``target[bounds[u]:bounds[u + 1]]`` (int32), distinct ones; the rest is as in
    ``make_lists``, as it was then, and nothing is barred. Adds to ``taught`` float32 (SITUATIONS, columns), in the row
    ``mixtures[u]``, each column's responsibility for what was taken; fills ``features`` float32 (m * most, F) and
    ``hit`` bool with ``most`` candidates of each user of whose items some are among them; ``size`` int32 (m,) says
    how many of each user. Returns how many in all.
    """
    own, rates, columns = people[0], known[3], weights.shape[1]
    place, items, shares, own_at, mixed, liked, _ = scratch
    heads = head_of(charts, available, place)
    heard, everything = np.empty(columns, np.bool_), np.arange(columns)
    is_target = np.empty(len(items), np.bool_)
    chosen = np.empty(most, np.int64)
    X = np.empty((columns + MORE_FEATURES, most), np.float32)
    at = 0
    for u in range(len(weights)):
        size[u] = 0
        n = gather(
            u, own, rates, charts, heads, proposals, first, available, place, items, shares, own_at, heard
        )
        mix(shares, everything, weights[u], n, mixed)
        took = target[bounds[u] : bounds[u + 1]]
        is_target[:n] = False
        for t in took:
            c = place[t]
            if c >= 0 and mixed[c] > 0:
                is_target[c] = True
                for s in range(columns):
                    taught[mixtures[u], s] += weights[u, s] * shares[s, c] / mixed[c]
        glance_at(shares, everything, mixed, least, glance, n, liked)
        m = _sample(liked, is_target, own_at, n, most, chosen)
        hits = False
        for q in range(m):
            hit[at + q] = is_target[chosen[q]]
            hits |= hit[at + q]
        if hits:
            describe(u, chosen, m, everything, (items, shares, own_at), mixed, people, known, least, X)
            features[at : at + m] = X[:, :m].T
            size[u] = m
            at += m
        _clear(target[:0], items, n, place, everything, shares)
    return at
