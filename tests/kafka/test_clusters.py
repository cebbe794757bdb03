"""Clusters on the real Kafka: workers that share a log have the same ones, and tell of them alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from producers.synthetic import SyntheticLog
from stream.events.schema import EventRecord


def test_four_workers_have_the_same_clusters(
    service: Callable[..., Any], log: SyntheticLog, events: list[EventRecord]
) -> None:
    shoal = service(partitions=4)
    shoal.load(log.items)
    workers = [shoal.worker(f"w{n}") for n in range(4)]
    for start in range(0, 2_000, 500):
        shoal.feed(events[start : start + 500])
        shoal.settle(*workers)
    assert sum(len(worker.profiles) > 0 for worker in workers) > 1
    shoal.check_exactly_once()
    for worker in workers:
        worker._processor.catch_up()
    first = workers[0].model
    assert len(first.clusters.ids) == 4
    for model in (worker.model for worker in workers[1:]):
        assert model.version == first.version
        np.testing.assert_array_equal(model.clusters.ids, first.clusters.ids)
        np.testing.assert_allclose(model.clusters.centres, first.clusters.centres, atol=1e-4)
    published = {
        key: json.loads(value)
        for key, value in zip(*columns(shoal.read(shoal.topics.clusters.name)), strict=True)
    }
    living = {one["cluster_id"] for one in published.values() if one["status"] == "living"}
    assert living == set(first.clusters.ids.tolist())


def columns(records: Any) -> tuple[list[bytes], list[bytes]]:
    return records.keys, records.values
