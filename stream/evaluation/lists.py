"""The lists that steps meet: made freshly, or last published. Item hashes, best first, 0 where there are no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from stream.evaluation.past import Asked, Hashes
from stream.model import Model
from stream.pipeline import Pipeline
from stream.placing import place_users
from stream.recommending.readers import item_rows, read_profiles


@dataclass(frozen=True, slots=True)
class Fresh:
    """Lists made for m steps, of all items and of items new to their users, uint64 (m, k) each."""

    lists: tuple[Hashes, Hashes]
    sources: tuple[
        npt.NDArray[np.uint8], npt.NDArray[np.uint8]
    ]  # of their items, by number; see ``Lists.source``


def fresh_lists(asked: Asked, pipeline: Pipeline, model: Model) -> Fresh:
    """Lists made now for the steps ``asked``.

    They are the pipeline's own, made from profiles and model as they are, with nothing barred, and with all
    barred that a user ever had.
    """
    recommender, settings = pipeline.recommender, pipeline.settings.recommending
    recommender.refresh(model)
    placed = place_users(asked.rows, model)
    readers = read_profiles(asked.rows, placed.cluster, placed.vectors, model.index, settings, asked.time)
    now = int(asked.time.min())  # of all of them the earliest: nothing that comes on offer later is listed
    had = item_rows(padded(asked.had), model.index)
    every, new = (
        recommender.recommend(replace(readers, seen=seen), model, now) for seen in (had[:, :0], had)
    )
    keys = np.append(model.index.keys, np.uint64(0))  # -1, for no item, finds the last
    return Fresh((keys[every.item], keys[new.item]), (every.source, new.source))


def live_lists(asked: Asked) -> tuple[Hashes, Hashes]:
    """Lists as last published, uint64 (m, k) each: as they are, and without what their users have had since."""
    published: Hashes = asked.rows["list_item"]
    return published, without(published, asked.had)


def without(lists: Hashes, had: Sequence[Hashes]) -> Hashes:
    """Give ``lists`` (m, k) without the items that stand in ``had``, (m,) of any length; the others move up."""
    left = []
    for row, items in zip(lists.tolist(), had, strict=True):
        barred = set(items.tolist())
        left.append([item for item in row if item not in barred])
    return padded([np.array(row, np.uint64) for row in left], lists.shape[1])


def padded(rows: Sequence[Hashes], width: int = 0) -> Hashes:
    """Rows of any length as one array, uint64 (m, longest), filled up with 0; at least ``width`` wide.

    Examples
    --------
    >>> padded([np.array([7, 8], np.uint64), np.array([9], np.uint64)])
    array([[7, 8],
           [9, 0]], dtype=uint64)
    """
    lengths = np.array([len(row) for row in rows], np.int64)
    out = np.zeros((len(rows), max(width, int(lengths.max(initial=0)))), np.uint64)
    if len(rows):
        out[np.arange(out.shape[1]) < lengths[:, None]] = np.concatenate(rows)
    return out


def places(lists: Hashes, step: npt.NDArray[np.int64], item: Hashes) -> npt.NDArray[np.int16]:
    """Place of each ``item`` (t,) in the list of its ``step`` (t,), from 0; -1: not there; -2: there is no list."""
    theirs = lists[step]
    met = theirs == item[:, None]
    found = np.where(met.any(axis=1), met.argmax(axis=1), -1)
    return np.where(theirs.any(axis=1), found, -2).astype(np.int16)
