"""Lists made freshly before each step, and how they would have been met: the protocol that peers are measured by."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.events.batch import EventBatch
from stream.hashing import mix
from stream.model import Model
from stream.pipeline import Pipeline
from stream.placing import place_users
from stream.profiles.layout import Rows
from stream.profiles.table import ProfileTable
from stream.recommending.readers import item_rows, read_profiles
from stream.recommending.recommender import Answers


def answer_fresh(events: EventBatch, pipeline: Pipeline, profiles: ProfileTable, model: Model) -> Answers:
    """How ``events`` (n,) meet lists made now, before any of them is learnt. Users without history get popular ones."""
    key = mix(events.user, events.partition.astype(np.uint64))
    _, first, slot = np.unique(key, return_index=True, return_inverse=True)
    rows = profiles.peek(events.user[first], events.partition[first])
    recommender, settings = pipeline.recommender, pipeline.settings.recommending
    recommender.refresh(model)
    placed = place_users(rows, model)
    readers = read_profiles(rows, placed.cluster, placed.vectors, model.index, settings)
    lists = recommender.recommend(readers, model, now=int(events.time.max(initial=0)))
    item = item_rows(events.item, model.index)
    popular = recommender.popular(model)
    unseen = (
        _unseen(popular, rows, model, settings.k)
        if settings.exclude_seen
        else np.tile(popular[: settings.k], (len(rows), 1))
    )
    asked = (events.item != 0) & (events.weight > 0)
    return Answers(_places(lists.item[slot], item, asked), _places(unseen[slot], item, asked))


def _unseen(popular: npt.NDArray[np.int32], rows: Rows, model: Model, k: int) -> npt.NDArray[np.int32]:
    """The first ``k`` of ``popular`` that each user (m,) has not seen, int32 (m, k), -1 where there are no more."""
    seen = item_rows(rows["history_item"], model.index)
    out = np.full((len(rows), k), -1, np.int32)
    for u in range(len(rows)):
        left = popular[~np.isin(popular, seen[u])][:k]
        out[u, : len(left)] = left
    return out


def _places(
    lists: npt.NDArray[np.int32], item: npt.NDArray[np.int32], asked: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int16]:
    """Place of each ``item`` (n,) in its list (n, k): -1 for a miss, -2 where nothing is asked."""
    if not lists.shape[1]:
        return np.where(asked, -1, -2).astype(np.int16)
    met = (lists == item[:, None]) & (item >= 0)[:, None]
    place = np.where(met.any(axis=1), met.argmax(axis=1), -1)
    return np.where(asked, place, -2).astype(np.int16)
