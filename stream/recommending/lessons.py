"""Which of a batch's users the recommender learns from, and what they took."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.events.batch import EventBatch
from stream.hashing import HashIndex, mix
from stream.profiles.update import Touched
from stream.recommending.readers import item_rows

# Lists sampled per batch: each costs a delta 1.5 KB and the learner a tenth of a millisecond; fewer learn
# more slowly.
LESSONS_PER_BATCH = 32


@dataclass(frozen=True, slots=True)
class Lessons:
    """l users of a batch, and the items that each took in it."""

    users: npt.NDArray[np.int64]  # (l,) places among the batch's users
    target: npt.NDArray[np.int32]  # item rows, of one user after the other
    first: npt.NDArray[np.int64]  # (l + 1,) user u took target[first[u]:first[u + 1]]


def choose_lessons(
    events: EventBatch, touched: Touched, wanted: npt.NDArray[np.bool_], index: HashIndex
) -> Lessons:
    """Draw users by lots that depend on where the batch lies in the log alone.

    ``wanted`` bool (n,) are the events that may teach.
    """
    row = item_rows(events.item, index)
    at = np.flatnonzero(wanted & (events.weight > 0) & (row >= 0))
    users = np.unique(touched.slot[at])
    if len(users) > LESSONS_PER_BATCH:
        salt = np.full(len(users), int(events.offset[-1]), np.uint64)
        users = np.sort(users[np.argsort(mix(users.astype(np.uint64), salt))[:LESSONS_PER_BATCH]])
    at = at[np.isin(touched.slot[at], users)]
    at = at[np.argsort(touched.slot[at], kind="stable")]
    first = np.searchsorted(touched.slot[at], users)
    return Lessons(users, row[at], np.append(first, len(at)).astype(np.int64))
