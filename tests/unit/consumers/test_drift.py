"""Users who change at once are noticed by a worker that runs, and who follows the clusters is told."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from consumers.cluster_records import DRIFT
from producers.synthetic import SyntheticLog, SyntheticSettings
from stream.config import Settings
from tests.unit.consumers.cluster import Cluster, drain

EVENTS, MICRO_BATCH = 16_000, 1_024
SHIFT_DAY = 15.0
NOTICED_WITHIN = 6_000  # events


@pytest.fixture
def settings(small_settings: Settings, quick: None) -> Settings:
    changes = {
        "worker": {"micro_batch": MICRO_BATCH},
        "clustering": {"k": 14, "dimensions": 32},
        "item_models": {"refit_every": EVENTS},
    }
    parts = {name: getattr(small_settings, name).model_copy(update=part) for name, part in changes.items()}
    return small_settings.model_copy(update=parts)


def told(settings: Settings, shift_day: float | None) -> list[tuple[int, dict[str, Any]]]:
    """What is published of drift over a generated log, each with the number of events before the batch it came with."""
    log = SyntheticLog(
        SyntheticSettings(users=300, events=EVENTS, drift=0.0, shift_day=shift_day, shift_share=0.6)
    )
    cluster, events, found = Cluster(settings, partitions=1), list(log.events()), []
    cluster.load(log.items)
    worker, seen = cluster.worker(), 0
    for start in range(0, EVENTS, MICRO_BATCH):
        cluster.feed(events[start : start + MICRO_BATCH])
        drain(worker)
        records = cluster.read(cluster.topics.clusters.name)
        drifts = [orjson.loads(v) for k, v in zip(records.keys, records.values, strict=True) if k == DRIFT]
        found += [(start, drift) for drift in drifts[seen:]]
        seen = len(drifts)
    cluster.close()
    return found


def test_an_abrupt_change_is_told_and_its_end(settings: Settings) -> None:
    events = SyntheticLog(SyntheticSettings(users=300, events=EVENTS, drift=0.0)).columns
    before = int((events.time < events.time[0] + SHIFT_DAY * 86_400_000).sum())
    (noticed, drift), (_, settled) = told(settings, SHIFT_DAY)
    assert (drift["status"], settled["status"]) == ("drift", "settled")
    assert drift["pace"] > 1.0
    assert settled["pace"] == 1.0
    assert before - MICRO_BATCH <= noticed <= before + NOTICED_WITHIN


def test_nothing_is_told_where_nobody_changes(settings: Settings) -> None:
    assert told(settings, None) == []
