"""Candidates of one user: which items the sources propose, and with what share each."""

from __future__ import annotations

import numpy as np
from numba import njit

from stream.recommending.repeats import cell
from stream.recommending.scratch import BARRED, FREE
from stream.recommending.sources import REPEATS


@njit(cache=True)
def head_of(charts, available, place):  # type: ignore[no-untyped-def]
    """Give the charts without what is not ``available``, and their head: what each of them proposes to a newcomer.

    ``charts`` are (rows int32 (P, L), how many to take (P,), counts float32 (rows, P), what makes shares of them (P,)).
    The head is the same for all users, and most charts have the same items in it: so each is looked at once, and only
    where a user has had some is there more to look at. Returns the charts int32 (P, L), -1 behind the last; the head
    int32 (h,), of which ``bounds`` (P + 1,) say where the items begin that no earlier chart has; in which charts' heads
    each stands, bool (h, P); and ``take``.
    """
    rows, take, _, _ = charts
    left = np.full(rows.shape, -1, np.int32)
    head, bounds = np.empty(rows.size, np.int32), np.zeros(len(rows) + 1, np.int64)
    among = np.zeros((rows.size, len(rows)), np.bool_)
    n = 0
    for p in range(len(rows)):
        at = 0
        for row in rows[p]:
            if row < 0:
                break
            if not available[row]:
                continue
            left[p, at] = row
            if at < take[p]:
                if place[row] == FREE:
                    place[row] = n
                    head[n] = row
                    n += 1
                among[place[row], p] = True
            at += 1
        bounds[p + 1] = n
    for row in head[:n]:
        place[row] = FREE
    return left, head[:n], bounds, among[:n], take


@njit(cache=True, inline="always")
def _nominate(row, place, items, own_at, n):  # type: ignore[no-untyped-def]
    """Make ``row`` the candidate ``n``; give how many there are then."""
    place[row] = n
    items[n] = row
    own_at[n] = -1
    return n + 1


@njit(cache=True, error_model="numpy")
def _own(u, own, rates, available, column, place, items, shares, own_at):  # type: ignore[no-untyped-def]
    """Nominate the user's own items; their shares are the rates of their classes, made to sum to 1."""
    item, count, lag, idle, _ = own
    n = 0
    total = np.float32(0)
    for h in range(item.shape[1]):
        row = item[u, h]
        if row < 0 or place[row] == BARRED or not available[row]:
            continue
        _nominate(row, place, items, own_at, n)
        own_at[n] = h
        shares[column, n] = rates[cell(count[u, h], lag[u, h], idle[u, h])]
        total += shares[column, n]
        n += 1
    for c in range(n):
        shares[column, c] /= total
    return n


@njit(cache=True)
def _chart(heads, place, items, own_at, mine):  # type: ignore[no-untyped-def]
    """Nominate of each chart the best that the user has not had, behind the ``mine`` own items; how many then."""
    charts, head, bounds, among, take = heads
    missing = np.zeros(len(charts), np.int64)  # from the head of each
    for b in range(len(head)):
        if place[head[b]] != FREE:  # barred, or their own
            for p in range(len(missing)):
                missing[p] += among[b, p]
    n = mine
    for p in range(len(missing)):
        for row in head[bounds[p] : bounds[p + 1]]:
            if place[row] == FREE:
                n = _nominate(row, place, items, own_at, n)
        q = take[p]
        while missing[p] > 0 and q < charts.shape[1] and charts[p, q] >= 0:
            at = place[charts[p, q]]
            if at == FREE:
                n = _nominate(charts[p, q], place, items, own_at, n)
            missing[p] -= at == FREE or at >= mine
            q += 1
    return n


@njit(cache=True)
def _count(items, n, counts, scale, shares):  # type: ignore[no-untyped-def]
    """Write the shares of n candidates in what is popular; items that came late have none."""
    for c in range(n):
        row = items[c]
        if row < len(counts):
            for p in range(len(scale)):
                shares[p, c] = counts[row, p] * scale[p]
        else:
            for p in range(len(scale)):
                shares[p, c] = 0


@njit(cache=True)
def gather(u, own, rates, charts, heads, proposals, first, available, place, items, shares, own_at, heard):  # type: ignore[no-untyped-def]
    """Collect the candidates of user ``u``.

    ``own`` are (item rows int32, counts, steps ago, s ago, usual s between; each (m, H)), -1 none; ``rates`` float32
    (CELLS,). ``charts`` and ``heads`` are as ``head_of`` has them. ``proposals`` are ``Proposals.arrays()`` of the
    sources, each from its column ``first`` on. ``place`` int32 (items,) is scratch: BARRED or FREE; it comes back with
    candidates in it, for the caller to clear. Fills ``items`` int32 (cap,), ``shares`` float32 (columns, cap), zeros
    until then, and ``own_at`` int32 (cap,): the place in the user's history, or -1; own items come first. Fills
    ``heard`` bool (columns,): which columns have anything to say; the others are left zeros. Returns how many.
    """
    _, _, counts, scale = charts
    column = len(scale) + REPEATS
    heard[:] = False
    n = _own(u, own, rates, available, column, place, items, shares, own_at)
    heard[column] = n > 0
    n = _chart(heads, place, items, own_at, n)
    for p in range(len(proposals)):
        item, share, length = proposals[p]
        for b in range(item.shape[1]):
            column = first[p] + b
            heard[column] |= length[u, b] > 0
            for q in range(length[u, b]):
                row = item[u, b, q]
                at = place[row]
                if at == BARRED:
                    continue
                if at == FREE:
                    if not available[row]:
                        continue
                    at = n
                    n = _nominate(row, place, items, own_at, n)
                shares[column, at] += share[u, b, q]
    _count(items, n, counts, scale, shares)
    for p in range(len(scale)):
        heard[p] = scale[p] > 0
    return n
