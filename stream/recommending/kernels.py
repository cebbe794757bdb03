"""Candidates, their blend and the best of them, one user at a time over whole arrays."""

from __future__ import annotations

import numpy as np
from numba import njit

POPULAR, TRENDING, COVISITATION, CONTENT = 0, 1, 2, 3
# Weight of a user's items by how long ago they were touched, from the newest on: the tenth last counts an eighth.
LAG_DECAY = np.float32(0.8)
# Temperature of the softmax over cosines in a shortlist: cosines of a good and of a middling match differ by about .1 to
# .2; lower trusts the nearest item alone, higher makes every item alike.
TEMPERATURE = np.float32(0.08)


@njit(cache=True, inline="always")
def _offer(row, source, share, place, items, shares, n):  # type: ignore[no-untyped-def]
    """Give candidate ``row`` the share of one source; returns the number of candidates. place: -1 free, -2 barred."""
    at = place[row]
    if at == -2:
        return n
    if at < 0:
        at = n
        n += 1
        place[row] = at
        items[at] = row
        for s in range(shares.shape[1]):
            shares[at, s] = 0
    shares[at, source] += share
    return n


@njit(cache=True, fastmath=True)
def gather(history, cluster, vector, views, item_vectors, covisits, place, items, shares):  # type: ignore[no-untyped-def]
    """Collect one user's candidates.

    ``history`` int32 (R,) item rows, newest first, -1 none; ``cluster`` row of the cluster views or -1; ``vector``
    float32 (d,) unit or zeros. ``views`` as of ``Views.arrays``; ``covisits`` (ids, counts, totals). ``place`` int32 (items,)
    scratch: -2 where an item is barred, else -1; it comes back with candidates in it, for the caller to clear.
    Fills ``items`` int32 (cap,) and ``shares`` float32 (cap, sources); returns how many.
    """
    popular, popular_share, trending, trending_share, content = views
    n = 0
    for q in range(len(popular)):
        n = _offer(popular[q], POPULAR, popular_share[q], place, items, shares, n)
    total = np.float32(0)
    lag = np.float32(1)
    for q in range(len(history)):
        if history[q] >= 0:
            total += lag
            lag *= LAG_DECAY
    lag = np.float32(1)
    ids, counts, totals = covisits
    for q in range(len(history)):
        r = history[q]
        if r < 0:
            continue
        if r < len(totals) and totals[r] > 0:
            scale = lag / (total * totals[r])
            for w in range(ids.shape[1]):
                if ids[r, w] >= 0:
                    n = _offer(ids[r, w], COVISITATION, scale * counts[r, w], place, items, shares, n)
        lag *= LAG_DECAY
    if 0 <= cluster < len(trending):
        for q in range(trending.shape[1]):
            if trending[cluster, q] < 0:
                break
            n = _offer(trending[cluster, q], TRENDING, trending_share[cluster, q], place, items, shares, n)
    if cluster < 0 or cluster >= len(content):
        return n
    sims = np.empty(content.shape[1], np.float32)
    norm = np.float32(0)
    for q in range(content.shape[1]):
        r = content[cluster, q]
        if r < 0:
            break
        dot = np.float32(0)
        for j in range(len(vector)):
            dot += vector[j] * item_vectors[r, j]
        sims[q] = np.exp((dot - 1) / TEMPERATURE)
        norm += sims[q]
    for q in range(content.shape[1]):
        r = content[cluster, q]
        if r < 0:
            break
        n = _offer(r, CONTENT, sims[q] / norm, place, items, shares, n)
    return n


@njit(cache=True)
def _bar(seen, available, place):  # type: ignore[no-untyped-def]
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
def _best(items, scores, n, available, tie, top, top_score):  # type: ignore[no-untyped-def]
    """Candidate places of the highest scores into ``top`` (k,), ties by ``tie`` of the item; returns how many."""
    k = len(top)
    m = 0
    for c in range(n):
        if scores[c] <= 0 or not available[items[c]]:
            continue
        if m == k and scores[c] < top_score[m - 1]:
            continue
        q = m if m < k else k - 1
        if m == k and scores[c] == top_score[q] and tie[items[c]] > tie[items[top[q]]]:
            continue
        while q > 0 and (
            top_score[q - 1] < scores[c]
            or (top_score[q - 1] == scores[c] and tie[items[top[q - 1]]] > tie[items[c]])
        ):
            top_score[q] = top_score[q - 1]
            top[q] = top[q - 1]
            q -= 1
        top_score[q] = scores[c]
        top[q] = c
        if m < k:
            m += 1
    return m


@njit(cache=True, fastmath=True)
def make_lists(history, seen, cluster, vectors, weights, views, item_vectors, covisits, available, tie, out_item, out_score, out_source):  # type: ignore[no-untyped-def]
    """Lists for m users.

    ``history`` int32 (m, R) and ``seen`` int32 (m, H): item rows, -1 none; ``cluster`` int64 (m,); ``vectors`` float32 (m, d);
    ``weights`` float32 (m, sources); ``available`` bool and ``tie`` uint64 (items,). Fills ``out_item`` int32 (m, k) with
    item rows, best first, -1 where there are no more, ``out_score`` float32, and ``out_source`` uint8: which source
    contributes most.
    """
    popular, _, trending, _, content = views
    cap = len(popular) + trending.shape[1] + content.shape[1] + history.shape[1] * covisits[0].shape[1]
    sources = weights.shape[1]
    place = np.full(len(available), -1, np.int32)
    items = np.empty(cap, np.int32)
    shares = np.empty((cap, sources), np.float32)
    scores = np.empty(cap, np.float32)
    k = out_item.shape[1]
    top = np.empty(k, np.int64)
    top_score = np.empty(k, np.float32)
    for u in range(len(history)):
        _bar(seen[u], available, place)
        n = gather(history[u], cluster[u], vectors[u], views, item_vectors, covisits, place, items, shares)
        for c in range(n):
            score = np.float32(0)
            for s in range(sources):
                score += weights[u, s] * shares[c, s]
            scores[c] = score
        m = _best(items, scores, n, available, tie, top, top_score)
        for q in range(k):
            out_item[u, q] = -1
            if q < m:
                c = top[q]
                out_item[u, q] = items[c]
                out_score[u, q] = scores[c]
                best = 0
                for s in range(1, sources):
                    if weights[u, s] * shares[c, s] > weights[u, best] * shares[c, best]:
                        best = s
                out_source[u, q] = best
        _clear(seen[u], items, n, place)


@njit(cache=True, fastmath=True)
def teach(target, history, cluster, vectors, weights, situations, views, item_vectors, covisits, out):  # type: ignore[no-untyped-def]
    """Add to ``out`` float32 (situations, sources) each source's responsibility for the items that users took.

    ``target`` int32 (m,) item rows; the rest as in ``make_lists``, from before the item was taken. An item that no source
    proposed teaches nothing.
    """
    popular, _, trending, _, content = views
    cap = len(popular) + trending.shape[1] + content.shape[1] + history.shape[1] * covisits[0].shape[1]
    sources = weights.shape[1]
    place = np.full(len(item_vectors), -1, np.int32)
    items = np.empty(cap, np.int32)
    shares = np.empty((cap, sources), np.float32)
    for u in range(len(target)):
        n = gather(history[u], cluster[u], vectors[u], views, item_vectors, covisits, place, items, shares)
        at = place[target[u]]
        if at >= 0:
            norm = np.float32(0)
            for s in range(sources):
                norm += weights[u, s] * shares[at, s]
            if norm > 0:
                for s in range(sources):
                    out[situations[u], s] += weights[u, s] * shares[at, s] / norm
        for c in range(n):
            place[items[c]] = -1


@njit(cache=True)
def published_rank(rows, item, weight, list_item, history_item, popular, exclude_seen, rank, popular_rank):  # type: ignore[no-untyped-def]
    """Where the item of each event stood in the list last published for its user, and in a list of popular ones.

    ``rows`` int64 (n,) in ``list_item`` uint64 (rows, k) and ``history_item`` uint64 (rows, H); ``popular`` uint64 (P,). The list of
    popular ones is the one that the user would have got, without what they have seen. Fills ``rank`` and ``popular_rank``
    int16 (n,): the place from 0, -1 for a miss, -2 where nothing is scored (no list yet, no item, nothing liked).
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
        at = -1
        for q in range(len(popular)):
            if popular[q] == item[i]:
                at = q
                break
        if at < 0:
            continue
        skipped = 0
        if exclude_seen:
            for q in range(at + 1):
                for h in range(history_item.shape[1]):
                    if history_item[r, h] == 0:
                        break
                    if history_item[r, h] == popular[q]:
                        skipped += 1
                        if q == at:
                            at = -1
                        break
                if at < 0:
                    break
        if at >= 0 and at - skipped < k:
            popular_rank[i] = at - skipped
