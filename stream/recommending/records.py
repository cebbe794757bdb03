"""The record that is published for a user, as JSON: ``docs/schemas/recommendations.schema.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from stream.catalogue import Catalogue
from stream.clustering.shared import SharedClusters


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
        self._reasons: dict[object, bytes] = {}

    def write(self, published: Published, items: list[int], scores: list[float], sources: list[int]) -> bytes:
        """One record; ``items`` are rows, best first."""
        entries = b",".join(
            self._entry(row, score, source, published.cluster)
            for row, score, source in zip(items, scores, sources, strict=True)
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

    def _entry(self, row: int, score: float, source: int, cluster: int | None) -> bytes:
        """A JSON object: the item's own fields, then what this list says of it."""
        item = self._catalogue.fragment(row) or orjson.dumps({"item_id": self._item_ids.get(row, "")})
        return b'%b,"score":%.5g,"source":"%b","reason":%b}' % (
            item[:-1],
            score,
            self._sources[source].encode(),
            self._reason(source, cluster),
        )

    def _reason(self, source: int, cluster: int | None) -> bytes:
        label = self._clusters.labels.get(cluster, "") if cluster is not None else ""
        found = self._reasons.get((source, label))
        if found is None:
            text = {
                "popular": "popular with everybody",
                "trending": f"popular in {label or 'your cluster'}",
                "co-visitation": "taken with what you took",
                "content": "like what you took",
            }[self._sources[source]]
            found = self._reasons[source, label] = orjson.dumps(text)
        return found
