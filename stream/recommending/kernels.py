"""From candidates to lists: blend, glance, prune, describe, rank; and to the lists that the ranker learns from."""

from __future__ import annotations

import numpy as np
from numba import njit

from stream.recommending.features import MIXED, MORE_FEATURES, describe
from stream.recommending.gathering import BARRED, FREE, capacity, gather
from stream.recommending.pruning import glance_at, mix, prune

# Candidates that the ranker sees, the best at first glance: describing and ranking costs 0.1 microseconds each. Half as
# many lose a hundredth of what lists find; with all of them they are hardly better.
PRUNE = 128
# Units of the ranker's hidden layer: 16 tell situations apart (thin and long histories, strong and weak evidence);
# twice as many gain little and cost half a list's time.
HIDDEN = 16
# Features are held within so many standard deviations: one that is far out would drown all others.
FAR_OUT = np.float32(5)


@njit(cache=True, fastmath=True)
def situate(situation, ranker, hidden):  # type: ignore[no-untyped-def]
    """Write into ``hidden`` (HIDDEN,) what the situation (S,), the same for a whole list, gives to each unit."""
    _, _, _, _, _, S, b, _, mean, scale = ranker
    for h in range(HIDDEN):
        hidden[h] = b[h]
    for f in range(len(situation)):
        x = min(FAR_OUT, max(-FAR_OUT, (situation[f] - mean[f]) * scale[f]))
        for h in range(HIDDEN):
            hidden[h] += x * S[f, h]


@njit(cache=True, fastmath=True)
def score_features(X, m, prior, situated, ranker, out):  # type: ignore[no-untyped-def]
    """Score the first ``m`` columns of ``X`` (F, cap), which is changed: a linear part beside rectified units.

    ``prior`` is the feature that also counts by itself, as it is; ``situated`` (HIDDEN,) is from ``situate``. All inner
    loops run over candidates, which lie side by side: so each is one vector instruction for many of them.
    """
    gain, mean, scale, linear, W, _, _, v, _, _ = ranker
    for q in range(m):
        out[q] = gain[0] * X[prior, q]
    for f in range(len(linear)):
        for q in range(m):
            X[f, q] = min(FAR_OUT, max(-FAR_OUT, (X[f, q] - mean[f]) * scale[f]))
            out[q] += linear[f] * X[f, q]
    fours = len(linear) // 4 * 4
    one, two = np.empty(m, np.float32), np.empty(m, np.float32)
    # Two units and four features at once, or loads and stores would be most of it.
    for h in range(0, HIDDEN, 2):
        one[:], two[:] = situated[h], situated[h + 1]
        for f in range(0, fours, 4):
            a, b, c, d = W[f, h], W[f + 1, h], W[f + 2, h], W[f + 3, h]
            s, t, x, y = W[f, h + 1], W[f + 1, h + 1], W[f + 2, h + 1], W[f + 3, h + 1]
            for q in range(m):
                one[q] += a * X[f, q] + b * X[f + 1, q] + c * X[f + 2, q] + d * X[f + 3, q]
                two[q] += s * X[f, q] + t * X[f + 1, q] + x * X[f + 2, q] + y * X[f + 3, q]
        for f in range(fours, len(linear)):
            for q in range(m):
                one[q] += W[f, h] * X[f, q]
                two[q] += W[f, h + 1] * X[f, q]
        for q in range(m):
            out[q] += max(one[q], np.float32(0)) * v[h] + max(two[q], np.float32(0)) * v[h + 1]


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
def _leading_source(shares, weights, c):  # type: ignore[no-untyped-def]
    best = 0
    for s in range(1, len(weights)):
        if weights[s] * shares[c, s] > weights[best] * shares[c, best]:
            best = s
    return best


@njit(cache=True)
def _bar(seen, place):  # type: ignore[no-untyped-def]
    for row in seen:
        if row >= 0:
            place[row] = BARRED


@njit(cache=True)
def _clear(seen, items, n, place):  # type: ignore[no-untyped-def]
    for row in seen:
        if row >= 0:
            place[row] = FREE
    for c in range(n):
        place[items[c]] = FREE


@njit(cache=True)
def _scratch(rows, cap, columns):  # type: ignore[no-untyped-def]
    """Room for one user's candidates, used again for the next: ``gather``'s four, mixture, first glance, choice."""
    return (
        np.full(rows, FREE, np.int32),
        np.empty(cap, np.int32),
        np.empty((cap, columns), np.float32),
        np.empty(cap, np.int32),
        np.empty(cap, np.float32),
        np.empty(cap, np.float32),
        np.empty(cap, np.int64),
    )


@njit(cache=True)
def make_lists(  # type: ignore[no-untyped-def]
    people, seen, situation, weights, charts, proposals, first, known, least, glance, ranker, available, tie,
    out_item, out_score, out_source,
):  # fmt: skip
    """Make the lists of m users.

    ``people`` and ``known`` are as ``describe`` has them, ``charts``, ``proposals`` and ``first`` as ``gather``.
    ``seen`` int32 (m, H): item rows barred, -1 none; ``situation`` float32 (m, SITUATION); ``weights`` float32 (m,
    columns) of the mixture, ``glance`` float32 (columns + 1,) of the first glance; ``available`` bool and ``tie``
    uint64 (items,). Fills ``out_item`` int32 (m, k) with item rows, best first, -1 where there are no more,
    ``out_score`` float32, and ``out_source`` uint8: the column that contributes most.
    """
    own, rates, columns = people[0], known[3], weights.shape[1]
    cap = capacity(charts, proposals, own)
    place, items, shares, own_at, mixed, liked, chosen = _scratch(len(available), cap, columns)
    X = np.empty((columns + MORE_FEATURES, PRUNE), np.float32)
    scores = np.empty(PRUNE, np.float32)
    situated = np.empty(HIDDEN, np.float32)
    top = np.empty(out_item.shape[1], np.int64)
    for u in range(len(weights)):
        _bar(seen[u], place)
        n = gather(u, own, rates, charts, proposals, first, available, place, items, shares, own_at)
        mix(shares, weights[u], n, mixed)
        glance_at(shares, mixed, least, glance, n, liked)
        m = prune(liked, n, PRUNE, chosen)
        describe(u, chosen, m, (items, shares, own_at), mixed, people, known, least, X)
        situate(situation[u], ranker, situated)
        score_features(X, m, columns + MIXED, situated, ranker, scores)
        listed = _best(items, chosen, scores, m, tie, top)
        out_item[u, :] = -1
        for q in range(listed):
            c = chosen[top[q]]
            out_item[u, q] = items[c]
            out_score[u, q] = scores[top[q]]
            out_source[u, q] = _leading_source(shares, weights[u], c)
        _clear(seen[u], items, n, place)


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
    target, bounds, people, weights, mixtures, charts, proposals, first, known, least, glance, available, most,
    taught, features, hit, size,
):  # fmt: skip
    """Draw up what might have been listed for m users just before they took something.

    User u took the item rows ``target[bounds[u]:bounds[u + 1]]`` (int32), distinct ones; the rest is as in
    ``make_lists``, as it was then, and nothing is barred. Adds to ``taught`` float32 (SITUATIONS, columns), in the row
    ``mixtures[u]``, each column's responsibility for what was taken; fills ``features`` float32 (m * most, F) and
    ``hit`` bool with ``most`` candidates of each user of whose items some are among them; ``size`` int32 (m,) says
    how many of each user. Returns how many in all.
    """
    own, rates, columns = people[0], known[3], weights.shape[1]
    cap = capacity(charts, proposals, own)
    place, items, shares, own_at, mixed, liked, _ = _scratch(len(available), cap, columns)
    is_target = np.empty(cap, np.bool_)
    chosen = np.empty(most, np.int64)
    X = np.empty((columns + MORE_FEATURES, most), np.float32)
    at = 0
    for u in range(len(weights)):
        size[u] = 0
        n = gather(u, own, rates, charts, proposals, first, available, place, items, shares, own_at)
        mix(shares, weights[u], n, mixed)
        took = target[bounds[u] : bounds[u + 1]]
        is_target[:n] = False
        for t in took:
            c = place[t]
            if c >= 0 and mixed[c] > 0:
                is_target[c] = True
                for s in range(columns):
                    taught[mixtures[u], s] += weights[u, s] * shares[c, s] / mixed[c]
        glance_at(shares, mixed, least, glance, n, liked)
        m = _sample(liked, is_target, own_at, n, most, chosen)
        hits = False
        for q in range(m):
            hit[at + q] = is_target[chosen[q]]
            hits |= hit[at + q]
        if hits:
            describe(u, chosen, m, (items, shares, own_at), mixed, people, known, least, X)
            features[at : at + m] = X[:, :m].T
            size[u] = m
            at += m
        _clear(target[:0], items, n, place)
    return at
