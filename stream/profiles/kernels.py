"""What arrays cannot say at speed: the walk over a batch's events in order, each against its user's row."""

from __future__ import annotations

import numpy as np
from numba import njit

from stream.profiles.holds import hold_left
from stream.steps import FIRST_OF_USER, SESSION_GAP_MS, STARTS_SESSION, WINDOW, WINDOW_STEPS, context_keys

WEIGHT_UNIT = 100  # of history_weight; int16 then reaches +-327 purchases of one item
# What a step leaves of the means over earlier ones: they speak of the last ten or so. Much less forgetful, and who has
# changed is known late; more, and one odd step is taken for a habit.
HABIT = np.float32(0.9)
# 2^112: the difference of the exponents' biases in float32 and float16.
HALF_SCALE = np.float32(2.0**112)


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
def from_halves(halves, scale):  # type: ignore[no-untyped-def]
    """Give float16 rows, whose bits are ``halves`` uint16 (m, D), times ``scale`` float32 (m,): float32 (m, D).

    Of finite numbers only. The bits of a half, moved to where a float32 has them, are the number times 2^-112: that is
    many at once where ``halves`` are contiguous, and NumPy's is one by one.
    """
    out = np.empty(halves.shape, np.float32)
    bits = out.view(np.int32)
    for u in range(halves.shape[0]):
        for j in range(halves.shape[1]):
            half = np.int32(halves[u, j])
            bits[u, j] = ((half & 0x7FFF) << 13) | ((half & 0x8000) << 16)
        for j in range(halves.shape[1]):
            out[u, j] = out[u, j] * HALF_SCALE * scale[u]
    return out


@njit(cache=True)
def to_halves(values, divisor):  # type: ignore[no-untyped-def]
    """Give the bits of float16 of ``values`` float32 (m, D) by ``divisor`` float32 (m,): uint16 (m, D).

    Quotients are below 2^15, and rounded to the nearest, to even where two are as near (IEEE 754). Below 2^-14 halves
    are as far apart as float32 are at a half: to add that rounds them.
    """
    out = np.empty(values.shape, np.uint16)
    size, low = np.empty(values.shape[1], np.float32), np.empty(values.shape[1], np.float32)
    size_bits, low_bits = size.view(np.int32), low.view(np.int32)
    for u in range(values.shape[0]):
        for j in range(values.shape[1]):
            size[j] = values[u, j] / divisor[u]
        for j in range(values.shape[1]):
            low[j] = np.abs(size[j]) + np.float32(0.5)
        for j in range(values.shape[1]):
            whole = size_bits[j] & 0x7FFFFFFF
            normal = (whole - (112 << 23) + 0x0FFF + ((whole >> 13) & 1)) >> 13
            half = normal if whole >= 113 << 23 else low_bits[j] - (126 << 23)
            out[u, j] = np.uint16(half | ((size_bits[j] >> 16) & 0x8000))
    return out


@njit(cache=True)
def gap_code(seconds):  # type: ignore[no-untyped-def]
    """Write a time in one byte: 7 to each doubling; 1 is none at all, 225 a lifetime."""
    return np.uint8(1 + min(254, int(np.rint(7 * np.log2(1.0 + max(seconds, 0))))))


@njit(cache=True)
def gap_seconds(code):  # type: ignore[no-untyped-def]
    """Read what ``gap_code`` has written."""
    return 2.0 ** ((code - 1) / 7) - 1


@njit(cache=True)
def _place(history, r, item, time):  # type: ignore[no-untyped-def]
    """Make room for ``item`` at ``time`` in row r, newest first; returns where, -1: too old."""
    items, times, weights, counts, holds, gaps = history
    size = items.shape[1]
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
    if not fresh and times[r, at] > time:
        return at
    weight = 0 if fresh else weights[r, at]
    count = 0 if fresh else counts[r, at]
    gap = np.uint8(0) if fresh else gaps[r, at]
    if not fresh and time > times[r, at]:
        gap = gap_code(np.int64(time) - np.int64(times[r, at]))
    hold = np.uint16(0) if fresh else hold_left(holds[r, at], np.int64(time) - np.int64(times[r, at]))
    while at > 0 and times[r, at - 1] <= time:
        items[r, at] = items[r, at - 1]
        times[r, at] = times[r, at - 1]
        weights[r, at] = weights[r, at - 1]
        counts[r, at] = counts[r, at - 1]
        holds[r, at] = holds[r, at - 1]
        gaps[r, at] = gaps[r, at - 1]
        at -= 1
    items[r, at] = item
    times[r, at] = time
    weights[r, at] = weight
    counts[r, at] = count
    holds[r, at] = hold
    gaps[r, at] = gap
    return at


@njit(cache=True)
def _remember(history, r, item, time, weight, hold):  # type: ignore[no-untyped-def]
    """Put an event into row r's history; returns whether its item is new to the user."""
    items, times, weights, counts, holds, _ = history
    new = True
    for q in range(items.shape[1]):
        if items[r, q] == 0:
            break
        if items[r, q] == item:
            new = False
            break
    at = _place(history, r, item, time)
    if at >= 0:
        # An event that comes late began to hold its item back as long ago.
        late = np.int64(times[r, at]) - np.int64(time)
        holds[r, at] = max(holds[r, at], hold_left(hold, late))
        weights[r, at] = min(32_767, max(-32_768, weights[r, at] + weight))
        counts[r, at] = min(65_535, counts[r, at] + 1)
    return new


@njit(cache=True)
def _window(history, r, before, out_item, out_lag):  # type: ignore[no-untyped-def]
    """Write the liked items of row r that are older than ``before`` (s), newest first, and how many steps old."""
    items, times, weights, _, _, _ = history
    n, lag = 0, 0
    last = np.int64(-1)
    for q in range(items.shape[1]):
        if items[r, q] == 0 or n == WINDOW:
            break
        if times[r, q] >= before or weights[r, q] <= 0:
            continue
        if times[r, q] != last:
            lag += 1
            last = times[r, q]
        if lag > WINDOW_STEPS:
            break
        out_item[n], out_lag[n] = items[r, q], lag
        n += 1


@njit(cache=True)
def _begin_step(present, r, item, time):  # type: ignore[no-untyped-def]
    """Open a step of row r at ``time`` (ms), beginning with ``item``; returns its flags, and s since the last one."""
    step_time, session_item, steps, size, repeated, session_steps, repeats, basket, pace, _, _ = present
    flags, gap = 0, np.float32(0)
    if steps[r] == 0:
        flags = STARTS_SESSION | FIRST_OF_USER
    else:
        elapsed = max(0, time - step_time[r])
        gap = np.float32(elapsed / 1000)
        if elapsed > SESSION_GAP_MS:
            flags = STARTS_SESSION
        pace[r] = pace[r] * HABIT + np.log1p(gap)
    if flags & STARTS_SESSION:
        session_item[r], session_steps[r] = item, 0
    session_steps[r] = min(65_535, session_steps[r] + 1)
    repeats[r] *= HABIT
    basket[r] *= HABIT
    size[r] = repeated[r] = 0
    steps[r] += 1
    step_time[r] = time
    return flags, gap


@njit(cache=True)
def _continue_step(present, r, item, action, known):  # type: ignore[no-untyped-def]
    _, _, _, size, repeated, _, repeats, basket, _, recent, recent_action = present
    share = np.float32(repeated[r]) / max(1, size[r])
    size[r] = min(65_535, size[r] + 1)
    repeated[r] = min(size[r], repeated[r] + known)
    repeats[r] += np.float32(repeated[r]) / size[r] - share
    basket[r] += 1
    for q in range(recent.shape[1] - 1, 0, -1):
        recent[r, q], recent_action[r, q] = recent[r, q - 1], recent_action[r, q - 1]
    recent[r, 0], recent_action[r, 0] = item, action


@njit(cache=True)
def follow_steps(rows, slot, item, time, weight, action, hold, user, history, present, opened, new, step_of):  # type: ignore[no-untyped-def]
    """Walk over a batch's events: put each into its user's row, and note for each step what went before.

    Events: ``rows`` and ``slot`` int64 (n,) of the users, in the table and among the batch's; ``item`` uint64,
    ``time`` int64 ms, ``weight`` int32 hundredths, ``action`` uint16, ``hold`` uint16, ``user`` uint64. ``history`` and
    ``present`` are columns of the table, changed in place. ``opened`` are the columns (n, ...) of steps to
    fill: time, flags, gap, keys, window's items and lags. ``new`` bool (n,): whether the item was new to its user;
    ``step_of`` int32 (n,): which step an event is part of, -1 for none. Returns how many steps there are.
    """
    step_time, session_item, steps, size, _, session_steps, _, _, _, recent, recent_action = present
    out_time, out_flags, out_gap, out_keys, out_window, out_lag = opened
    current = np.full(len(slot), -1, np.int32)  # by slot
    n = 0
    for i in range(len(rows)):
        new[i], step_of[i] = False, -1
        # Who was only shown an item has neither liked nor refused it: it may be listed again, and be taken as new.
        if item[i] == 0 or weight[i] == 0:
            continue
        r = rows[i]
        begins = steps[r] == 0 or step_time[r] != time[i]
        if begins or current[slot[i]] < 0:
            pause = steps[r] > 0 and time[i] - step_time[r] > SESSION_GAP_MS
            skip = 0 if begins else min(size[r], recent.shape[1])
            context_keys(
                recent[r],
                recent_action[r],
                skip,
                user[i],
                session_item[r],
                session_steps[r],
                pause,
                out_keys[n],
            )
            second = time[i] // 1000
            _window(history, r, second + 1 if begins else second, out_window[n], out_lag[n])
            out_time[n], out_flags[n], out_gap[n] = time[i], 0, 0
            if begins:
                out_flags[n], out_gap[n] = _begin_step(present, r, item[i], time[i])
            current[slot[i]] = n
            n += 1
        step_of[i] = current[slot[i]]
        second = np.uint32(min(max(time[i] // 1000, 0), 4_294_967_295))
        new[i] = _remember(history, r, item[i], second, weight[i], hold[i])
        if weight[i] > 0:  # what was taken back or disliked leads nowhere
            _continue_step(present, r, item[i], action[i], not new[i])
    return n
