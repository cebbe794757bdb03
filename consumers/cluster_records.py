"""Records of the ``clusters`` topic, as JSON: ``docs/schemas/cluster.schema.json``."""

from __future__ import annotations

from typing import Any

import orjson

from stream.catalogue import Catalogue
from stream.clustering.drift import DriftEvent
from stream.clustering.numbering import Correspondence, Numbering
from stream.clustering.shared import Named
from stream.model import Model

TOP_ITEMS = 10  # named in a cluster's record


DRIFT = b"drift"  # key of the record that says whether users are changing


def cluster_records(named: Named, model: Model, catalogue: Catalogue) -> dict[bytes, bytes]:
    """One record for each living cluster, and one for each that went since the last time, by key."""
    published = model.clusters.numbering.published
    records: dict[int, dict[str, Any]] = {}
    for event in model.news:
        if event.heir is not None:
            gone = {"status": event.kind, "heir": published(event.heir), "reason": event.reason}
            records[published(event.cluster)] = gone
    born = {event.cluster: event for event in model.news if event.kind == "born"}
    measures = _measures(model)
    for cluster, label in zip(named.ids.tolist(), named.labels, strict=True):
        record: dict[str, Any] = {"status": "living", "label": label}
        record["segments"] = named.hierarchy.path(cluster)
        record |= measures[cluster]
        if cluster in born:
            record["parents"] = [published(parent) for parent in born[cluster].parents]
            record["reason"] = born[cluster].reason
        rows, _ = model.items.trending.heaviest(cluster, TOP_ITEMS, model.index.keys)
        record["top_items"] = [_item(row, model, catalogue) for row in rows.tolist()]
        records[published(cluster)] = record
    return _written(records, model)


def given_up(clusters: Correspondence, model: Model) -> dict[bytes, bytes]:
    """One record for each cluster of an older generation that this one does not go on with, by key."""
    numbering = Numbering()
    numbering.go_on(clusters)
    pairs = zip(clusters.gone.tolist(), clusters.heirs.tolist(), strict=True)
    gone = {"status": "retired", "reason": "generation"}
    return _written({old: gone | {"heir": numbering.published(heir)} for old, heir in pairs}, model)


def _written(records: dict[int, dict[str, Any]], model: Model) -> dict[bytes, bytes]:
    """Records by id of the cluster, as they are sent."""
    return {
        b"%d" % cluster: orjson.dumps({"cluster_id": cluster} | record | {"model_version": model.version})
        for cluster, record in records.items()
    }


def drift_record(drift: DriftEvent, model: Model) -> bytes:
    """Say that users began to change, or that the clusters have followed."""
    record = {"status": drift.kind, "pace": drift.pace, "error": round(drift.error, 4)}
    return orjson.dumps(record | {"events": model.clock, "model_version": model.version})


def _measures(model: Model) -> dict[int, dict[str, float]]:
    clusters = model.clusters
    found = clusters.measure(model.sample.vectors())
    measures: dict[int, dict[str, float]] = {}
    columns = zip(clusters.ids.tolist(), found.size, found.share, found.spread, strict=True)
    for cluster, size, share, spread in columns:
        measures[cluster] = {
            "size": round(float(size), 1),
            "share": round(float(share), 4),
            "spread": round(float(spread), 4),
            "age": model.clock - clusters.born[cluster],
        }
        if cluster in clusters.shares:
            measures[cluster]["growth"] = round(float(share) - clusters.shares[cluster], 4)
    return measures


def _item(row: int, model: Model, catalogue: Catalogue) -> orjson.Fragment:
    # Of an item without an entry the catalogue knows nothing, the model its id.
    known = catalogue.fragment(row)
    return orjson.Fragment(known or orjson.dumps({"item_id": model.item_ids.get(row, "")}))
