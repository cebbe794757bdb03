"""Candidates of one user: which items the sources propose, and with what share each."""

from __future__ import annotations

import numpy as np
from numba import njit

from stream.recommending.repeats import cell
from stream.recommending.sources import REPEATS

# Places of ``place``: free, barred; else the candidate's.
FREE, BARRED = -1, -2


@njit(cache=True)
def capacity(charts, proposals, own):  # type: ignore[no-untyped-def]
    """Count the most candidates that ``gather`` can give."""
    cap = charts[0].size + own[0].shape[1]
    for item, _, _ in proposals:
        cap += item.shape[1] * item.shape[2]
    return cap


@njit(cache=True, inline="always")
def _nominate(row, counts, scale, place, items, shares, own_at, n):  # type: ignore[no-untyped-def]
    """Make ``row`` the candidate ``n``, with the shares that it has in what is popular."""
    place[row] = n
    items[n] = row
    own_at[n] = -1
    popular = len(scale)
    for p in range(shares.shape[1]):
        shares[n, p] = 0
    if row < len(counts):
        for p in range(popular):
            shares[n, p] = counts[row, p] * scale[p]


@njit(cache=True)
def _own(u, own, rates, available, charts, place, items, shares, own_at):  # type: ignore[no-untyped-def]
    """Nominate the user's own items; their shares are the rates of their classes, made to sum to 1."""
    item, count, lag, idle, _ = own
    _, _, counts, scale = charts
    n = 0
    total = np.float32(0)
    column = len(scale) + REPEATS
    for h in range(item.shape[1]):
        row = item[u, h]
        if row < 0 or place[row] == BARRED or not available[row]:
            continue
        _nominate(row, counts, scale, place, items, shares, own_at, n)
        own_at[n] = h
        shares[n, column] = rates[cell(count[u, h], lag[u, h], idle[u, h])]
        total += shares[n, column]
        n += 1
    for c in range(n):
        shares[c, column] /= total
    return n


@njit(cache=True)
def _chart(charts, available, place, items, shares, own_at, n):  # type: ignore[no-untyped-def]
    """Nominate of each chart the best ``take`` that the user has not had."""
    chart, take, counts, scale = charts
    for p in range(len(chart)):
        taken = 0
        for row in chart[p]:
            if row < 0 or taken == take[p]:
                break
            if place[row] == BARRED or not available[row]:
                continue
            if place[row] == FREE:
                _nominate(row, counts, scale, place, items, shares, own_at, n)
                n += 1
            elif own_at[place[row]] >= 0:
                continue
            taken += 1
    return n


@njit(cache=True)
def gather(u, own, rates, charts, proposals, first, available, place, items, shares, own_at):  # type: ignore[no-untyped-def]
    """Collect the candidates of user ``u``.

    ``own`` are (item rows int32, counts, steps ago, s ago, usual s between; each (m, H)), -1 none; ``rates`` float32
    (CELLS,). ``charts`` are (rows int32 (P, L), how many to take (P,), counts float32 (rows, P), what makes shares of
    them (P,)). ``proposals`` are ``Proposals.arrays()`` of the sources, each from its column
    ``first`` on. ``place`` int32 (items,) is scratch: BARRED or FREE; it comes back with candidates in it, for the
    caller to clear. Fills ``items`` int32 (cap,), ``shares`` float32 (cap, columns), and ``own_at`` int32 (cap,): the
    place in the user's history, or -1; returns how many.
    """
    n = _own(u, own, rates, available, charts, place, items, shares, own_at)
    n = _chart(charts, available, place, items, shares, own_at, n)
    _, _, counts, scale = charts
    for p in range(len(proposals)):
        item, share, length = proposals[p]
        for b in range(item.shape[1]):
            column = first[p] + b
            for q in range(length[u, b]):
                row = item[u, b, q]
                at = place[row]
                if at == BARRED:
                    continue
                if at == FREE:
                    if not available[row]:
                        continue
                    _nominate(row, counts, scale, place, items, shares, own_at, n)
                    at = n
                    n += 1
                shares[at, column] += share[u, b, q]
    return n
