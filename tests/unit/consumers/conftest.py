"""What tests of workers on a broker in memory share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from producers.synthetic import SyntheticLog, SyntheticSettings
from stream.config import Settings
from stream.events.schema import EventRecord

pytest.register_assert_rewrite("tests.unit.consumers.cluster")

from tests.unit.consumers.cluster import Cluster  # noqa: E402 - its asserts are rewritten first


@pytest.fixture(scope="module")
def log() -> SyntheticLog:
    return SyntheticLog(SyntheticSettings(users=50, items=60, events=1_200, seed=3))


@pytest.fixture(scope="module")
def events(log: SyntheticLog) -> list[EventRecord]:
    return list(log.events())


@pytest.fixture
def cluster(small_settings: Settings, log: SyntheticLog, quick: None) -> Iterator[Cluster]:
    made = Cluster(small_settings)
    made.load(log.items)
    yield made
    made.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for events that are not coming; the learner never rests, so what it decides is no chance."""
    monkeypatch.setattr("consumers.deciding.REST", 0.0)
    monkeypatch.setattr("consumers.worker.IDLE_S", 0.002)
