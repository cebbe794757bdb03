"""How a worker begins and ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import structlog

from consumers.lane import Lane
from consumers.processing import Processor
from consumers.roles import Role
from stream.broker.interface import Broker
from stream.broker.topics import Topics
from stream.clock import Clock
from stream.config import Settings
from stream.encoder import TextEncoder

log = structlog.get_logger()

POLL_S = 0.01  # how often a role is attended to meanwhile


class Closable(Protocol):
    """Holds connections."""

    def close(self) -> None:
        """Give them back."""
        ...


def start_processor(
    settings: Settings,
    broker: Broker,
    topics: Topics,
    encoder: TextEncoder,
    clock: Clock,
    encoders: Role,
    lane: Lane[Any],
) -> Processor:
    """Make the state of a worker as the logs have it, on ``lane``; a catalogue may take minutes to encode.

    Raises what ``Processor.catch_up`` raises; the lane and the role are closed then.
    """
    try:
        processor = Processor(settings, broker, topics, encoder, clock, lambda: encoders.held)
        lane.start(processor.catch_up)
        while not lane.wait(POLL_S):
            encoders.attend()
        lane.result()
    except BaseException:
        close_all([encoders, lane])
        raise
    return processor


def close_all(parts: Sequence[Closable]) -> list[Exception]:
    """Close all of ``parts``, also where one fails; what those raised that did."""
    failures: list[Exception] = []
    for part in parts:
        try:
            part.close()
        except Exception as failure:  # noqa: BLE001 - given back, and said here
            log.error("closing failed", part=type(part).__name__, error=str(failure))
            failures.append(failure)
    return failures
