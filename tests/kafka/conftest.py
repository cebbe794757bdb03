"""What tests on the real Kafka share: services, worker processes, and a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from producers.synthetic import SyntheticLog, SyntheticSettings
from stream.broker.embedded import EmbeddedKafka
from stream.events.schema import EventRecord

pytest.register_assert_rewrite("tests.kafka.processes", "tests.kafka.service")

from tests.kafka.processes import Nursery  # noqa: E402 - its asserts are rewritten first
from tests.kafka.service import Service  # noqa: E402


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Nursery]]:
    started: list[Nursery] = []

    def get() -> Nursery:
        if not started:
            started.append(Nursery(tmp_path_factory.mktemp("workers")))
        return started[0]

    yield get
    for one in started:
        one.close()


@pytest.fixture
def service(
    kafka: EmbeddedKafka, nursery: Callable[[], Nursery], tmp_path: Path
) -> Iterator[Callable[..., Service]]:
    """Makes services on topics of their own; their workers are of one machine."""
    made: list[Service] = []

    def make(partitions: int = 2, **sections: dict[str, Any]) -> Service:
        snapshots = {"directory": str(tmp_path / "snapshots")} | sections.pop("snapshots", {})
        made.append(Service(kafka.bootstrap_servers, partitions, nursery, snapshots=snapshots, **sections))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def log() -> SyntheticLog:
    return SyntheticLog(SyntheticSettings(users=60, items=80, events=3_000, seed=5))


@pytest.fixture(scope="session")
def events(log: SyntheticLog) -> list[EventRecord]:
    return list(log.events())
