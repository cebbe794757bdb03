"""From candidates to lists: blend, prune, describe, rank; and to the lists that the ranker learns from."""

from __future__ import annotations

import numpy as np
from numba import njit

from stream.recommending.gathering import EXTRA, HEAVIEST, NEWEST, capacity, gather

# Candidates that the ranker sees, the best by the sources' mixture: ranking costs 0.1 microseconds each.
PRUNE = 64
# Features besides the log shares of the sources: mixture, heaviest count, newest item's share, cosine,
# history, cluster.
MORE_FEATURES = 6
# Units of the ranker's hidden layer: 16 tell situations apart (thin and long histories, strong and weak evidence);
# twice as many gain little and cost half a list's time.
HIDDEN = 16
LEAST_SHARE = np.float32(1e-6)  # stands for "not proposed"; its logarithm is the scale's lower end


@njit(cache=True, inline="always")
def _scaled_log(share):  # type: ignore[no-untyped-def]
    """Scale a share's logarithm from -2, none, to 2, all: networks learn badly from unequal features."""
    return (np.log(max(share, LEAST_SHARE)) + np.float32(6.9)) / np.float32(3.45)


@njit(cache=True, fastmath=True)
def _mix(shares, weights, n, mixed):  # type: ignore[no-untyped-def]
    for c in range(n):
        score = np.float32(0)
        for s in range(len(weights)):
            score += weights[s] * shares[c, s]
        mixed[c] = score


@njit(cache=True)
def _prune(items, mixed, n, available, most, chosen):  # type: ignore[no-untyped-def]
    """Put the ``most`` available candidates that the mixture likes best into ``chosen``; returns how many."""
    m = 0
    for c in range(n):
        if available[items[c]]:
            chosen[m] = c
            m += 1
    if m <= most:
        return m
    least = -np.partition(-mixed[chosen[:m]], most - 1)[most - 1]
    equals = most - (mixed[chosen[:m]] > least).sum()  # so many of those at the cut have room
    kept = 0
    for q in range(m):
        c = chosen[q]
        if mixed[c] == least:
            equals -= 1
        if mixed[c] > least or (mixed[c] == least and equals >= 0):
            chosen[kept] = c
            kept += 1
    return kept


@njit(cache=True, fastmath=True)
def _describe(items, shares, mixed, chosen, m, popularity, item_vectors, person, out):  # type: ignore[no-untyped-def]
    """Write the features of the chosen candidates into ``out`` float32 (m, F)."""
    vector, length, cluster = person
    counts, scale = popularity
    sources = shares.shape[1] - EXTRA
    known = np.float32(1 if cluster >= 0 else -1)
    past = np.log1p(np.float32(length)) / 2 - 1
    for q in range(m):
        c = chosen[q]
        row = items[c]
        for s in range(sources):
            out[q, s] = _scaled_log(shares[c, s])
        for p in range(len(counts)):
            out[q, p] = _scaled_log(counts[p][row] * scale[p]) if row < len(counts[p]) else np.float32(-2)
        dot = np.float32(0)
        for j in range(len(vector)):
            dot += vector[j] * item_vectors[row, j]
        out[q, sources] = _scaled_log(mixed[c])
        out[q, sources + 1] = np.log1p(shares[c, sources + HEAVIEST]) / 2
        out[q, sources + 2] = _scaled_log(shares[c, sources + NEWEST])
        out[q, sources + 3] = 3 * dot
        out[q, sources + 4] = past
        out[q, sources + 5] = known


@njit(cache=True, fastmath=True)
def score_features(X, m, ranker, out):  # type: ignore[no-untyped-def]
    """Score the first ``m`` rows of ``X`` (cap, F): a linear part beside a layer of rectified units."""
    linear, W, b, v = ranker
    hidden = np.empty(HIDDEN, np.float32)
    for q in range(m):
        score = np.float32(0)
        for h in range(HIDDEN):
            hidden[h] = b[h]
        for f in range(len(linear)):
            x = X[q, f]
            score += linear[f] * x
            for h in range(HIDDEN):  # a constant, so that it becomes one vector instruction
                hidden[h] += x * W[f, h]
        for h in range(HIDDEN):
            score += max(hidden[h], np.float32(0)) * v[h]
        out[q] = score


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
    for q in range(len(seen)):
        if seen[q] >= 0:
            place[seen[q]] = -2


@njit(cache=True)
def _clear(seen, items, n, place):  # type: ignore[no-untyped-def]
    for q in range(len(seen)):
        if seen[q] >= 0:
            place[seen[q]] = -1
    for c in range(n):
        place[items[c]] = -1


@njit(cache=True)
def _scratch(rows, cap, sources):  # type: ignore[no-untyped-def]
    """Room for one user's candidates, used again for the next: ``gather``'s three arrays, mixture, places chosen."""
    return (
        np.full(rows, -1, np.int32),
        np.empty(cap, np.int32),
        np.empty((cap, sources + EXTRA), np.float32),
        np.empty(cap, np.float32),
        np.empty(cap, np.int64),
    )


@njit(cache=True)
def make_lists(  # type: ignore[no-untyped-def]
    history, seen, length, cluster, vectors, weights, views, popularity, item_vectors, covisits,
    ranker, available, tie, out_item, out_score, out_source,
):  # fmt: skip
    """Make the lists of m users.

    ``history`` int32 (m, R) and ``seen`` int32 (m, H): item rows, -1 none; ``length`` int64 (m,) of the
    history; ``cluster`` int64 (m,); ``vectors`` float32 (m, d); ``weights`` float32 (m, sources) of the
    mixture; ``popularity`` (counts by half-life, what makes them shares); ``available`` bool and ``tie``
    uint64 (items,). Fills ``out_item`` int32 (m, k) with item rows, best first, -1 where there are no more,
    ``out_score`` float32, and ``out_source`` uint8: which source contributes most.
    """
    sources = weights.shape[1]
    cap = capacity(views, covisits, history)
    place, items, shares, mixed, chosen = _scratch(len(available), cap, sources)
    X = np.empty((PRUNE, sources + MORE_FEATURES), np.float32)
    scores = np.empty(PRUNE, np.float32)
    top = np.empty(out_item.shape[1], np.int64)
    for u in range(len(history)):
        _bar(seen[u], place)
        n = gather(history[u], cluster[u], vectors[u], views, item_vectors, covisits, place, items, shares)
        _mix(shares, weights[u], n, mixed)
        m = _prune(items, mixed, n, available, PRUNE, chosen)
        person = vectors[u], length[u], cluster[u]
        _describe(items, shares, mixed, chosen, m, popularity, item_vectors, person, X)
        score_features(X, m, ranker, scores)
        listed = _best(items, chosen, scores, m, tie, top)
        out_item[u, :] = -1
        for q in range(listed):
            c = chosen[top[q]]
            out_item[u, q] = items[c]
            out_score[u, q] = scores[top[q]]
            out_source[u, q] = _leading_source(shares, weights[u], c)
        _clear(seen[u], items, n, place)


@njit(cache=True)
def sample_lists(  # type: ignore[no-untyped-def]
    target, first, history, seen, length, cluster, vectors, weights, situations, views, popularity, item_vectors,
    covisits, available, taught, features, hit, size,
):  # fmt: skip
    """Draw up what might have been listed for m users just before they took something.

    User u took the item rows ``target[first[u]:first[u + 1]]`` (int32); the rest is as in ``make_lists``, as
    it was then. Adds to ``taught`` float32 (situations, sources) each source's responsibility for what was
    taken, and fills ``features`` float32 (cap, F) and ``hit`` bool (cap,) with the pruned candidates of users
    of whose items some are among them; ``size`` int32 (m,) says how many of each user. Returns how many in
    all.
    """
    sources = weights.shape[1]
    cap = capacity(views, covisits, history)
    place, items, shares, mixed, chosen = _scratch(len(available), cap, sources)
    at = 0
    for u in range(len(history)):
        size[u] = 0
        _bar(seen[u], place)
        n = gather(history[u], cluster[u], vectors[u], views, item_vectors, covisits, place, items, shares)
        _mix(shares, weights[u], n, mixed)
        took = target[first[u] : first[u + 1]]
        for t in took:
            c = place[t]
            if c >= 0 and mixed[c] > 0:
                for s in range(sources):
                    taught[situations[u], s] += weights[u, s] * shares[c, s] / mixed[c]
        _clear(seen[u], items, n, place)
        most = features.shape[0] // len(history)
        m = _prune(items, mixed, n, available, most, chosen)
        X = features[at : at + m]
        person = vectors[u], length[u], cluster[u]
        _describe(items, shares, mixed, chosen, m, popularity, item_vectors, person, X)
        hits = 0
        for q in range(m):
            hit[at + q] = False
            for t in took:
                if items[chosen[q]] == t:
                    hit[at + q] = True
                    hits += 1
        if hits:
            size[u] = m
            at += m
    return at


@njit(cache=True)
def published_rank(rows, item, weight, list_item, history_item, popular, exclude_seen, rank, popular_rank):  # type: ignore[no-untyped-def]
    """Find the item of each event in the list last published for its user, and in one of popular ones.

    ``rows`` int64 (n,) in ``list_item`` uint64 (rows, k) and ``history_item`` uint64 (rows, H); ``popular``
    uint64 (P,). The list of popular ones is the one that the user would have got, without what they have
    seen. Fills ``rank`` and ``popular_rank`` int16 (n,): the place from 0, -1 for a miss, -2 where nothing is
    scored (no list yet, no item, nothing liked).
    """
    k = list_item.shape[1]
    for i in range(len(rows)):
        rank[i] = popular_rank[i] = -2
        r = rows[i]
        if item[i] == 0 or weight[i] <= 0 or list_item[r, 0] == 0:
            continue
        rank[i] = popular_rank[i] = -1
        for q in range(k):
            if list_item[r, q] == item[i]:
                rank[i] = q
                break
        skipped = 0
        for q in range(len(popular)):
            if q - skipped >= k:
                break
            seen = exclude_seen and _holds(history_item[r], popular[q])
            skipped += seen
            if popular[q] == item[i]:
                if not seen:
                    popular_rank[i] = q - skipped
                break


@njit(cache=True)
def _holds(history, item):  # type: ignore[no-untyped-def]
    for h in range(len(history)):
        if history[h] == 0:
            return False
        if history[h] == item:
            return True
    return False
