"""A log broker in memory, for tests, files and evaluation: one process, thread-safe, deterministic.

It keeps the contract of ``stream.broker.interface`` as Kafka does, with three differences: compaction and
retention never happen, transactions have no timeout, and members are expelled only by ``MemoryBroker.expel``.
Waiting is real time; the clock given stamps records only.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from stream.broker.interface import AssignmentListener, GroupConsumer, TopicSpec, check_start
from stream.broker.memory_admin import MemoryAdmin
from stream.broker.memory_group import Group, MemoryConsumer
from stream.broker.memory_log import PartitionLog
from stream.broker.memory_reader import MemoryReader
from stream.clock import Clock, SystemClock
from stream.errors import BrokerError, Fenced, TopicMismatch, TransactionAborted


class MemoryBroker(MemoryAdmin):
    """A ``Broker`` in memory.

    Examples
    --------
    >>> broker = MemoryBroker()
    >>> broker.create_topics([TopicSpec("events", partitions=1)])
    >>> broker.publisher().send("events", [b"ann"], [b"{}"])
    >>> broker.subscribe("events", "group").poll(max_records=10, timeout=0).values
    [b'{}']
    """

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__()
        self.clock = clock or SystemClock()
        # How many of the next commits are aborted instead: for tests of what follows an abort.
        self.refuse_commits = 0
        self._producers: dict[str, MemoryTransactionalProducer] = {}
        self._without_key = 0

    def create_topics(self, topics: Sequence[TopicSpec]) -> None:
        """See ``Broker.create_topics``."""
        with self.changed:
            for spec in topics:
                there = len(self._topics.get(spec.name, [])) or spec.partitions
                if there != spec.partitions:
                    raise TopicMismatch(
                        f"topic {spec.name} has {there} partitions and should have {spec.partitions}"
                    )
            for spec in topics:
                self._topics.setdefault(spec.name, [PartitionLog() for _ in range(spec.partitions)])

    def delete_topics(self, names: Sequence[str]) -> None:
        """See ``Broker.delete_topics``."""
        with self.changed:
            for name in names:
                self._topics.pop(name, None)
            self._groups = {key: group for key, group in self._groups.items() if key[1] in self._topics}

    def partitions(self, topic: str) -> int:
        """See ``Broker.partitions``."""
        return len(self.logs(topic))

    def offsets(self, topic: str) -> dict[int, tuple[int, int]]:
        """See ``Broker.offsets``."""
        with self.changed:
            return {p: (log.first, log.end) for p, log in enumerate(self.logs(topic))}

    def choose_partition(self, topic: str, key: bytes | None) -> int:
        """By the key's CRC-32, or in turn where there is none."""
        if key is None:
            self._without_key += 1
            return self._without_key % self.partitions(topic)
        return zlib.crc32(key) % self.partitions(topic)

    def subscribe(
        self,
        topic: str,
        group: str,
        listener: AssignmentListener | None = None,
        start: Mapping[int, int] | None = None,
        instance: str | None = None,
    ) -> MemoryConsumer:
        """See ``Broker.subscribe``."""
        with self.changed:
            logs = self.logs(topic)
            joined = self._groups.setdefault((group, topic), Group(topic, logs))
            if instance is not None and (older := joined.instances.get(instance)):
                older.fence()
            member = MemoryConsumer(joined, listener, self.changed, start)
            if instance is not None:
                joined.instances[instance] = member
            return member

    def expel(self, consumer: MemoryConsumer) -> None:
        """Put a member out of its group, as Kafka does with one that has been silent for too long."""
        with self.changed:
            consumer.group.leave(consumer)
            self.changed.notify_all()

    def reader(self, topic: str, start: Mapping[int, int] | Literal["earliest", "latest"]) -> MemoryReader:
        """See ``Broker.reader``."""
        with self.changed:
            logs = self.logs(topic)
            if isinstance(start, str):
                positions = {
                    p: log.first if start == "earliest" else log.stable_end for p, log in enumerate(logs)
                }
            else:
                positions = dict(start)
                check_start(topic, positions, self.offsets(topic))
        return MemoryReader(topic, logs, positions, self.changed)

    def transactional_producer(self, transactional_id: str) -> MemoryTransactionalProducer:
        """See ``Broker.transactional_producer``."""
        with self.changed:
            older = self._producers.get(transactional_id)
            if older:
                older.fence()
            self._producers[transactional_id] = MemoryTransactionalProducer(self, transactional_id)
            return self._producers[transactional_id]

    def finish(self, transaction: MemoryTransactionalProducer, committed: bool) -> None:
        """End a transaction in every partition and group."""
        with self.changed:
            for logs in self._topics.values():
                for log in logs:
                    log.finish(transaction, committed, self.clock.now_ms())
            for group in self._groups.values():
                group.finish(transaction, committed)
            self.changed.notify_all()

    def publisher(self) -> MemoryPublisher:
        """See ``Broker.publisher``."""
        return MemoryPublisher(self)

    def close(self) -> None:
        """See ``Broker.close``. What was written stays readable."""


class MemoryTransactionalProducer:
    """A ``TransactionalProducer`` in memory."""

    def __init__(self, broker: MemoryBroker, transactional_id: str) -> None:
        self._broker = broker
        self._id = transactional_id
        self._open = False
        self._fenced = False

    def fence(self) -> None:
        """A newer producer has this one's id: abort what is open, and refuse all from now on."""
        self._finish(committed=False)
        self._fenced = True

    def begin(self) -> None:
        """See ``TransactionalProducer.begin``."""
        self._check(open_=False)
        self._open = True

    def send(
        self,
        topic: str,
        partitions: npt.NDArray[np.int32] | int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
    ) -> None:
        """See ``TransactionalProducer.send``."""
        with self._broker.changed:
            self._check(open_=True)
            logs = self._broker.logs(topic)
            now = self._broker.clock.now_ms()
            wanted = np.broadcast_to(partitions, len(values)).tolist()
            for partition, key, value in zip(wanted, keys, values, strict=True):
                logs[partition].append(key, value, now, self)

    def send_offsets(self, consumer: GroupConsumer, offsets: Mapping[int, int]) -> None:
        """See ``TransactionalProducer.send_offsets``."""
        if not isinstance(consumer, MemoryConsumer):
            raise TypeError("a consumer of this broker is needed")
        with self._broker.changed:
            self._check(open_=True)
            try:
                consumer.check_may_commit(offsets)
            except TransactionAborted:
                self._finish(committed=False)
                raise
            consumer.group.pending.setdefault(self, {}).update(offsets)

    def commit(self) -> None:
        """See ``TransactionalProducer.commit``."""
        with self._broker.changed:
            self._check(open_=True)
            refused = self._broker.refuse_commits > 0
            self._finish(committed=not refused)
            if refused:
                self._broker.refuse_commits -= 1
                raise TransactionAborted("the broker was told to refuse this commit")

    def abort(self) -> None:
        """See ``TransactionalProducer.abort``."""
        with self._broker.changed:
            self._check(open_=True)
            self._finish(committed=False)

    def _finish(self, committed: bool) -> None:
        self._open = False
        self._broker.finish(self, committed)

    def _check(self, open_: bool) -> None:
        if self._fenced:
            raise Fenced(
                f"another producer with the transactional id {self._id} is active; this one must end"
            )
        if self._open != open_:
            raise BrokerError("no transaction is open" if open_ else "a transaction is open already")

    def close(self) -> None:
        """See ``TransactionalProducer.close``."""
        if self._open:
            self._finish(committed=False)


class MemoryPublisher:
    """A ``Publisher`` in memory: what is sent is stored at once."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    def send(self, topic: str, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> None:
        """See ``Publisher.send``."""
        with self._broker.changed:
            logs = self._broker.logs(topic)
            now = self._broker.clock.now_ms()
            for key, value in zip(keys, values, strict=True):
                logs[self._broker.choose_partition(topic, key)].append(key, value, now)
            self._broker.changed.notify_all()

    def flush(self, timeout: float) -> None:
        """See ``Publisher.flush``."""

    def close(self) -> None:
        """See ``Publisher.close``."""
