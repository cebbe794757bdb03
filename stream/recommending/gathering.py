"""Candidates of one user: which items the sources propose, with what share each, and what speaks for them."""

from __future__ import annotations

import numpy as np
from numba import njit

# Sources come in this order: popular, once per half-life, then these.
TRENDING, COVISITATION, CONTENT = 0, 1, 2
# Columns behind those of the sources: the heaviest single count behind a co-visitation, and what the newest
# item says.
HEAVIEST, NEWEST = 0, 1
EXTRA = 2
# Weight of a user's items by how long ago they were touched, from the newest on: the tenth last counts an
# eighth.
LAG_DECAY = np.float32(0.8)
# Counts that an item must have seen follow it before half of what it says of its successors is believed:
# fewer, and a single event outweighs all that is popular; more, and rare items never speak.
EVIDENCE = 5.0
# Temperature of the softmax over cosines in a shortlist: cosines of a good and of a middling match differ by
# about .1 to .2; lower trusts the nearest item alone, higher makes every item alike.
TEMPERATURE = np.float32(0.08)


@njit(cache=True)
def capacity(views, covisits, history):  # type: ignore[no-untyped-def]
    """Count the most candidates that ``gather`` can give."""
    popular, _, trending, _, content = views
    return popular.size + trending.shape[1] + content.shape[1] + history.shape[1] * covisits[0].shape[1]


@njit(cache=True, inline="always")
def _offer(row, source, share, place, items, shares, n):  # type: ignore[no-untyped-def]
    """Give candidate ``row`` a source's share; returns how many there are. place: -1 free, -2 barred."""
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
def _charts(cluster, views, place, items, shares, n):  # type: ignore[no-untyped-def]
    popular, popular_share, trending, trending_share, _ = views
    halves = len(popular)
    for p in range(halves):
        for q in range(popular.shape[1]):
            if popular[p, q] < 0:
                break
            n = _offer(popular[p, q], p, popular_share[p, q], place, items, shares, n)
    if 0 <= cluster < len(trending):
        for q in range(trending.shape[1]):
            if trending[cluster, q] < 0:
                break
            row, share = trending[cluster, q], trending_share[cluster, q]
            n = _offer(row, halves + TRENDING, share, place, items, shares, n)
    return n


@njit(cache=True, fastmath=True)
def _followers(history, covisits, source, place, items, shares, n):  # type: ignore[no-untyped-def]
    ids, counts, totals, now = covisits
    total = np.float32(0)
    lag = np.float32(1)
    for q in range(len(history)):
        if history[q] >= 0:
            total += lag
            lag *= LAG_DECAY
    extra = shares.shape[1] - EXTRA
    lag = np.float32(1)
    for q in range(len(history)):
        r = history[q]
        if r < 0:
            continue
        if r < len(totals) and totals[r] > 0:
            scale = 1 / (totals[r] + np.float32(EVIDENCE) * now)
            for w in range(ids.shape[1]):
                row = ids[r, w]
                if row < 0:
                    continue
                share = scale * counts[r, w]
                n = _offer(row, source, share * lag / total, place, items, shares, n)
                at = place[row]
                if at >= 0:
                    shares[at, extra + HEAVIEST] = max(shares[at, extra + HEAVIEST], counts[r, w] / now)
                    if lag == 1:
                        shares[at, extra + NEWEST] += share
        lag *= LAG_DECAY
    return n


@njit(cache=True, fastmath=True)
def _alike(cluster, vector, content, item_vectors, source, place, items, shares, n):  # type: ignore[no-untyped-def]
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
        n = _offer(r, source, sims[q] / norm, place, items, shares, n)
    return n


@njit(cache=True)
def gather(history, cluster, vector, views, item_vectors, covisits, place, items, shares):  # type: ignore[no-untyped-def]
    """Collect one user's candidates.

    ``history`` int32 (R,) item rows, newest first, -1 none; ``cluster`` row of the cluster views or -1;
    ``vector`` float32 (d,) unit or zeros. ``views`` are the charts' arrays and the content shortlists;
    ``covisits`` is (ids, counts, totals, the weight of a count made now). ``place`` int32 (items,) is
    scratch: -2 where an item is barred, else -1; it comes back with candidates in it, for the caller to
    clear. Fills ``items`` int32 (cap,) and ``shares`` float32 (cap, sources + EXTRA); returns how many.
    """
    halves = len(views[0])
    n = _charts(cluster, views, place, items, shares, 0)
    n = _followers(history, covisits, halves + COVISITATION, place, items, shares, n)
    return _alike(cluster, vector, views[4], item_vectors, halves + CONTENT, place, items, shares, n)
