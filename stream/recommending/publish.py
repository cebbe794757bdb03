"""From lists to records, and what a profile remembers of the list it got."""

from __future__ import annotations

import numpy as np

from stream.catalogue import Catalogue
from stream.events.batch import EventBatch
from stream.hashing import hash_texts
from stream.model import Model
from stream.profiles.table import ProfileTable
from stream.profiles.update import Touched
from stream.recommending.recommender import Lists
from stream.recommending.records import CATALOGUE, ListWriter, Published


def publish_lists(
    lists: Lists,
    events: EventBatch,
    touched: Touched,
    profiles: ProfileTable,
    model: Model,
    catalogue: Catalogue,
    encoder_id: str,
    provenance: bool,
) -> list[bytes]:
    """One record for each of the m users of ``events``; their profiles remember what was published."""
    rows, table = touched.rows, profiles.rows
    names = [
        f"g{profiles.layout.generation}-{p}-{o}"
        for p, o in zip(touched.partition.tolist(), events.offset[touched.last_event].tolist(), strict=True)
    ]
    keys = model.index.keys
    table["list_item"][rows] = np.where(lists.item >= 0, keys[lists.item], np.uint64(0)) if len(keys) else 0
    table["list_source"][rows] = lists.source
    table["list_id"][rows] = hash_texts(names)
    table["user_seq"][rows] += np.uint32(1)
    writer = ListWriter(catalogue, model.clusters, model.item_ids, [*model.sources, CATALOGUE])
    heads = _heads(names, events, touched, profiles, model.version, encoder_id, provenance)
    lengths = (lists.item >= 0).sum(axis=1).tolist()
    items, scores, sources = lists.item.tolist(), lists.score.tolist(), lists.source.tolist()
    return [
        writer.write(head, items[u][:n], scores[u][:n], sources[u][:n])
        for u, (head, n) in enumerate(zip(heads, lengths, strict=True))
    ]


def _heads(
    names: list[str],
    events: EventBatch,
    touched: Touched,
    profiles: ProfileTable,
    model_version: int,
    encoder_id: str,
    provenance: bool,
) -> list[Published]:
    last = touched.last_event
    rows = profiles.rows[touched.rows]
    clusters = rows["cluster"].tolist()
    columns = zip(
        [events.user_id[i] for i in last],
        names,
        rows["user_seq"].tolist(),
        [c if c >= 0 else None for c in clusters],
        touched.partition.tolist(),
        events.offset[last].tolist(),
        _offsets(events, touched) if provenance else [None] * len(names),
        np.bincount(touched.slot, minlength=len(names)).tolist(),
        rows["time"].tolist(),
        events.ingest_time[last].tolist(),
        [model_version] * len(names),
        [encoder_id] * len(names),
        strict=True,
    )
    return [Published(*column) for column in columns]


def _offsets(events: EventBatch, touched: Touched) -> list[list[int]]:
    order = np.argsort(touched.slot, kind="stable")
    bounds = np.cumsum(np.bincount(touched.slot, minlength=len(touched.rows)))[:-1]
    parts = np.split(events.offset[order], bounds)[: len(touched.rows)]  # one, and empty, of nobody
    return [part.tolist() for part in parts]
