"""How a batch of events changes the profiles of its users."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.config import ProfileSettings
from stream.events.batch import EventBatch
from stream.hashing import mix
from stream.profiles.holds import NO_WINDOWS, Windows, holds_of
from stream.profiles.kernels import (
    WEIGHT_UNIT,
    add_vectors,
    follow_steps,
    from_halves,
    known_events,
    to_halves,
)
from stream.profiles.layout import HISTORY_COLUMNS, PRESENT_COLUMNS
from stream.profiles.table import ProfileTable
from stream.steps import CONTEXTS, WINDOW


@dataclass(frozen=True, slots=True)
class Touched:
    """The users of a batch: m distinct ones for n events."""

    rows: npt.NDArray[np.int64]  # (m,) in the table
    partition: npt.NDArray[np.int32]  # (m,)
    slot: npt.NDArray[np.int64]  # (n,) the event's place among them
    last_event: npt.NDArray[np.int64]  # (m,) the user's last event in the batch


def find_users(batch: EventBatch, table: ProfileTable) -> Touched:
    """Which users ``batch`` touches, in order of their first event; their rows are gathered."""
    key = mix(batch.user, batch.partition.astype(np.uint64))
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    slot = rank[inverse].astype(np.int64)
    at = first[order]
    last_event = np.zeros(len(at), np.int64)
    last_event[slot] = np.arange(len(slot))  # the last assignment of a repeated index wins
    rows = table.gather(batch.user[at], batch.partition[at])
    return Touched(rows, batch.partition[at], slot, last_event)


def drop_duplicates(
    batch: EventBatch, touched: Touched, table: ProfileTable
) -> tuple[EventBatch, Touched, int]:
    """Without the events whose id is among those remembered for their user; how many these were.

    A producer that sends an event twice, because it did not hear of the first, is the usual reason.
    """
    known = known_events(
        touched.rows[touched.slot], batch.event_id, table.rows["event_id"], table.rows["event_next"]
    )
    if not known.any():
        return batch, touched, 0
    fresh = batch.select(~known)
    slot = touched.slot[~known]
    left, slot = np.unique(slot, return_inverse=True)
    last_event = np.zeros(len(left), np.int64)
    last_event[slot] = np.arange(len(slot))
    kept = Touched(touched.rows[left], touched.partition[left], slot.astype(np.int64), last_event)
    return fresh, kept, int(known.sum())


def learn_vectors(
    batch: EventBatch,
    touched: Touched,
    table: ProfileTable,
    vector_row: npt.NDArray[np.int64],
    vectors: npt.NDArray[np.float32],
    settings: ProfileSettings,
) -> None:
    """Add what was touched to the decayed profile vectors.

    ``vector_row`` int64 (n,) says which of ``vectors`` float32 (v, D) an event touches, -1 for none: such an
    event says nothing of taste. Weights decay exponentially from the user's newest event backwards, so the
    order of arrival does not matter (forward decay: Cormode, Shkapenyuk, Srivastava and Xu, 2009).
    """
    rows, slot = touched.rows, touched.slot
    newest = table.rows["time"][rows]
    np.maximum.at(newest, slot, batch.time)
    known = table.rows["mass"][rows] > 0
    before = np.where(known, table.rows["time"][rows], newest)
    fade = np.exp2(-(newest - before) / settings.half_life_ms).astype(np.float32)
    age = (newest[slot] - batch.time) / settings.half_life_ms
    coefficient = np.where(vector_row >= 0, batch.weight * np.exp2(-age), 0).astype(np.float32)

    mass = table.rows["mass"][rows] * fade
    sums = from_halves(table.rows["vector"][rows].view(np.uint16), mass)
    add_vectors(sums, slot, coefficient, vector_row, vectors)
    m = len(rows)
    mass += np.bincount(slot, np.abs(coefficient), m).astype(np.float32)
    table.rows["taste"][rows] = table.rows["taste"][rows] * fade + np.bincount(slot, coefficient, m)
    table.rows["mass"][rows] = mass
    table.rows["vector"][rows] = to_halves(sums, np.where(mass > 0, mass, np.float32(1))).view(np.float16)
    table.rows["time"][rows] = newest
    table.rows["events"][rows] += np.bincount(slot, minlength=m).astype(np.uint32)
    table.rows["offset"][rows] = batch.offset[touched.last_event]
    table.rows["session"][rows] = batch.session[touched.last_event]


@dataclass(frozen=True, slots=True)
class History:
    """What a batch's n events were to their users: s steps, and what was known before each."""

    new: npt.NDArray[np.bool_]  # (n,) whether the event's item was new to its user
    step: npt.NDArray[
        np.int32
    ]  # (n,) which of the steps, in order of their first events; -1: no item, or only shown
    time: npt.NDArray[np.int64]  # (s,) ms
    flags: npt.NDArray[np.uint8]  # (s,) see ``stream.steps``
    gap: npt.NDArray[np.float32]  # (s,) s since the user's step before, 0 for the first
    keys: npt.NDArray[np.uint64]  # (s, CONTEXTS) of contexts
    window: npt.NDArray[np.uint64]  # (s, WINDOW) items liked before, newest first, 0 for no more
    lag: npt.NDArray[np.uint8]  # (s, WINDOW) how many steps ago each was touched last


def learn_history(
    batch: EventBatch, touched: Touched, table: ProfileTable, windows: Windows = NO_WINDOWS
) -> History:
    """Put the batch's items into the histories, and say what stood in them before each step.

    ``windows``: how long each action keeps its item out of lists.
    """
    n, rows = len(batch), table.rows
    new, step = np.empty(n, np.bool_), np.empty(n, np.int32)
    opened = (
        np.empty(n, np.int64),
        np.empty(n, np.uint8),
        np.empty(n, np.float32),
        np.empty((n, CONTEXTS), np.uint64),
        np.zeros((n, WINDOW), np.uint64),
        np.zeros((n, WINDOW), np.uint8),
    )
    steps = follow_steps(
        touched.rows[touched.slot],
        touched.slot,
        batch.item,
        batch.time,
        np.rint(batch.weight * WEIGHT_UNIT).astype(np.int32),
        batch.action,
        holds_of(batch.action, windows),
        batch.user,
        tuple(rows[name] for name in HISTORY_COLUMNS),
        tuple(rows[name] for name in PRESENT_COLUMNS),
        opened,
        new,
        step,
    )
    time, flags, gap, keys, window, lag = opened
    some = slice(steps)
    return History(new, step, time[some], flags[some], gap[some], keys[some], window[some], lag[some])
