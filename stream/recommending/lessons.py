"""Which of a batch's users the recommender learns from, and what they took."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.events.batch import EventBatch
from stream.hashing import HashIndex, mix
from stream.profiles.update import History, Touched
from stream.recommending.readers import item_rows

# Lists sampled per batch: each costs a delta 8 KB and the learner a fifth of a millisecond; fewer learn more slowly.
LESSONS_PER_BATCH = 32


@dataclass(frozen=True, slots=True)
class Lessons:
    """l users of a batch, and the items that each took in the first step of it."""

    users: npt.NDArray[np.int64]  # (l,) places among the batch's users
    time: npt.NDArray[np.int64]  # (l,) ms, of the step
    target: npt.NDArray[np.int32]  # item rows, distinct ones of one user after the other
    bounds: npt.NDArray[np.int64]  # (l + 1,) user u took target[bounds[u]:bounds[u + 1]]


def choose_lessons(events: EventBatch, touched: Touched, history: History, index: HashIndex) -> Lessons:
    """Draw users by lots that depend on where the batch lies in the log alone; of each the first step that counts."""
    row = item_rows(events.item, index)
    at = np.flatnonzero((events.weight > 0) & (row >= 0) & (history.step >= 0))
    users, first = np.unique(touched.slot[at], return_index=True)
    if len(users) > LESSONS_PER_BATCH:
        salt = np.full(len(users), int(events.offset[-1]), np.uint64)
        drawn = np.sort(np.argsort(mix(users.astype(np.uint64), salt))[:LESSONS_PER_BATCH])
        users, first = users[drawn], first[drawn]
    steps = history.step[at[first]]
    pairs = np.stack([history.step[at], row[at]])[:, np.isin(history.step[at], steps)]
    pairs = np.unique(pairs, axis=1)
    rank = np.argsort(steps)
    place = rank[np.searchsorted(steps[rank], pairs[0])]
    order = np.argsort(place, kind="stable")
    bounds = np.searchsorted(place[order], np.arange(len(users) + 1))
    return Lessons(users, history.time[steps], pairs[1][order].astype(np.int32), bounds.astype(np.int64))
