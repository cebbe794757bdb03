"""Records that wait for the processing thread, and when a batch of them is due."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stream.broker.interface import Records

# A batch closes at so many bytes as well: 2,048 events of a kilobyte are 2 MB, but a record may have a megabyte, and a
# batch of such would fill gigabytes. Much less, and events with long texts go in batches that cost more than they hold.
BATCH_BYTES = 16 * 1024 * 1024
# The next batch may be so many times as large as one before partitions are paused. A pause throws away what the client
# has fetched ahead, so it is for a thread that stands still and not for one that is merely slower than the network.
HOLD_AT = 2


class Collector:
    """What was read and is not yet processed, in the order of the log.

    A batch is due when it is full, or when ``linger_s`` have passed since the one before was taken. So an event that
    comes while nothing happens waits for nothing, and under load there is a batch, and a commit, per ``linger_s`` at
    most, unless it is full; one that takes longer to process lets the next grow.

    Parameters
    ----------
    topic
        Whose records these are.
    most
        Records in a batch.
    linger_s
        Seconds.
    """

    def __init__(self, topic: str, most: int, linger_s: float) -> None:
        self._topic = topic
        self._parts: list[Records] = []
        self._count = 0
        self._bytes = 0
        self._most = most
        self._linger_s = linger_s
        self._taken_at = -np.inf

    def __len__(self) -> int:
        return self._count

    def room(self) -> int:
        """How many records to ask for: at least one, as asking is what keeps the membership of a group."""
        return max(1, self._most - len(self))

    def is_full(self) -> bool:
        """Whether no more should come."""
        return len(self) >= HOLD_AT * self._most or self._bytes >= HOLD_AT * BATCH_BYTES

    def add(self, records: Records) -> None:
        """Take in what was read next."""
        if len(records):  # often nothing has come; what waits is not counted again
            self._parts.append(records)
            self._count += len(records)
            self._bytes += records.size

    def put_back(self, records: Records) -> None:
        """Take in again, before all others, what was taken and not committed."""
        self._become([records, *self._parts])

    def discard(self, partitions: Sequence[int]) -> None:
        """Forget what waits of ``partitions``."""
        gone = list(partitions)
        self._become([part.select(~np.isin(part.partition, gone)) for part in self._parts])

    def pace(self, now: float) -> None:
        """Let the next batch wait as if one had been taken at ``now``, in seconds: a backlog is about to fill it."""
        self._taken_at = now

    def due_in(self, now: float) -> float:
        """Seconds until a batch is due, 0 if it is; infinity while nothing waits."""
        if not len(self):
            return np.inf
        if len(self) >= self._most or self._bytes >= BATCH_BYTES:
            return 0.0
        return max(0.0, self._taken_at + self._linger_s - now)

    def take(self, now: float) -> Records:
        """The next batch: as many records as one may have, and bytes, but one record at least."""
        waiting = Records.concat(self._topic, self._parts)
        sizes = np.cumsum([len(value or b"") for value in waiting.values[: self._most]])
        n = max(1, int(np.searchsorted(sizes, BATCH_BYTES, side="right")))
        if n == len(waiting):
            batch, rest = waiting, []
        else:
            every = np.arange(len(waiting))
            batch, rest = waiting.select(every[:n]), [waiting.select(every[n:])]
        self._become(rest)
        self._taken_at = now
        return batch

    def _become(self, parts: list[Records]) -> None:
        self._parts = [part for part in parts if len(part)]
        self._count = sum(map(len, self._parts))
        self._bytes = sum(part.size for part in self._parts)
