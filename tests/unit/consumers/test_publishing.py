"""Lists that are held back: nobody sees them, and nothing is out of step by them. On a broker in memory."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from stream.broker.interface import Records
from stream.config import Settings
from stream.config_lists import PublishSettings
from stream.events.schema import EventRecord
from tests.unit.consumers.cluster import Cluster, drain


@pytest.fixture
def cluster(request: pytest.FixtureRequest, small_settings: Settings, log: Any, quick: None) -> Any:
    publish = PublishSettings.model_validate(request.param)
    made = Cluster(small_settings.model_copy(update={"publish": publish}))
    made.load(log.items)
    yield made
    made.close()


def by_user(cluster: Cluster) -> dict[tuple[int, str], list[dict[str, Any]]]:
    found: dict[tuple[int, str], list[dict[str, Any]]] = defaultdict(list)
    for partition, made in cluster.lists():
        found[partition, made["user_id"]].append(made)
    return found


def feed_slowly(cluster: Cluster, events: list[EventRecord]) -> Any:
    worker = cluster.worker()
    for start in range(0, 600, 20):
        cluster.feed([*events[start : start + 20]])
        drain(worker)
    return worker


@pytest.mark.parametrize("cluster", [{"mode": "changed"}], indirect=True)
def test_lists_that_do_not_differ_are_not_published(cluster: Cluster, events: list[EventRecord]) -> None:
    # Who was only shown something is as before.
    shown = [
        msgspec.structs.replace(events[559], event_id=f"shown-{n}", action="impression") for n in range(40)
    ]
    worker = feed_slowly(cluster, [*events[:560], *shown])
    lists = by_user(cluster)
    for made in lists.values():
        items = [[item["item_id"] for item in one["items"]] for one in made]
        assert all(one != other for one, other in pairwise(items))
        assert [one["user_seq"] for one in made] == list(range(1, len(made) + 1))
    taken = [offset for made in lists.values() for one in made for offset in one["source"]["offsets"]]
    assert len(taken) < 600, "some were held back"
    assert worker.model.counts["records"] == worker.model.counts["events"] == 600
    assert worker.model.counts["lists"] == sum(map(len, lists.values()))


@pytest.mark.parametrize("cluster", [{"mode": "interval", "interval_ms": 3_600_000}], indirect=True)
def test_a_user_has_one_list_per_interval_and_is_measured_on_it(
    cluster: Cluster, events: list[EventRecord]
) -> None:
    worker = feed_slowly(cluster, events)
    assert {len(made) for made in by_user(cluster).values()} == {1}
    # Events still meet the list that their user has.
    assert worker.model.counts["scored"] > 100
    rows = worker.profiles.rows[: len(worker.profiles)]
    assert set(rows["user_seq"].tolist()) == {1}


@pytest.mark.parametrize("cluster", [{"after_catch_up": True, "catch_up_ms": 60_000}], indirect=True)
def test_what_is_processed_again_is_published_only_when_it_has_caught_up(
    cluster: Cluster, events: list[EventRecord]
) -> None:
    clock = cluster.broker.clock
    real = clock.now_ms
    clock.now_ms = lambda: real() - 3_600_000  # type: ignore[method-assign]
    cluster.feed([*events[:200]])
    clock.now_ms = real  # type: ignore[method-assign]
    cluster.feed([*events[200:260]])
    worker = cluster.worker(micro_batch=50)
    drain(worker)
    assert worker.model.counts["events"] == 260
    fed = cluster.read(cluster.topics.events.name)
    fresh = {
        p: int(fed.offset[(fed.partition == p) & (fed.timestamp > real() - 60_000)].min()) for p in range(3)
    }
    lists = [(p, made["source"]["offset"]) for p, made in cluster.lists()]
    assert lists
    assert all(offset >= fresh[p] for p, offset in lists)
    assert all(made[0]["user_seq"] == 1 for made in by_user(cluster).values())
    assert len(Records.concat("", [fed])) == 260
