"""Those for whom lists are made, as the recommender sees them."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from numba import njit

from stream.config_lists import RecommendingSettings
from stream.hashing import HashIndex
from stream.profiles.holds import held
from stream.profiles.kernels import HABIT, gap_seconds
from stream.profiles.layout import Rows
from stream.recommending.tables import Floats
from stream.steps import CONTEXTS, SESSION_GAP_MS, WINDOW_STEPS, context_keys

Rows32 = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Readers:
    """m users for whom lists are made, or might have been, at certain times."""

    own: Rows32  # (m, H) item rows of what they like, newest first, -1 none
    count: npt.NDArray[np.uint16]  # (m, H) how often each was taken
    lag: npt.NDArray[np.uint8]  # (m, H) how many steps ago last, from 1
    idle: Floats  # (m, H) how many s ago
    usual: Floats  # (m, H) s between the last two times, -1 after one only
    touched: Rows32  # (m, 3) item rows of what they touched last, repetitions included, newest first, -1 none
    seen: Rows32  # (m, H) item rows that they are not to be shown, -1 none
    length: npt.NDArray[np.int64]  # (m,) items in their history
    steps: npt.NDArray[np.int64]  # (m,) ever
    silence: Floats  # (m,) s since the last step, -1 before the first
    session: npt.NDArray[np.int64]  # (m,) steps in it
    repeats: Floats  # (m,) share of repeats in a step, summed with decay, and
    basket: Floats  # (m,) events in a step, summed likewise
    keys: npt.NDArray[np.uint64]  # (m, CONTEXTS) of the contexts they are in, 0 none
    cluster: npt.NDArray[np.int64]  # (m,) cluster id, -1 none
    vectors: Floats  # (m, d) projected unit vectors, zeros where there is none

    def select(self, part: slice) -> Readers:
        """Some of them."""
        return Readers(*(getattr(self, f.name)[part] for f in fields(self)))

    @property
    def recent(self) -> Rows32:
        """What they like of their last steps, item rows (m, H), -1 none."""
        return np.where(self.lag <= WINDOW_STEPS, self.own, np.int32(-1))


def read_profiles(
    rows: Rows,
    cluster: npt.NDArray[np.int64],
    vectors: Floats,
    index: HashIndex,
    settings: RecommendingSettings,
    now: npt.NDArray[np.int64],
) -> Readers:
    """Read the users of profile ``rows`` (m,) as they are at ``now`` (m,), in ms."""
    items = item_rows(rows["history_item"], index)
    own = np.where(rows["history_weight"] > 0, items, np.int32(-1))
    shape = items.shape
    lag, idle, usual = np.zeros(shape, np.uint8), np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    keys = np.empty((len(rows), CONTEXTS), np.uint64)
    elapsed = np.maximum(now - rows["step_time"], 0)
    history = rows["history_item"], rows["history_time"], rows["history_gap"]
    _look_back(now, *history, lag, idle, usual)
    past = (
        rows["recent_item"],
        rows["recent_action"],
        rows["user"],
        rows["session_item"],
        rows["session_steps"],
    )
    _contexts(*past, elapsed > SESSION_GAP_MS, keys)
    known = rows["steps"] > 0
    return Readers(
        own=own,
        count=np.ascontiguousarray(rows["history_count"]),
        lag=lag,
        idle=idle,
        usual=usual,
        touched=item_rows(rows["recent_item"][:, :3], index),
        seen=_seen(rows, items, settings),
        length=np.count_nonzero(rows["history_item"], axis=1).astype(np.int64),
        steps=rows["steps"].astype(np.int64),
        silence=np.where(known, elapsed / 1000, -1).astype(np.float32),
        session=rows["session_steps"].astype(np.int64),
        repeats=rows["repeats"].astype(np.float32),
        basket=rows["basket"].astype(np.float32),
        keys=keys,
        cluster=cluster if settings.clusters else np.full_like(cluster, -1),
        vectors=vectors if settings.vectors else np.zeros_like(vectors),
    )


def _seen(rows: Rows, items: Rows32, settings: RecommendingSettings) -> Rows32:
    if settings.exclude_seen is True:
        return items
    if not settings.windows:
        return items[:, :0]
    # As of the user's last event: by the time they come back more may be allowed, but who knows when that is.
    holds = held(rows["history_item"], rows["history_time"], rows["history_hold"], rows["time"])
    return np.where(holds, items, np.int32(-1))


def expected_return(rows: Rows, habits: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """When the users of profile ``rows`` (m,) may read the list that is published for them now, in ms.

    A list is for the next step, not for this one. Users come back after their own usual time, the geometric mean
    of what went by between their steps; that of the log (``habits``) stands beside it where these are few.
    """
    weight = (1 - HABIT ** (np.maximum(rows["steps"], 1) - 1.0)) / (1 - HABIT)
    usual = habits[1] / max(habits[2], 1e-9)
    pace = (rows["pace"] + usual) / (weight + 1)
    return np.asarray(rows["step_time"] + np.expm1(pace) * 1000, np.int64)


def item_rows(items: npt.NDArray[np.uint64], index: HashIndex) -> Rows32:
    """Rows of item hashes of any shape, -1 for 0 and for unknown ones."""
    return index.find(np.ascontiguousarray(items).ravel()).astype(np.int32).reshape(items.shape)


@njit(cache=True)
def _look_back(now, items, times, gaps, lag, idle, usual):  # type: ignore[no-untyped-def]
    for u in range(len(now)):
        second = now[u] // 1000
        steps = 0
        last = np.int64(-1)
        for h in range(items.shape[1]):
            if items[u, h] == 0:
                break
            if times[u, h] != last:
                steps += 1
                last = times[u, h]
            lag[u, h] = min(steps, 255)
            idle[u, h] = max(second - last, 0)
            usual[u, h] = gap_seconds(gaps[u, h]) if gaps[u, h] else -1


@njit(cache=True)
def _contexts(item, action, user, session_item, session_steps, pause, keys):  # type: ignore[no-untyped-def]
    for u in range(len(keys)):
        context_keys(item[u], action[u], 0, user[u], session_item[u], session_steps[u], pause[u], keys[u])
