"""One partition of the in-memory broker: records, open transactions, how far committed readers may see."""

from __future__ import annotations

import uuid
from collections.abc import Hashable, Sequence

import numpy as np

from stream.broker.interface import Records
from stream.errors import OffsetOutOfRange


class PartitionLog:
    """An append-only list of records. As in Kafka, a transaction's end takes one offset in each partition.

    The caller holds a lock around every call.

    Examples
    --------
    >>> log = PartitionLog()
    >>> log.append(b"k", b"plain", time_ms=1)
    >>> log.append(b"k", b"open", time_ms=2, transaction="t")
    >>> log.end, log.stable_end
    (2, 1)
    >>> log.finish("t", committed=True, time_ms=3)
    >>> log.fetch(0, limit=10)
    ([0, 1], 3)
    """

    def __init__(self) -> None:
        self._keys: list[bytes | None] = []
        self._values: list[bytes | None] = []
        self._times: list[int] = []
        self._visible = bytearray()
        self._open: dict[Hashable, list[int]] = {}
        self.identity = uuid.uuid4().hex
        self.first = 0  # the offset before which all was trimmed

    @property
    def end(self) -> int:
        """The offset after the last record, open transactions included: Kafka's high watermark."""
        return len(self._values)

    @property
    def stable_end(self) -> int:
        """The offset of the first record of an open transaction, or ``end``: Kafka's last stable offset."""
        return min((offsets[0] for offsets in self._open.values()), default=self.end)

    def append(
        self, key: bytes | None, value: bytes | None, time_ms: int, transaction: Hashable | None = None
    ) -> None:
        """Add a record, outside transactions or in the one named."""
        if transaction is not None:
            self._open.setdefault(transaction, []).append(self.end)
        self._add(key, value, time_ms, visible=True)

    def trim(self, before: int) -> None:
        """Forget the records before the offset ``before``, which is ``end`` at most."""
        if not before <= self.end:
            raise OffsetOutOfRange(f"the log ends at offset {self.end}; it cannot be trimmed to {before}")
        for offset in range(self.first, before):
            self._keys[offset] = self._values[offset] = None
        self.first = max(self.first, before)

    def finish(self, transaction: Hashable, committed: bool, time_ms: int) -> None:
        """End a transaction that may have written here."""
        offsets = self._open.pop(transaction, None)
        if offsets is None:
            return
        if not committed:
            for offset in offsets:
                self._visible[offset] = False
        self._add(None, None, time_ms, visible=False)

    def _add(self, key: bytes | None, value: bytes | None, time_ms: int, visible: bool) -> None:
        self._keys.append(key)
        self._values.append(value)
        self._times.append(time_ms)
        self._visible.append(visible)

    def fetch(self, position: int, limit: int) -> tuple[list[int], int]:
        """Offsets of at most ``limit`` committed records from ``position``, and the position after them."""
        if position < self.first:
            raise OffsetOutOfRange(f"the log begins at offset {self.first}; {position} was trimmed")
        found: list[int] = []
        stable_end = self.stable_end
        while len(found) < limit and position < stable_end:
            stop = min(position + limit - len(found), stable_end)
            found += [offset for offset in range(position, stop) if self._visible[offset]]
            position = stop
        return found, position

    def records(self, topic: str, partition: int, offsets: Sequence[int]) -> Records:
        """The records at ``offsets`` as columns."""
        return Records(
            topic,
            np.full(len(offsets), partition, np.int32),
            np.array(offsets, np.int64),
            np.array([self._times[i] for i in offsets], np.int64),
            [self._keys[i] for i in offsets],
            [self._values[i] for i in offsets],
        )


def fetch_all(
    topic: str, logs: Sequence[PartitionLog], positions: dict[int, int], wanted: Sequence[int], limit: int
) -> Records:
    """At most ``limit`` records of the partitions ``wanted``, in that order; ``positions`` move on."""
    parts = []
    for partition in wanted:
        offsets, positions[partition] = logs[partition].fetch(positions[partition], limit)
        if offsets:
            parts.append(logs[partition].records(topic, partition, offsets))
            limit -= len(offsets)
        if limit == 0:
            break
    return Records.concat(topic, parts)
