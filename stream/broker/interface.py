"""The border to a log broker: what Shoal asks of Kafka, and nothing more.

Two implementations obey the contract written here, and one suite (``tests/contract``) holds both to it:
``KafkaBroker`` and ``MemoryBroker``. Records cross the border as columns, so that nobody behind it walks over
message objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from stream.broker.admin import Admin
from stream.errors import OffsetOutOfRange, TopicMismatch


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it should be. ``settings`` are Kafka's own topic settings, as strings."""

    name: str
    partitions: int
    compacted: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Records:
    """Records of one topic as columns, n of them, per partition in offset order.

    ``partition`` int32 (n,), ``offset`` int64 (n,), ``timestamp`` int64 (n,) in milliseconds (the log's
    append time where the topic is so configured), ``keys`` and ``values`` lists of n bytes or None.
    """

    topic: str
    partition: npt.NDArray[np.int32]
    offset: npt.NDArray[np.int64]
    timestamp: npt.NDArray[np.int64]
    keys: list[bytes | None]
    values: list[bytes | None]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def size(self) -> int:
        """Bytes of all values."""
        return sum(len(value) for value in self.values if value is not None)

    @classmethod
    def empty(cls, topic: str) -> Records:
        """No records of ``topic``."""
        return cls(topic, np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int64), [], [])

    @classmethod
    def concat(cls, topic: str, parts: Sequence[Records]) -> Records:
        """The records of ``parts``, in that order."""
        if not parts:
            return cls.empty(topic)
        return cls(
            topic,
            np.concatenate([p.partition for p in parts]),
            np.concatenate([p.offset for p in parts]),
            np.concatenate([p.timestamp for p in parts]),
            [k for p in parts for k in p.keys],
            [v for p in parts for v in p.values],
        )

    def select(self, keep: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Records:
        """The records at ``keep``: a mask (n,) or indices."""
        index = np.flatnonzero(keep) if keep.dtype == np.bool_ else keep
        return Records(
            self.topic,
            self.partition[index],
            self.offset[index],
            self.timestamp[index],
            [self.keys[i] for i in index],
            [self.values[i] for i in index],
        )

    def next_offsets(self) -> dict[int, int]:
        """Per partition the offset after its last record here: what a commit of these records stores."""
        return {int(p): int(self.offset[self.partition == p].max()) + 1 for p in np.unique(self.partition)}

    def first_offsets(self) -> dict[int, int]:
        """Per partition the offset of its first record here: where to seek to read these again."""
        return {int(p): int(self.offset[self.partition == p].min()) for p in np.unique(self.partition)}


class AssignmentListener(Protocol):
    """Hears of partitions coming and going, inside ``GroupConsumer.poll`` and ``close``, in that thread.

    What it raises comes out of that call; the partitions come or go all the same, and no record is lost.
    """

    def assigned(self, partitions: Sequence[int]) -> None:
        """``partitions`` are this member's from now on, beside those it has; nothing of them has been read.

        They may be paused and sought in from here.
        """
        ...

    def revoked(self, partitions: Sequence[int]) -> None:
        """``partitions`` are about to go to another member; until this returns, offsets may be committed."""
        ...

    def lost(self, partitions: Sequence[int]) -> None:
        """``partitions`` have gone to another member already; nothing may be committed for them."""
        ...


class GroupConsumer(Protocol):
    """A member of a consumer group on one topic. Reads committed records only; cooperative rebalancing."""

    def poll(self, max_records: int, timeout: float) -> Records:
        """Records that have arrived, at most ``max_records``; waits up to ``timeout`` seconds for the first.

        Must be called more often than ``max.poll.interval.ms``. Raises BrokerError when the consumer cannot
        go on.
        """
        ...

    def assignment(self) -> frozenset[int]:
        """The partitions that are this member's now."""
        ...

    def pause(self, partitions: Sequence[int]) -> None:
        """Deliver no records of ``partitions`` until ``resume``; membership stays."""
        ...

    def resume(self, partitions: Sequence[int]) -> None:
        """Deliver records of ``partitions`` again."""
        ...

    def seek(self, positions: Mapping[int, int]) -> None:
        """Read the given partitions from the given offsets on; records fetched beyond are forgotten."""
        ...

    def lag(self) -> dict[int, int]:
        """Per assigned partition how many records lie behind the position, as far as is known without asking.

        A partition may be missing until its first record or its end has been read.
        """
        ...

    def take_skipped(self) -> int:
        """How many records were gone before they could be read, since this was last asked."""
        ...

    def close(self) -> None:
        """Leave the group; calls the listener's ``revoked`` for what is still assigned. Idempotent."""
        ...


class Reader(Protocol):
    """Reads partitions of one topic from chosen offsets, outside any group; committed records only."""

    def read(self, max_records: int, timeout: float) -> Records:
        """As ``GroupConsumer.poll``."""
        ...

    def read_to_end(self, timeout: float) -> Iterator[Records]:
        """All records up to the end that the partitions had at the call.

        The end counts records of transactions still open: this waits for them to be committed or aborted,
        since what they will turn out to be belongs to what is read. Raises BrokerUnavailable when there is no
        progress for ``timeout`` seconds.
        """
        ...

    def positions(self) -> dict[int, int]:
        """Per partition the offset of the next record to be read."""
        ...

    def lag(self) -> int:
        """How many offsets lie behind the positions, open transactions included, as far as is known without asking."""
        ...

    def close(self) -> None:
        """Give connections back. Idempotent."""
        ...


class TransactionalProducer(Protocol):
    """Writes records to several topics, and consumed offsets, all or none.

    Opening one with a transactional id fences every older one with it, and aborts what that one left open.
    """

    def begin(self) -> None:
        """Open a transaction. Raises Fenced, BrokerUnavailable."""
        ...

    def send(
        self,
        topic: str,
        partitions: npt.NDArray[np.int32] | int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
    ) -> None:
        """Add records to the open transaction, each to the partition of that number; may wait for room.

        Raises TransactionAborted (it is aborted by then), Fenced, or BrokerError: then the caller aborts.
        """
        ...

    def send_offsets(self, consumer: GroupConsumer, offsets: Mapping[int, int]) -> None:
        """Add to the open transaction that ``consumer``'s group has read its topic up to before ``offsets``.

        What was sent before stands in its logs then, so that whoever takes over finds it there, or waits for it.
        Raises TransactionAborted (after aborting) when the member is of an older generation of its group
        (KIP-447).
        """
        ...

    def commit(self) -> None:
        """Make all of it visible. An unknown outcome is retried until known.

        Raises TransactionAborted (it is aborted by then), Fenced, or BrokerError when the process has to end.
        """
        ...

    def abort(self) -> None:
        """Drop all of it. Raises Fenced, BrokerUnavailable."""
        ...

    def close(self) -> None:
        """Abort what is open, give connections back. Idempotent."""
        ...


class Publisher(Protocol):
    """Writes records outside transactions, idempotently: producers at the edge use it."""

    def send(self, topic: str, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> None:
        """Queue records; the key alone decides the partition. May wait for room.

        Raises BrokerError where an earlier record could not be stored.
        """
        ...

    def flush(self, timeout: float) -> None:
        """Wait until everything sent is stored. Raises BrokerError if not, or not in ``timeout`` seconds."""
        ...

    def close(self) -> None:
        """Flush and give connections back. Idempotent."""
        ...


class Broker(Admin, Protocol):
    """One log broker, by whatever means."""

    def create_topics(self, topics: Sequence[TopicSpec]) -> None:
        """Create those that are missing.

        Raises TopicMismatch, and creates nothing, where one exists with another number of partitions.
        """
        ...

    def delete_topics(self, names: Sequence[str]) -> None:
        """Delete those that exist."""
        ...

    def partitions(self, topic: str) -> int:
        """The number of partitions. Raises TopicMismatch when there is no such topic."""
        ...

    def offsets(self, topic: str) -> dict[int, tuple[int, int]]:
        """Per partition the first offset and the one after the last, open transactions included."""
        ...

    def subscribe(
        self,
        topic: str,
        group: str,
        listener: AssignmentListener | None = None,
        start: Mapping[int, int] | None = None,
        instance: str | None = None,
    ) -> GroupConsumer:
        """Join ``group``.

        Partitions without a committed offset are read from ``start``, or else from their beginning. Where what is to
        be read next is gone, since the log keeps its records for a time only, reading goes on at the first there is,
        and that is said (``take_skipped``). Polling raises OffsetOutOfRange where it lies behind the end: then this is
        another topic of that name, or one that has lost its end.

        ``instance`` is a name that is stable over restarts: who died is replaced at once by the next of its name, which
        gets its partitions; otherwise these wait until the dead one's session is over, as they always do with
        ``kafka.group_protocol`` consumer. Of two that live the older is Fenced.
        """
        ...

    def reader(self, topic: str, start: Mapping[int, int] | Literal["earliest", "latest"]) -> Reader:
        """Read all partitions from one end, or the given ones from the given offsets.

        ``latest`` is the end of what is committed: records of transactions open now are still to come. Raises
        OffsetOutOfRange where an offset given lies outside of what its partition holds (``check_start``).
        """
        ...

    def transactional_producer(self, transactional_id: str) -> TransactionalProducer:
        """Open, fencing older ones. Raises BrokerUnavailable."""
        ...

    def publisher(self) -> Publisher:
        """Open."""
        ...

    def close(self) -> None:
        """Close whatever this broker object itself holds. Idempotent."""
        ...


def check_start(topic: str, start: Mapping[int, int], offsets: Mapping[int, tuple[int, int]]) -> None:
    """Raise OffsetOutOfRange where a reader is to start outside of what its partition holds."""
    for partition, position in start.items():
        if partition not in offsets:
            raise TopicMismatch(f"topic {topic} has no partition {partition}")
        first, end = offsets[partition]
        if not first <= position <= end:
            raise OffsetOutOfRange(
                f"partition {partition} of {topic} holds offsets {first} to {end}, not {position}; what was "
                "to be read is gone, or belongs to another topic of that name"
            )
