"""A generation with another encoder takes over from the one before, under its clusters' ids. In memory."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from consumers.resetting import open_generation, plan_opening
from consumers.worker import Worker
from producers.synthetic import SyntheticLog, SyntheticSettings
from stream.clustering.numbering import ROOM
from stream.encoder import TextEncoder
from stream.encoder.cache import CachedEncoder
from stream.encoder.hashing import HashingEncoder
from stream.encoder.vector_store import MemoryStore
from stream.errors import FormatError
from stream.events.schema import EventRecord
from tests.unit.consumers.cluster import Cluster, drain


@pytest.fixture(autouse=True)
def looks_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumers.taking_over.LOOK_S", 0.0)
    monkeypatch.setattr("stream.background.REST", 0.0)


def until_it_took_over(new: Worker, *others: Worker) -> None:
    deadline = time.monotonic() + 20
    while not new.model.took_over:
        assert time.monotonic() < deadline
        drain(new, *others)
    drain(new, *others)


def lists(cluster: Cluster, generation: int) -> list[dict[str, Any]]:
    return [made for _, made in cluster.lists() if made["list_id"].startswith(f"g{generation}-")]


def newest(made: list[dict[str, Any]]) -> dict[str, int]:
    """Cluster of each user in their newest list."""
    return {one["user_id"]: one["cluster"]["id"] for one in made if one["cluster"]}


def clusters(cluster: Cluster) -> dict[int, dict[str, Any]]:
    records = cluster.read(cluster.topics.clusters.name)
    found = {k: json.loads(v or b"") for k, v in zip(records.keys, records.values, strict=True)}
    return {int(key or b""): record for key, record in found.items() if key != b"drift"}


def test_ids_of_clusters_stay_and_nothing_is_published_before(cluster: Cluster) -> None:
    many = SyntheticLog(SyntheticSettings(users=300, items=120, events=4_000, seed=3))
    cluster.load(many.items)
    events = list(many.events())
    old = cluster.worker("old")
    for start in range(0, 3_000, 500):  # so that users get lists when there are clusters
        cluster.feed([*events[start : start + 500]])
        drain(old)
    open_generation(
        cluster.broker, cluster.settings.kafka, plan_opening(cluster.broker, cluster.settings.kafka)
    )
    before = clusters(cluster)
    new = cluster.worker("new", HashingEncoder(48), generation=2)
    while new.model.counts["records"] < 3_000:
        assert not new.model.took_over
        new.step()
    assert not lists(cluster, 2)
    assert clusters(cluster) == before
    assert new.model.clusters.labels  # it has clusters of its own, which nobody has seen
    until_it_took_over(new, old)
    cluster.feed([*events[3_000:]])
    drain(new, old)

    one, two = newest(lists(cluster, 1)), newest(lists(cluster, 2))
    both = one.keys() & two.keys()
    kept = set(one.values()) & set(two.values())
    assert len(kept) >= 2
    # Of those whose cluster goes on most are where they were; they would be by chance in a quarter of the cases.
    staying = [one[user] == two[user] for user in both if one[user] in kept]
    assert sum(staying) > 0.6 * len(staying)
    assert all(made["model_version"] >= 0 for made in lists(cluster, 2))
    assert all(made["user_seq"] >= 1 for made in lists(cluster, 2))
    after = clusters(cluster)
    numbering = new.model.clusters.numbering
    mine = {numbering.published(c) for c in new.model.clusters.ids.tolist()}
    assert set(two.values()) <= mine
    assert mine <= {c for c, record in after.items() if record["status"] == "living"}
    new_ids = mine - before.keys()
    assert all(c >= max(before) + 1 + ROOM for c in new_ids)
    for gone in before.keys() - mine:
        assert (
            after[gone]["status"] == "retired"
            or after[gone]["model_version"] != before[gone]["model_version"]
        )


def test_a_worker_that_starts_later_publishes_under_the_same_ids(
    cluster: Cluster, events: list[EventRecord]
) -> None:
    cluster.feed([*events[:600]])
    old = cluster.worker("old")
    drain(old)
    new = cluster.worker("new", HashingEncoder(48), generation=2)
    until_it_took_over(new)
    other = cluster.worker("other", HashingEncoder(48), generation=2)
    assert other.model.took_over
    assert other.model.clusters.numbering.kept == new.model.clusters.numbering.kept
    assert other.model.clusters.numbering.first == new.model.clusters.numbering.first > 0


def test_it_does_not_take_over_before_it_has_all_that_the_old_one_had(
    cluster: Cluster, events: list[EventRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.feed([*events[:600]])
    drain(cluster.worker("old"))
    new = cluster.worker("new", HashingEncoder(48), generation=2)
    take_over = new._processor._take_over
    behind: list[int] = []
    look = take_over._look

    def looked(positions: dict[int, int]) -> Any:
        found = look(positions)
        behind.append(600 - sum(positions.values()))
        assert (found is None) or behind[-1] == 0
        return found

    monkeypatch.setattr(take_over, "_look", looked)
    until_it_took_over(new)
    assert behind[-1] == 0


def test_a_first_generation_with_another_number_publishes_when_it_has_read_the_log(
    cluster: Cluster, events: list[EventRecord]
) -> None:
    cluster.feed([*events[:300]])
    only = cluster.worker("only", generation=3)
    until_it_took_over(only)
    assert not cluster.lists()
    cluster.feed([*events[300:400]])
    drain(only)
    assert lists(cluster, 3)


@pytest.mark.parametrize(
    "encoder", [HashingEncoder(48), CachedEncoder(HashingEncoder(32), MemoryStore(1_000_000))]
)
def test_another_encoder_in_the_same_generation_is_refused_with_what_to_do(
    cluster: Cluster, events: list[EventRecord], encoder: TextEncoder
) -> None:
    cluster.feed([*events[:300]])
    drain(cluster.worker("old"))
    with pytest.raises(FormatError, match=r"encoder.*shoal reset"):
        cluster.worker("new", encoder)
