"""The clusters topic as a subscriber reads it."""

from __future__ import annotations

import msgspec
from rich.table import Table

from consumers.lists import cluster_name
from consumers.untrusted import shown
from stream.broker.interface import Broker
from stream.broker.topics import Topics
from stream.errors import FormatError

SILENCE_S = 30.0  # without a record that must be there, the broker is taken to be away
TOP_ITEMS = 3  # named beside a cluster
TITLE_WIDTH = 40


class TopItem(msgspec.Struct, frozen=True):
    """An item that a cluster takes much of."""

    item_id: str
    title: str = ""


class Cluster(msgspec.Struct, frozen=True):
    """What of a cluster's record this package shows; ``docs/schemas/cluster.schema.json`` has all of it."""

    cluster_id: int = -1  # in the record that tells of drift
    status: str = "living"  # else what became of it
    label: str = ""
    share: float = 0.0
    top_items: list[TopItem] = []


_decode = msgspec.json.Decoder(Cluster).decode


def read_clusters(broker: Broker, topics: Topics, living: bool = True) -> list[Cluster]:
    """Read the clusters as last written, only those that are ``living`` or all, the largest first.

    Raises BrokerUnavailable, FormatError.
    """
    found: dict[bytes | None, Cluster] = {}
    reader = broker.reader(topics.clusters.name, "earliest")
    try:
        for records in reader.read_to_end(SILENCE_S):
            for key, value in zip(records.keys, records.values, strict=True):
                if value is None:
                    found.pop(key, None)
                else:
                    found[key] = _parse(value)
    finally:
        reader.close()
    wanted = [c for c in found.values() if c.cluster_id >= 0 and (not living or c.status == "living")]
    return sorted(wanted, key=lambda cluster: (-cluster.share, cluster.cluster_id))


def clusters_view(clusters: list[Cluster]) -> Table | str:
    """Show them as a table."""
    if not clusters:
        return "no clusters yet"
    table = Table("id", "label", "share", "most taken", box=None, padding=(0, 2, 0, 0))
    for cluster in clusters:
        titles = " · ".join(
            shown(i.title or i.item_id, TITLE_WIDTH).plain for i in cluster.top_items[:TOP_ITEMS]
        )
        name = shown(cluster_name(cluster.cluster_id, cluster.label), style="cyan")
        table.add_row(str(cluster.cluster_id), name, f"{cluster.share:.1%}", titles)
    return table


def _parse(value: bytes) -> Cluster:
    try:
        return _decode(value)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"not a cluster of Shoal ({error}): is this the clusters topic?") from error
