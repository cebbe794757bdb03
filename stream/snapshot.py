"""A snapshot of the model: all that folding the log up to some offset has made of it, as bytes with a manifest.

Folding the rest of the log into a model that was loaded gives the same model as never having stopped, byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from stream.clustering.adapters import RiverClusterer
from stream.clustering.hierarchy import Hierarchy
from stream.clustering.kmeans import StreamingKMeans
from stream.clustering.lineage import Lineage, LineageEvent
from stream.clustering.numbering import Numbering
from stream.clustering.projection import Projection
from stream.clustering.sample import SampledProfiles
from stream.clustering.shared import SharedClusters
from stream.config import Settings
from stream.errors import FormatError
from stream.hashing import HashIndex, hash_bytes
from stream.model import Model
from stream.recommending.contexts import ContextTable
from stream.recommending.counts import ItemCounts, ItemLives
from stream.recommending.exploring import TrialCounts
from stream.recommending.item_models import NeighbourLists
from stream.recommending.mixture import Mixture
from stream.recommending.pairs import Pairs
from stream.recommending.popularity import Popularity
from stream.recommending.quality import Lately
from stream.recommending.ranker import ListWindow, RankerState, SampledLists
from stream.recommending.repeats import RepeatTable
from stream.recommending.sequences import SequenceModel
from stream.recommending.sources import Columns
from stream.recommending.tables import Growth, NeighbourTable
from stream.recommending.takings import Takings
from stream.recommending.trending import Charts, Trending
from stream.state import Registry, attributes_by_kind
from stream.wire import pack, unpack

# A change of what the model's attributes mean is a new number; other attributes are noticed without.
FORMAT = 1

# All classes that a model consists of. One that is missing is named by the error of the first snapshot.
MODEL = Registry(
    [
        Model, HashIndex, SampledProfiles,
        SharedClusters, StreamingKMeans, RiverClusterer, Projection, Numbering, Lineage, LineageEvent, Hierarchy,
        ItemCounts, ItemLives, Popularity, Pairs, ContextTable, RepeatTable, Growth, NeighbourTable, Columns,
        Trending, Charts,
        Mixture, RankerState, ListWindow, SampledLists,
        Takings, NeighbourLists, TrialCounts, Lately, SequenceModel,
    ]
)  # fmt: skip

# Settings that may change over a restart: they are read when something is decided or listed. The others of their
# tables are built into what is counted, and a model counted with other ones is not this model.
FREE = {
    "clustering": {
        "k", "k_bounds", "margin", "segments", "seed_users_per_cluster", "label_words", "dimensions", "whiten"
    },
    "recommending": {"exclude_seen"},
    "item_models": {"items", "neighbours", "half_life", "refit_every"},
    "sequence": {"dimensions", "layers", "length", "items", "sequences", "steps", "retrain_every"},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is known of a snapshot without reading it; written last, so that one without it is not complete."""

    name: str  # of this snapshot and no other
    slot: int  # in whose place the next but two is written
    log: str  # identity of the model log: offsets in another say nothing
    version: int  # of the model: the offset in the log of the entry that was folded last
    start: (
        int  # where in the log to read on; up to ``version`` there may stand entries that are folded already
    )
    after: int  # offset in the topic of snapshots before which none of its parts stands
    size: int  # bytes
    checksum: int  # XXH3-64 of all of them
    shape: dict[str, Any]  # settings that the model was counted with
    counts: dict[str, float]  # the model's: this and the following for those who only add up
    lately: dict[str, Any]  # ``Lately.state``
    positions: dict[int, int]  # per partition of events the next one to be read
    decided: dict[str, int]  # decisions by kind
    labels: dict[int, str]  # of the clusters
    format: int = FORMAT

    def refusal(self, log: str, shape: Mapping[str, Any]) -> str:
        """Why a worker on this ``log`` whose model has this ``shape`` cannot use it; empty where it can."""
        if self.format != FORMAT:
            return f"it has format {self.format}, and this version of Shoal reads {FORMAT}"
        if self.log != log:
            return "it is of another model log, which had this name before"
        other = [name for name in sorted({*shape, *self.shape}) if shape.get(name) != self.shape.get(name)]
        if other:
            name = other[0]
            return f"it was made with {name} = {self.shape.get(name)}, which is {shape.get(name)} now"
        return ""


def shape_of(settings: Settings, encoder_id: str) -> dict[str, Any]:
    """Settings that a model is counted with, by name, as MessagePack gives them back.

    Examples
    --------
    >>> shape = shape_of(Settings(), "an encoder")
    >>> shape["recommending.neighbours"], "clustering.k" in shape
    (32, False)
    """
    shape: dict[str, Any] = {"encoder": encoder_id, "profiles.history": settings.profiles.history}
    for section, free in FREE.items():
        values = getattr(settings, section).model_dump(mode="json", exclude=free)
        shape |= {f"{section}.{name}": value for name, value in values.items()}
    return shape


def freeze(model: Model) -> dict[str, Any]:
    """Take a copy of all that ``model`` is, for ``write``: this is all that has to happen between two folds.

    Raises FormatError where it holds what is not registered.
    """
    frozen: dict[str, Any] = MODEL.freeze(model, "model")
    return frozen


def write(frozen: Mapping[str, Any]) -> bytes:
    """Give a frozen model as bytes."""
    return pack(frozen)


def read(data: bytes, manifest: Manifest, fresh: Model) -> Model:
    """Make the model that ``data`` holds, with the settings of ``fresh``, a model that has folded nothing.

    Raises
    ------
    FormatError
        If it is damaged, or was written by a version of Shoal with another model.
    """
    if len(data) != manifest.size or hash_bytes(data) != manifest.checksum:
        raise FormatError("its bytes are not those that were written")
    frozen = unpack(data)
    now, then = attributes_by_kind(freeze(fresh)), attributes_by_kind(frozen)
    other = sorted(kind for kind in now.keys() & then.keys() if now[kind] != then[kind])
    if other:
        raise FormatError(f"another version of Shoal wrote it: {', '.join(other)} had other attributes")
    model = MODEL.thaw(frozen, fresh.settings)
    if not isinstance(model, Model):
        raise FormatError(f"it holds a {type(model).__name__}")
    return model


def write_manifest(manifest: Manifest) -> bytes:
    """Give ``manifest`` as bytes."""
    return pack(asdict(manifest))


def read_manifest(data: bytes) -> Manifest:
    """Make what ``write_manifest`` was given. Raises FormatError."""
    fields = unpack(data)
    if fields.get("format") != FORMAT:
        raise FormatError(
            f"a manifest has format {fields.get('format')!r}; this version of Shoal reads {FORMAT}"
        )
    try:
        return Manifest(**fields)
    except TypeError as error:
        raise FormatError(f"not a manifest of a snapshot ({error})") from error
