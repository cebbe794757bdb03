"""What stands in the model log: deltas of workers, decisions of the learner."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.clustering.kmeans import ClusterStats
from stream.errors import FormatError
from stream.recommending.ranker import RankerState, SampledLists
from stream.wire import pack, unpack


@dataclass(frozen=True, slots=True)
class Delta:
    """What one commit adds to the model: u items, e counted events, s sampled profiles, D dimensions."""

    base_version: int  # of the model it was made against
    offsets: dict[int, tuple[int, int]]  # per input partition the first and last offset covered
    events: int  # taken in, counted or not: moves the model's clock
    items: npt.NDArray[np.uint64]  # (u,) dictionary of the columns below
    item_ids: list[str | None]  # (u,) id texts of those the model did not know, None for the others
    event_item: npt.NDArray[np.int32]  # (e,) into items
    event_weight: npt.NDArray[np.float32]  # (e,) positive
    event_cluster: npt.NDArray[np.int32]  # (e,) the user's cluster, -1 for none
    context: npt.NDArray[np.int32]  # (e, C) into items: touched before, newest first, -1 for none
    clusters: ClusterStats | None
    sample_users: npt.NDArray[np.uint64]  # (s,)
    sample_vectors: npt.NDArray[np.float16]  # (s, D)
    taught: npt.NDArray[np.float32]  # (situations, sources) responsibilities for what was taken
    lists: SampledLists
    counts: dict[str, float]  # events, lists, drops by reason, hits


@dataclass(frozen=True, slots=True)
class Seeded:
    """A decision: how profiles are projected, and the first centres."""

    sequence: int  # the model takes decisions in sequence only: a repeated or late one does nothing
    mean: npt.NDArray[np.float32]  # (D,)
    components: npt.NDArray[np.float32]  # (D, d)
    centres: npt.NDArray[np.float32]  # (k, d)
    weights: npt.NDArray[np.float64]  # (k,) users that each centre stands for


@dataclass(frozen=True, slots=True)
class Labelled:
    """A decision: what clusters are called."""

    sequence: int
    ids: npt.NDArray[np.int64]  # (k,)
    labels: list[str]  # (k,)


@dataclass(frozen=True, slots=True)
class Trained:
    """A decision: new weights of the ranker."""

    sequence: int
    ranker: RankerState
    lists: int  # sampled lists that were new to it


Decision = Seeded | Labelled | Trained
Entry = Delta | Decision

_KINDS: dict[str, type[Any]] = {"delta": Delta, "seeded": Seeded, "labelled": Labelled, "trained": Trained}
_NESTED: dict[str, type[Any]] = {"clusters": ClusterStats, "lists": SampledLists, "ranker": RankerState}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def encode_entry(entry: Entry) -> bytes:
    """Write an entry in its binary form."""
    body: dict[str, Any] = {f.name: getattr(entry, f.name) for f in fields(entry)}
    for name, value in body.items():
        if is_dataclass(value):
            body[name] = {f.name: getattr(value, f.name) for f in fields(value)}
    return pack({"kind": _NAMES[type(entry)], "body": body})


def decode_entry(data: bytes) -> Entry:
    """Give what ``encode_entry`` was given. Raises FormatError."""
    record = unpack(data)
    try:
        body = record["body"]
        for name in _NESTED.keys() & body.keys():
            if isinstance(body[name], dict):
                body[name] = _NESTED[name](**body[name])
        if "offsets" in body:
            body["offsets"] = {int(p): (int(a), int(b)) for p, (a, b) in body["offsets"].items()}
        entry: Entry = _KINDS[record["kind"]](**body)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(
            f"an entry of the model log is not of this version of Shoal ({error!r}); "
            "run the version that wrote it, or start a new kafka.generation"
        ) from error
    return entry
