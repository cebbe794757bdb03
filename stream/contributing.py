"""What a batch adds to the model, as a delta, and what is counted of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from numba import njit

from stream.broker.interface import Records
from stream.entries import Delta
from stream.events.batch import Decoded, EventBatch
from stream.hashing import distinct, mix
from stream.model import Model
from stream.placing import Placed
from stream.profiles.update import History, Touched
from stream.recommending.distinct import Sketch
from stream.recommending.exploring import Trials
from stream.recommending.taught import Taught
from stream.steps import Steps

# Profiles that a delta carries at most for seeding and judging clusters: 0.2 MB at 384 dimensions.
SAMPLE_PER_DELTA = 256
# Of a large batch it carries more: the whole sample so many times within a half-life of the clusters. Far fewer, and
# users are judged as they were; more only makes deltas long.
RENEWALS = 4


def contribute(
    decoded: Decoded,
    events: EventBatch,
    touched: Touched,
    placed: Placed,
    watched: npt.NDArray[np.float32],
    history: History,
    taught: Taught,
    trials: Trials,
    listed: Sketch,
    counts: Mapping[str, float],
    model: Model,
) -> Delta:
    """Make the delta of ``decoded``: n events of m users, and what they were to them."""
    counted = np.flatnonzero((history.step >= 0) & (events.weight > 0))
    counted = counted[np.argsort(history.step[counted], kind="stable")]
    events_of = np.bincount(history.step[counted], minlength=len(history.time))
    steps = np.flatnonzero(events_of)
    size = events_of[steps]
    window_size, window, lag = packed(history.window, history.lag, steps)
    items, codes = distinct(np.concatenate([events.item[counted], window]))
    e, place = len(counted), codes.astype(np.int32)
    first = counted[np.concatenate([[0], np.cumsum(size)[:-1]])] if e else counted
    users = events.user[touched.last_event]
    sample = _sample(users, int(events.offset[-1]) if len(events) else 0, placed, model)
    clusters = None
    in_cluster = placed.cluster >= 0
    if model.clusters.kmeans is not None and in_cluster.any():
        clusters = model.clusters.kmeans.accumulate(
            placed.vectors[in_cluster], placed.weight[in_cluster], placed.cluster[in_cluster]
        )
    return Delta(
        base_version=model.version,
        offsets=_offsets(decoded.records),
        events=len(events),
        updates=len(touched.rows),
        items=items,
        item_ids=_new_ids(events, items, model),
        event_item=place[:e],
        event_weight=events.weight[counted],
        event_new=history.new[counted],
        new_to=events.user[counted[history.new[counted]]],
        steps=Steps(
            size=size.astype(np.int32),
            time=history.time[steps],
            flags=history.flags[steps],
            gap=history.gap[steps],
            cluster=placed.cluster[touched.slot[first]].astype(np.int32),
            keys=history.keys[steps],
            window_size=window_size,
            window=place[e:],
            lag=lag,
        ),
        clusters=clusters,
        watched=watched,
        sample_users=users[sample],
        sample_vectors=placed.profiles[sample].astype(np.float16),
        taught=taught,
        trials=trials,
        listed=listed,
        counts=dict(counts),
        dropped=_dropped(decoded, events) if model.settings.worker.provenance else None,
    )


@njit(cache=True)
def packed(window, lag, steps):  # type: ignore[no-untyped-def]
    """Put what stands in the rows ``steps`` (s,) of ``window`` uint64 and ``lag`` uint8, (n, WINDOW), in one row.

    Returns how many there are of each step, uint8 (s,), and their items and lags, (w,); a row ends with its first 0.
    """
    size = np.zeros(len(steps), np.uint8)
    total = 0
    for s in range(len(steps)):
        row = window[steps[s]]
        while size[s] < len(row) and row[size[s]] != 0:
            size[s] += 1
        total += size[s]
    items, lags = np.empty(total, np.uint64), np.empty(total, np.uint8)
    at = 0
    for s in range(len(steps)):
        for w in range(size[s]):
            items[at], lags[at] = window[steps[s], w], lag[steps[s], w]
            at += 1
    return size, items, lags


def count_outcome(decoded: Decoded, duplicates: int, events: EventBatch, lists: int) -> dict[str, float]:
    """Count where records went: ``records`` = ``events`` + all ``dropped.*`` + all ``dead.*``; and ``lists``."""
    counts: Counter[str] = Counter({"records": len(decoded.records), "events": len(events), "lists": lists})
    counts.update({f"dropped.{reason}": n for reason, n in decoded.drops.items()})
    counts.update({"dropped.duplicate": duplicates})
    counts.update(f"dead.{letter.reason}" for letter in decoded.dead)
    return dict(+counts)


def _sample(users: npt.NDArray[np.uint64], last: int, placed: Placed, model: Model) -> npt.NDArray[np.int64]:
    """Those of the sample among ``users`` (m,); of very many some, by lots that depend on the ``last`` offset alone."""
    known = np.flatnonzero(placed.known & model.sample.admits(users))
    clustering = model.settings.clustering
    size = max(SAMPLE_PER_DELTA, int(RENEWALS * len(users) * clustering.sample / clustering.half_life))
    if len(known) <= size:
        return known
    lot = mix(users[known], np.full(len(known), last, np.uint64))
    return np.sort(known[np.argsort(lot)[:size]])


def _offsets(records: Records) -> dict[int, tuple[int, int]]:
    after = records.next_offsets()
    return {p: (first, after[p] - 1) for p, first in records.first_offsets().items()}


def _dropped(decoded: Decoded, events: EventBatch) -> dict[int, list[int]]:
    """Offsets of the records that are neither among the ``events`` taken in nor dead letters, by partition."""
    dropped = {}
    dead = np.zeros(len(decoded.records), np.bool_)
    dead[[letter.row for letter in decoded.dead]] = True
    for p in np.unique(decoded.records.partition).tolist():
        offsets = decoded.records.offset[(decoded.records.partition == p) & ~dead]
        left = np.setdiff1d(offsets, events.offset[events.partition == p])
        if len(left):
            dropped[p] = left.tolist()
    return dropped


def _new_ids(events: EventBatch, items: npt.NDArray[np.uint64], model: Model) -> list[str | None]:
    """Id texts of the ``items`` (u,) that the model has no text of yet."""
    rows = model.index.find(items)
    unknown = [i for i, row in enumerate(rows.tolist()) if row not in model.item_ids]
    if not unknown:
        return [None] * len(items)
    texts = dict(zip(events.item.tolist(), events.item_id, strict=True))
    ids: list[str | None] = [None] * len(items)
    for i in unknown:
        ids[i] = texts.get(int(items[i]))
    return ids
