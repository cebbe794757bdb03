"""Records of the ``clusters`` topic, as JSON: ``docs/schemas/cluster.schema.json``."""

from __future__ import annotations

from typing import Any

import orjson

from stream.catalogue import Catalogue
from stream.clustering.shared import Named
from stream.model import Model

TOP_ITEMS = 10  # named in a cluster's record


def cluster_records(named: Named, model: Model, catalogue: Catalogue) -> dict[bytes, bytes]:
    """One record for each living cluster, and one for each that went since the last time, by key."""
    records: dict[bytes, dict[str, Any]] = {}
    born = {event.cluster: event for event in model.news if event.kind == "born"}
    for event in model.news:
        if event.heir is not None:
            gone = {"status": event.kind, "heir": event.heir, "reason": event.reason}
            records[b"%d" % event.cluster] = {"cluster_id": event.cluster} | gone
    kmeans = model.clusters.kmeans
    weights = None if kmeans is None else kmeans.weights / max(float(kmeans.weights.sum()), 1e-9)
    for n, (cluster, label) in enumerate(zip(named.ids.tolist(), named.labels, strict=True)):
        record: dict[str, Any] = {"cluster_id": cluster, "status": "living", "label": label}
        record["segments"] = named.hierarchy.path(cluster)
        if weights is not None:
            record["share"] = round(float(weights[n]), 4)
        if cluster in born:
            record["parents"], record["reason"] = born[cluster].parents, born[cluster].reason
        rows, _ = model.items.trending.heaviest(cluster, TOP_ITEMS, model.index.keys)
        record["top_items"] = [_item(row, model, catalogue) for row in rows.tolist()]
        records[b"%d" % cluster] = record
    return {key: orjson.dumps(r | {"model_version": model.version}) for key, r in records.items()}


def _item(row: int, model: Model, catalogue: Catalogue) -> orjson.Fragment:
    # Of an item without an entry the catalogue knows nothing, the model its id.
    known = catalogue.fragment(row)
    return orjson.Fragment(known or orjson.dumps({"item_id": model.item_ids.get(row, "")}))
