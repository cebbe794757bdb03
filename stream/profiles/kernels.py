"""What arrays cannot say at speed: the walk over a batch's events in order, each against its user's row."""

from __future__ import annotations

import numpy as np
from numba import njit

WEIGHT_UNIT = 100  # of history_weight; int16 then reaches +-327 purchases of one item


@njit(cache=True)
def known_events(rows, event_id, ring, ring_next):  # type: ignore[no-untyped-def]
    """Mark duplicates and remember the rest.

    ``rows`` int64 (n,) of the events in ``ring`` uint64 (rows, E) and ``ring_next`` uint8 (rows,), both
    changed in place; ``event_id`` uint64 (n,), 0 where there is none. Returns bool (n,).
    """
    known = np.zeros(len(rows), np.bool_)
    size = ring.shape[1]
    for i in range(len(rows)):
        wanted = event_id[i]
        if wanted == 0:
            continue
        r = rows[i]
        for q in range(size):
            if ring[r, q] == wanted:
                known[i] = True
                break
        if not known[i]:
            ring[r, ring_next[r]] = wanted
            ring_next[r] = (ring_next[r] + 1) % size
    return known


@njit(cache=True)
def add_vectors(sums, slot, coefficient, vector_row, vectors):  # type: ignore[no-untyped-def]
    """Do ``sums[slot[i]] += coefficient[i] * vectors[vector_row[i]]`` where ``vector_row`` >= 0; float32."""
    d = sums.shape[1]
    for i in range(len(slot)):
        v = vector_row[i]
        if v < 0 or coefficient[i] == 0:
            continue
        c = coefficient[i]
        s = slot[i]
        for j in range(d):
            sums[s, j] += c * vectors[v, j]


@njit(cache=True)
def _place(items, times, weights, counts, actions, r, item, time, size):  # type: ignore[no-untyped-def]
    """Make room for ``item`` at ``time`` in row r, newest first; returns where, -1: too old."""
    at = -1
    for q in range(size):
        if items[r, q] == item or items[r, q] == 0:
            at = q
            break
    fresh = at < 0 or items[r, at] == 0
    if at < 0:
        at = size - 1
        if times[r, at] > time:
            return -1
    weight = 0 if fresh else weights[r, at]
    count = 0 if fresh else counts[r, at]
    if not fresh and times[r, at] > time:
        return at
    action = actions[r, at]
    while at > 0 and times[r, at - 1] <= time:
        items[r, at] = items[r, at - 1]
        times[r, at] = times[r, at - 1]
        weights[r, at] = weights[r, at - 1]
        counts[r, at] = counts[r, at - 1]
        actions[r, at] = actions[r, at - 1]
        at -= 1
    items[r, at] = item
    times[r, at] = time
    weights[r, at] = weight
    counts[r, at] = count
    actions[r, at] = action
    return at


@njit(cache=True)
def remember_items(rows, item, time, weight, action, items, times, weights, counts, actions, context):  # type: ignore[no-untyped-def]
    """Put each event's item into its user's history; before that, note what stood there.

    Events: ``rows`` int64 (n,), ``item`` uint64 (n,), ``time`` uint32 (n,) s, ``weight`` int32 (n,)
    hundredths, ``action`` uint16 (n,). History columns (rows, H) are changed in place. ``context`` uint64 (n,
    C) receives the user's items before the event, newest first, without the event's own and without those
    taken back; 0 where there are no more. Returns bool (n,): whether the item is new to its user.
    """
    size = items.shape[1]
    depth = context.shape[1]
    new = np.zeros(len(rows), np.bool_)
    for i in range(len(rows)):
        # Who was only shown an item has neither liked nor refused it: it may be listed again, and be taken as new.
        if item[i] == 0 or weight[i] == 0:
            continue
        r = rows[i]
        new[i] = True
        c = 0
        for q in range(size):
            if items[r, q] == 0:
                break
            if items[r, q] == item[i]:
                new[i] = False
            elif c < depth and weights[r, q] > 0:
                context[i, c] = items[r, q]
                c += 1
        at = _place(items, times, weights, counts, actions, r, item[i], time[i], size)
        if at < 0:
            continue
        if times[r, at] == time[i]:
            actions[r, at] = action[i]
        weights[r, at] = min(32_767, max(-32_768, weights[r, at] + weight[i]))
        counts[r, at] = min(65_535, counts[r, at] + 1)
    return new
