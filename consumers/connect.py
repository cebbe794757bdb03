"""Finds the broker that a command is to talk to: the one configured, or the embedded one that runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stream.broker.kafka import KafkaBroker
from stream.broker.kafka_client import answers
from stream.config import EmbeddedSettings, Settings
from stream.errors import BrokerError, BrokerUnavailable

# Seconds that a running embedded broker may take to answer; it does so in milliseconds.
ANSWER_TIMEOUT = 2.0


def find_bootstrap_servers(settings: Settings) -> str:
    """Address of the broker: ``kafka.bootstrap_servers``, else of the embedded one on ``embedded.directory``.

    Raises BrokerUnavailable when there is neither.
    """
    if settings.kafka.bootstrap_servers:
        return settings.kafka.bootstrap_servers
    address = _read_address(settings.embedded)
    if address and answers(address, ANSWER_TIMEOUT):
        return address
    found = f"the one at {address} does not answer" if address else "none runs"
    raise BrokerUnavailable(
        f"no broker is configured, and of the embedded one on {settings.embedded.directory} {found}: start it "
        "with `shoal broker`, or set kafka.bootstrap_servers"
    )


@contextmanager
def connected(settings: Settings) -> Iterator[KafkaBroker]:
    """Give the broker, and close it. Raises BrokerUnavailable when there is none."""
    broker = KafkaBroker(settings.kafka, find_bootstrap_servers(settings))
    try:
        yield broker
    finally:
        broker.close()


@contextmanager
def announced(settings: EmbeddedSettings, address: str) -> Iterator[None]:
    """Let other commands find the embedded broker at ``address`` while this lasts. Raises BrokerError."""
    path = address_file(settings)
    beside = path.with_name(path.name + ".new")
    try:
        beside.write_text(address, "utf-8")
        beside.replace(path)
    except OSError as error:
        raise BrokerError(f"{path}: the broker's address cannot be written ({error.strerror})") from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def address_file(settings: EmbeddedSettings) -> Path:
    """Where a running embedded broker says how it is reached."""
    return settings.directory / "address"


def _read_address(settings: EmbeddedSettings) -> str:
    path = address_file(settings)
    try:
        return path.read_text("utf-8").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise BrokerError(f"{path}: the embedded broker's address cannot be read ({error})") from error
