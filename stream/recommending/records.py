"""The record that is published for a user, as JSON: ``docs/schemas/recommendations.schema.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from stream.catalogue import Catalogue
from stream.clustering.shared import SharedClusters

CATALOGUE = "catalogue"  # not a source of candidates, but what fills a list when there are too few
REASONS = {
    CATALOGUE: "from the catalogue",
    "popular": "popular with everybody",
    "co-visitation": "taken with what you took",
    "content": "like what you took",
}


@dataclass(frozen=True, slots=True)
class Published:
    """Where a list comes from and what it was made with."""

    user_id: str
    list_id: str
    user_seq: int
    cluster: int | None
    partition: int
    offset: int  # of the last event taken in
    offsets: list[int] | None  # of all of them, where provenance is asked for
    events: int
    event_time: int
    ingest_time: int
    model_version: int
    encoder_id: str


class ListWriter:
    """Writes lists; what is the same in many of them is written as JSON once."""

    def __init__(
        self,
        catalogue: Catalogue,
        clusters: SharedClusters,
        item_ids: Mapping[int, str],
        sources: Sequence[str],
    ) -> None:
        self._sources = sources
        self._catalogue = catalogue
        self._clusters = clusters
        self._item_ids = item_ids
        self._openings: dict[int, bytes] = {}  # of entries, by item row
        self._endings: dict[int | None, list[bytes]] = {}  # of entries, by cluster and source

    def write(self, published: Published, items: list[int], scores: list[float], sources: list[int]) -> bytes:
        """One record; ``items`` are rows, best first."""
        openings, endings = self._openings, self._endings_for(published.cluster)
        entries = b",".join(
            [
                b"%b%.5g%b" % (openings.get(row) or self._open(row), score, endings[source])
                for row, score, source in zip(items, scores, sources, strict=True)
            ]
        )
        head: dict[str, Any] = {
            "user_id": published.user_id,
            "list_id": published.list_id,
            "user_seq": published.user_seq,
            "cluster": self._cluster(published.cluster),
            "items": orjson.Fragment(b"[" + entries + b"]"),
            "model_version": published.model_version,
            "encoder_id": published.encoder_id,
            "event_time": published.event_time,
            "ingest_time": published.ingest_time,
            "source": {
                "partition": published.partition,
                "offset": published.offset,
                "events": published.events,
            },
        }
        if published.offsets is not None:
            head["source"]["offsets"] = published.offsets
        return orjson.dumps(head)

    def _cluster(self, cluster: int | None) -> dict[str, Any] | None:
        if cluster is None:
            return None
        return {
            "id": cluster,
            "label": self._clusters.labels.get(cluster, ""),
            "segments": self._clusters.path(cluster),
        }

    def _open(self, row: int) -> bytes:
        """An entry is a JSON object: first the item's own fields, then what this list says of it."""
        item = self._catalogue.fragment(row) or orjson.dumps({"item_id": self._item_ids.get(row, "")})
        opening = self._openings[row] = item[:-1] + b',"score":'
        return opening

    def _endings_for(self, cluster: int | None) -> list[bytes]:
        endings = self._endings.get(cluster)
        if endings is None:
            label = self._clusters.labels.get(cluster, "") if cluster is not None else ""
            reasons = REASONS | {"trending": f"popular in {label or 'your cluster'}"}
            said = [orjson.dumps({"source": name, "reason": reasons[name]}) for name in self._sources]
            endings = self._endings[cluster] = [b"," + text[1:] for text in said]
        return endings
