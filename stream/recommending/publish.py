"""From lists to records, and what a profile remembers of the list it got."""

from __future__ import annotations

import numpy as np

from stream.events.batch import EventBatch
from stream.hashing import hash_texts
from stream.model import Model
from stream.profiles.table import ProfileTable
from stream.profiles.update import Touched
from stream.recommending.fragments import ItemFragments
from stream.recommending.recommender import Lists
from stream.recommending.records import CATALOGUE, ListWriter, Published


def publish_lists(
    lists: Lists,
    events: EventBatch,
    touched: Touched,
    profiles: ProfileTable,
    model: Model,
    fragments: ItemFragments,
    encoder_id: str,
    provenance: bool,
) -> list[bytes]:
    """One record for each of the m users of ``events``; their profiles remember what was published."""
    rows, table, last = touched.rows, profiles.rows, touched.last_event
    offset = events.offset[last]
    names = [
        f"g{profiles.layout.generation}-{p}-{o}"
        for p, o in zip(touched.partition.tolist(), offset.tolist(), strict=True)
    ]
    keys = model.index.keys
    table["list_item"][rows] = np.where(lists.item >= 0, keys[lists.item], np.uint64(0)) if len(keys) else 0
    table["list_source"][rows] = lists.source
    table["list_id"][rows] = hash_texts(names)
    table["user_seq"][rows] += np.uint32(1)
    published = Published(
        user_id=[events.user_id[i] for i in last],
        list_id=names,
        user_seq=table["user_seq"][rows],
        cluster=table["cluster"][rows],
        partition=touched.partition,
        offset=offset,
        offsets=_offsets(events, touched) if provenance else None,
        events=np.bincount(touched.slot, minlength=len(rows)),
        event_time=table["time"][rows],
        ingest_time=events.ingest_time[last],
        model_version=model.version,
        encoder_id=encoder_id,
    )
    writer = ListWriter(fragments, model.clusters, model.item_ids, [*model.sources, CATALOGUE])
    return writer.write(published, lists.item, lists.score, lists.source)


def _offsets(events: EventBatch, touched: Touched) -> list[list[int]]:
    order = np.argsort(touched.slot, kind="stable")
    bounds = np.cumsum(np.bincount(touched.slot, minlength=len(touched.rows)))[:-1]
    parts = np.split(events.offset[order], bounds)[: len(touched.rows)]  # one, and empty, of nobody
    return [part.tolist() for part in parts]
