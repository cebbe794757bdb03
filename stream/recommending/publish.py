"""From lists to records, and what a profile remembers of the list it got."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.config_lists import PublishSettings
from stream.events.batch import EventBatch
from stream.hashing import hash_texts
from stream.model import Model
from stream.profiles.layout import Rows
from stream.profiles.table import ProfileTable
from stream.profiles.update import Touched
from stream.recommending.explorer import Explored
from stream.recommending.fragments import ItemFragments
from stream.recommending.holding import to_publish
from stream.recommending.meeting import numbered
from stream.recommending.records import ListWriter, Published


def publish_lists(
    explored: Explored,
    named: npt.NDArray[np.int64] | None,
    events: EventBatch,
    touched: Touched,
    profiles: ProfileTable,
    model: Model,
    fragments: ItemFragments,
    encoder_id: str,
    provenance: bool,
    settings: PublishSettings,
    not_before: int | None,
) -> tuple[list[bytes], npt.NDArray[np.intp]]:
    """Records for those of the m users of ``events`` whose lists are to be published, and their places among the m.

    ``named`` (m, k) is of ``name_reasons``, None for lists without reasons. The profiles of those users remember what
    was published; those of the others stay as they are.
    """
    lists, keys = explored.lists, model.index.keys
    listed = (
        np.where(lists.item >= 0, keys[lists.item], np.uint64(0))
        if len(keys)
        else np.zeros(lists.item.shape, np.uint64)
    )
    ingest_time = events.ingest_time[touched.last_event]
    taught = np.bincount(touched.slot, events.weight != 0, len(touched.rows)) > 0
    chosen = to_publish(profiles.rows[touched.rows], listed, ingest_time, taught, settings, not_before)
    rows, table, last = touched.rows[chosen], profiles.rows, touched.last_event[chosen]
    partition = touched.partition[chosen]
    offset = events.offset[last]
    names = [
        f"g{profiles.layout.generation}-{p}-{o}"
        for p, o in zip(partition.tolist(), offset.tolist(), strict=True)
    ]
    _move_back(table, rows)
    table["list_item"][rows] = listed[chosen]
    table["list_source"][rows] = lists.source[chosen]
    table["list_variant"][rows] = explored.explores[chosen]
    table["list_time"][rows] = ingest_time[chosen]
    table["list_id"][rows] = hash_texts(names)
    table["user_seq"][rows] += np.uint32(1)
    published = Published(
        user_id=[events.user_id[i] for i in last],
        list_id=names,
        user_seq=table["user_seq"][rows],
        explores=explored.explores[chosen],
        propensity=explored.propensity[chosen],
        cluster=table["cluster"][rows],
        partition=partition,
        offset=offset,
        offsets=_offsets(events, touched, chosen) if provenance else None,
        events=np.bincount(touched.slot, minlength=len(touched.rows))[chosen],
        event_time=table["time"][rows],
        ingest_time=ingest_time[chosen],
        model_version=model.version,
        encoder_id=encoder_id,
    )
    sources = numbered(model.sources)
    writer = ListWriter(fragments, model.clusters, model.item_ids, sources, named is not None)
    if named is None:
        named = np.full(lists.item.shape, -1, np.int64)
    records = writer.write(
        published, lists.item[chosen], lists.score[chosen], lists.source[chosen], named[chosen]
    )
    return records, chosen


def _move_back(table: Rows, rows: npt.NDArray[np.int64]) -> None:
    """Make the last list of each of the profiles at ``rows`` (m,) of ``table`` the newest of the earlier ones."""
    for earlier, last in (("earlier_list", table["list_id"]), ("earlier_variant", table["list_variant"])):
        kept = table[earlier][rows]
        kept[:, 1:], kept[:, 0] = kept[:, :-1].copy(), last[rows].astype(kept.dtype)
        table[earlier][rows] = kept


def _offsets(events: EventBatch, touched: Touched, chosen: npt.NDArray[np.intp]) -> list[list[int]]:
    order = np.argsort(touched.slot, kind="stable")
    bounds = np.cumsum(np.bincount(touched.slot, minlength=len(touched.rows)))[:-1]
    parts = np.split(events.offset[order], bounds)
    return [parts[u].tolist() for u in chosen]
