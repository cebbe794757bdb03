"""What stands in the model log: deltas of workers, decisions of the learner."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.clustering.kmeans import ClusterStats
from stream.errors import FormatError
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
    context: npt.NDArray[np.int32]  # (e, C) into items: what the user touched before, newest first, -1 for none
    clusters: ClusterStats | None
    sample_users: npt.NDArray[np.uint64]  # (s,)
    sample_vectors: npt.NDArray[np.float16]  # (s, D)
    taught: npt.NDArray[np.float32]  # (situations, sources) responsibilities of the sources for what was taken
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


Decision = Seeded | Labelled
Entry = Delta | Decision

_KINDS: dict[str, type[Any]] = {"delta": Delta, "seeded": Seeded, "labelled": Labelled}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def encode_entry(entry: Entry) -> bytes:
    """The binary form of an entry."""
    body: dict[str, Any] = {f.name: getattr(entry, f.name) for f in fields(entry)}
    if isinstance(entry, Delta) and entry.clusters is not None:
        body["clusters"] = {f.name: getattr(entry.clusters, f.name) for f in fields(entry.clusters)}
    return pack({"kind": _NAMES[type(entry)], "body": body})


def decode_entry(data: bytes) -> Entry:
    """What ``encode_entry`` was given. Raises FormatError."""
    record = unpack(data)
    try:
        body = record["body"]
        if body.get("clusters") is not None:
            body["clusters"] = ClusterStats(**body["clusters"])
        if "offsets" in body:
            body["offsets"] = {int(p): (int(a), int(b)) for p, (a, b) in body["offsets"].items()}
        entry: Entry = _KINDS[record["kind"]](**body)
    except (KeyError, TypeError, AttributeError) as error:
        raise FormatError(
            f"an entry of the model log is not of this version of Shoal ({error!r}); "
            "run the version that wrote it, or start a new kafka.generation"
        ) from error
    return entry
