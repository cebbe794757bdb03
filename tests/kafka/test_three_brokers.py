"""A cluster of three brokers, replication 3, two in sync: one of them goes and comes back, and nothing is lost."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from producers.synthetic import SyntheticLog
from stream.events.schema import EventRecord
from tests.kafka.cluster import Cluster
from tests.kafka.processes import Nursery
from tests.kafka.service import Service


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    if os.environ.get("SHOAL_TESTS_WITHOUT_KAFKA"):
        pytest.skip("SHOAL_TESTS_WITHOUT_KAFKA is set")
    with Cluster(tmp_path / "cluster") as started:
        yield started


def test_a_broker_that_goes_and_comes_back_costs_nothing(
    cluster: Cluster, nursery: Callable[[], Nursery], log: SyntheticLog, events: list[EventRecord]
) -> None:
    shoal = Service(cluster.bootstrap_servers, 3, nursery, kafka={"replication": 3})
    try:
        shoal.load(log.items)
        one, two = shoal.thread("one"), shoal.thread("two")
        shoal.until(lambda: one.partitions() and two.partitions(), "both to have partitions")
        shoal.feed(events[:500])
        shoal.until(lambda: one.commits and two.commits, "commits of both")
        # The one that all commits need, at a moment when there is work.
        gone = cluster.leader(shoal.topics.model_updates.name)
        gone.kill()
        shoal.feed(events[500:1_000])
        shoal.wait()  # without it
        gone.start()
        cluster.wait_for_replicas(shoal.topics.model_updates.name, 3)
        # What came meanwhile is on the one that is back: now another goes.
        other = cluster.leader(shoal.topics.model_updates.name)
        assert other is not gone
        other.kill()
        shoal.feed(events[1_000:1_500])
        shoal.wait()
        one.stop()
        two.stop()
        shoal.check_exactly_once()
        assert one.table | two.table == shoal.profiles() != {}
    finally:
        shoal.close()
