"""Reading from the in-memory broker outside of groups."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping

from stream.broker.interface import Records
from stream.broker.memory_log import PartitionLog, fetch_all
from stream.errors import BrokerUnavailable

CHUNK = 10_000  # records that ``read_to_end`` gives at once: bounds memory, no more


class MemoryReader:
    """A ``Reader`` in memory."""

    def __init__(
        self, topic: str, logs: list[PartitionLog], positions: dict[int, int], changed: threading.Condition
    ) -> None:
        self._topic = topic
        self._logs = logs
        self._positions = positions
        self._changed = changed

    def read(self, max_records: int, timeout: float) -> Records:
        """See ``Reader.read``."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                records = self._fetch(max_records)
                left = deadline - time.monotonic()
                if len(records) or left <= 0:
                    return records
                self._changed.wait(left)

    def _fetch(self, limit: int) -> Records:
        return fetch_all(self._topic, self._logs, self._positions, sorted(self._positions), limit)

    def read_to_end(self, timeout: float) -> Iterator[Records]:
        """See ``Reader.read_to_end``."""
        with self._changed:
            ends = {p: self._logs[p].end for p in self._positions}
        return self._read_to(ends, timeout)

    def _read_to(self, ends: Mapping[int, int], timeout: float) -> Iterator[Records]:
        while any(self._positions[p] < end for p, end in ends.items()):
            with self._changed:
                before = dict(self._positions)
                records = self._fetch(CHUNK)
                if self._positions == before and not self._changed.wait(timeout):
                    raise BrokerUnavailable(
                        f"no progress in reading {self._topic} for {timeout:g} s: a transaction stays open"
                    )
            if len(records):
                yield records

    def positions(self) -> dict[int, int]:
        """See ``Reader.positions``."""
        with self._changed:
            return dict(self._positions)

    def lag(self) -> int:
        """See ``Reader.lag``."""
        with self._changed:
            return sum(self._logs[p].end - position for p, position in self._positions.items())

    def close(self) -> None:
        """See ``Reader.close``."""
