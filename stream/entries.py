"""What stands in the model log: deltas of workers, decisions of the learner."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.clustering.drift import DriftEvent
from stream.clustering.hierarchy import Hierarchy
from stream.clustering.lifecycle import Reshaped
from stream.clustering.lineage import LineageEvent
from stream.clustering.numbering import Correspondence
from stream.clustering.shared import Named
from stream.clustering.stats import ClusterStats
from stream.errors import FormatError
from stream.recommending.distinct import Sketch
from stream.recommending.exploring import Trials
from stream.recommending.item_models import ItemModel, ItemModels
from stream.recommending.ranker import RankerState, SampledLists
from stream.recommending.sequences import SequenceModel
from stream.recommending.taught import Taught
from stream.steps import Steps
from stream.wire import pack, unpack


@dataclass(frozen=True, slots=True)
class Delta:
    """What one commit adds to the model: u items, e counted events, s sampled profiles, D dimensions."""

    base_version: int  # of the model it was made against
    offsets: dict[int, tuple[int, int]]  # per input partition the first and last offset covered
    events: int  # taken in, counted or not: moves the model's clock
    updates: int  # profiles touched: moves the clock by which clusters forget
    items: npt.NDArray[np.uint64]  # (u,) dictionary of the columns below
    item_ids: list[str | None]  # (u,) id texts of those the model did not know, None for the others
    event_item: npt.NDArray[np.int32]  # (e,) into items, one step's after the other's
    event_weight: npt.NDArray[np.float32]  # (e,) positive
    event_new: npt.NDArray[np.bool_]  # (e,) whether the item was new to its user
    new_to: npt.NDArray[np.uint64]  # one for each True there: hash of the user
    steps: Steps
    clusters: ClusterStats | None
    watched: npt.NDArray[np.float32]  # squared distances of some of what was taken from its users' centres
    sample_users: npt.NDArray[np.uint64]  # (s,)
    sample_vectors: npt.NDArray[np.float16]  # (s, D)
    taught: Taught
    trials: Trials
    listed: Sketch  # of the items in the lists that were published
    counts: dict[str, float]  # events, lists, drops by reason, hits
    dropped: dict[int, list[int]] | None = None  # with provenance: per input partition the offsets dropped
    events_topic: str = ""  # identity of the topic that the offsets are of; empty where there is no broker


@dataclass(frozen=True, slots=True)
class Seeded:
    """A decision: how profiles are projected, and the first centres."""

    sequence: int  # the model takes decisions in sequence only: a repeated or late one does nothing
    mean: npt.NDArray[np.float32]  # (D,)
    components: npt.NDArray[np.float32]  # (D, d)
    centres: npt.NDArray[np.float32]  # (k, d)
    weights: npt.NDArray[np.float64]  # (k,) users that each centre stands for


@dataclass(frozen=True, slots=True)
class Reprojected:
    """A decision: profiles are projected anew, and the same clusters go on in the new space."""

    sequence: int
    mean: npt.NDArray[np.float32]  # (D,)
    components: npt.NDArray[np.float32]  # (D, d)
    centres: npt.NDArray[np.float32]  # (k, d), in the order of ids
    errors: npt.NDArray[np.float64]  # (k,) mean squared distances to them


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A decision: what becomes of the clusters; None: they stay as they are."""

    sequence: int
    change: Reshaped | None


@dataclass(frozen=True, slots=True)
class Labelled:
    """A decision: what clusters are called."""

    sequence: int
    named: Named


@dataclass(frozen=True, slots=True)
class Paced:
    """A decision: how fast the clusters forget, as users have changed or have settled."""

    sequence: int
    drift: DriftEvent


@dataclass(frozen=True, slots=True)
class Trained:
    """A decision: new weights of the ranker."""

    sequence: int
    ranker: RankerState
    lists: int  # sampled lists that were new to it


@dataclass(frozen=True, slots=True)
class Refitted:
    """A decision: what the models of items are from now on."""

    sequence: int
    fit: ItemModels


@dataclass(frozen=True, slots=True)
class Schooled:
    """A decision: what the transformer behind the source ``sequence`` is from now on."""

    sequence: int
    model: SequenceModel


@dataclass(frozen=True, slots=True)
class TookOver:
    """A decision: this generation has caught up with an older one, and publishes from now on, in its place."""

    sequence: int
    clusters: Correspondence


Decision = TookOver | Seeded | Reprojected | Reviewed | Labelled | Paced | Trained | Refitted | Schooled
Entry = Delta | Decision

TAG = "#"  # under which a map says what it was
# What may stand in the log: nothing else is ever made of its bytes.
_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        Delta, ClusterStats, SampledLists, Steps, Taught, Trials,
        Seeded, Reprojected, Reviewed, Reshaped, LineageEvent, Labelled, Named, Hierarchy, Paced, DriftEvent,
        Trained, RankerState, Refitted, ItemModels, ItemModel, Schooled, SequenceModel, TookOver, Correspondence,
    )
}  # fmt: skip


def encode_entry(entry: Entry) -> bytes:
    """Write an entry in its binary form."""
    return pack(_plain(entry))


def decode_entry(data: bytes) -> Entry:
    """Give what ``encode_entry`` was given. Raises FormatError."""
    try:
        entry = _made(unpack(data))
        if not isinstance(entry, Entry):
            raise TypeError(f"{type(entry).__name__} is no entry")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(
            f"an entry of the model log is not of this version of Shoal ({error!r}); "
            "run the version that wrote it, or start a new kafka.generation"
        ) from error
    return entry


def _plain(value: Any) -> Any:
    """``value`` with its dataclasses, at any depth, as maps that name their kind."""
    if isinstance(value, list | tuple):  # of one kind each: thousands of texts need no look at every one
        return [_plain(item) for item in value] if value and _is_composed(value[0]) else list(value)
    if type(value).__name__ not in _KINDS:
        return value
    return {TAG: type(value).__name__} | {f.name: _plain(getattr(value, f.name)) for f in fields(value)}


def _is_composed(value: Any) -> bool:
    """Whether there may be a dataclass in ``value``, or what stands for one."""
    return isinstance(value, list | tuple | dict) or type(value).__name__ in _KINDS


def _made(value: Any) -> Any:
    if isinstance(value, list):
        return [_made(item) for item in value] if value and _is_composed(value[0]) else value
    if not isinstance(value, dict) or TAG not in value:
        return value
    body = {name: _made(part) for name, part in value.items() if name != TAG}
    kind = _KINDS[value[TAG]]
    if kind is Delta:
        body["offsets"] = {int(p): (int(a), int(b)) for p, (a, b) in body["offsets"].items()}
        if (dropped := body.get("dropped")) is not None:
            body["dropped"] = {int(p): offsets for p, offsets in dropped.items()}
    elif kind is LineageEvent:
        body["parents"] = tuple(body["parents"])
    return kind(**body)
