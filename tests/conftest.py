"""Fixtures that several suites share."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

import consumers  # noqa: F401 - before NumPy, whose threads it limits as in the service
from stream.broker.embedded import EmbeddedKafka
from stream.config import KafkaSettings

REPOSITORY = Path(__file__).resolve().parents[1]
SettingsFactory = Callable[..., KafkaSettings]


@pytest.fixture(scope="session")
def kafka() -> Iterator[EmbeddedKafka]:
    """A real Apache Kafka that lives as long as the test run; ``broker_settings`` keeps topics apart."""
    if os.environ.get("SHOAL_TESTS_WITHOUT_KAFKA"):
        pytest.skip("SHOAL_TESTS_WITHOUT_KAFKA is set")
    with EmbeddedKafka(heap_mb=256) as broker:
        yield broker


@pytest.fixture
def broker_settings() -> SettingsFactory:
    """Makes KafkaSettings whose prefix no other test has; ``librdkafka`` is given as plain texts."""
    prefix = f"t{uuid.uuid4().hex[:10]}."

    def settings(librdkafka: dict[str, str] | None = None, **values: object) -> KafkaSettings:
        # A test hears of rebalances sooner than a service has to.
        client = {"heartbeat.interval.ms": "200"} | (librdkafka or {})
        secrets = {key: SecretStr(value) for key, value in client.items()}
        return KafkaSettings.model_validate({"prefix": prefix, "librdkafka": secrets} | values)

    return settings


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real logs that the project is developed with; they are not part of the repository."""
    folder = Path(os.environ.get("SHOAL_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(
            f"needs the real logs: {folder} is not there, and SHOAL_SHARED_DATA names no other folder"
        )
    return folder
