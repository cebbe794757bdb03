"""Profiles of partitions that were assigned, from the changelog to its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import structlog

from stream.broker.interface import Broker
from stream.broker.topics import Topics
from stream.clock import Clock
from stream.errors import BrokerUnavailable
from stream.profiles.table import ProfileTable

log = structlog.get_logger()

CHUNK = 10_000  # records at a time: bounds memory, and how long batches of other partitions wait
STEP_S = 0.05  # how long one step waits for records
# A changelog that brings nothing for so long, while it must, belongs to a broker that is away.
SILENCE_S = 60.0
SAY_EVERY_S = 5.0  # how far it is, where it takes longer


class Restoration:
    """Restores some partitions, step by step, so that batches of others can be processed between.

    The end counts records of transactions that are open now, so a restoration lasts until these have ended.
    """

    def __init__(
        self,
        broker: Broker,
        topics: Topics,
        profiles: ProfileTable,
        epochs: Mapping[int, int],
        starts: Mapping[int, int],
        clock: Clock,
    ) -> None:
        self.epochs = dict(epochs)  # of the partitions to restore
        self._profiles = profiles
        self._clock = clock
        self._started = self._moved_at = self._said_at = clock.monotonic()
        self._before = len(profiles)
        topic = topics.profiles.name
        self._ends = {p: end for p, (_, end) in broker.offsets(topic).items() if p in epochs}
        self._starts = {p: starts[p] for p in epochs}  # offsets before which all is in the table
        self._reader = broker.reader(topic, self._starts)

    def step(self) -> bool:
        """Take in what comes next; whether all is restored. Raises BrokerUnavailable, FormatError."""
        before = self._reader.positions()
        records = self._reader.read(CHUNK, STEP_S)
        for partition in np.intersect1d(records.partition, list(self.epochs)):
            part = records.select(records.partition == partition)
            self._profiles.restore(int(partition), part.keys, part.values)
        positions = self._reader.positions()
        if all(positions[p] >= self._ends[p] for p in self.epochs):
            self._say_done()
            return True
        if positions != before:
            self._moved_at = self._clock.monotonic()
            self._say_how_far(positions)
        elif self._clock.monotonic() - self._moved_at > SILENCE_S:
            raise BrokerUnavailable(
                f"no progress in restoring profiles for {SILENCE_S:g} s: the broker does not answer, or a transaction "
                "stays open"
            )
        return False

    def discard(self, partitions: Sequence[int]) -> None:
        """Restore no more of ``partitions``."""
        for partition in partitions:
            self.epochs.pop(partition, None)

    def close(self) -> None:
        """Give connections back."""
        self._reader.close()

    def positions(self) -> dict[int, int]:
        """Offsets of the changelog before which all is in the table, by partition."""
        return {p: offset for p, offset in self._reader.positions().items() if p in self.epochs}

    def _say_how_far(self, positions: Mapping[int, int]) -> None:
        now = self._clock.monotonic()
        if now - self._said_at < SAY_EVERY_S:
            return
        self._said_at = now
        done = sum(positions[p] - self._starts[p] for p in self.epochs)
        wanted = sum(self._ends[p] - self._starts[p] for p in self.epochs)
        log.info(
            "restoring profiles",
            share=f"{done / max(wanted, 1):.0%}",
            profiles=len(self._profiles) - self._before,
            seconds=round(now - self._started),
        )

    def _say_done(self) -> None:
        log.info(
            "profiles restored",
            partitions=sorted(self.epochs),
            profiles=len(self._profiles) - self._before,
            seconds=round(self._clock.monotonic() - self._started, 2),
        )
