"""Members of consumer groups on Kafka."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import OFFSET_STORED, Consumer, KafkaError, KafkaException, TopicPartition

from stream.broker.interface import AssignmentListener, Records
from stream.broker.kafka_client import REQUEST_TIMEOUT, client_configuration, configured, logger, translated
from stream.broker.kafka_reader import READING, Fetcher
from stream.config import KafkaSettings
from stream.errors import BrokerError, BrokerUnavailable, OffsetOutOfRange, TransactionAborted

# Seconds that a member gives itself to leave its group; it takes milliseconds, unless the broker is away.
LEAVE_S = 3.0


def group_configuration(
    settings: KafkaSettings, bootstrap_servers: str, group: str, instance: str | None
) -> dict[str, Any]:
    """Configuration of a group's member."""
    # How long a killed member's partitions stand still. Kafka's 45 s is for programs that pause for garbage
    # collection; heartbeats here come from a thread of librdkafka's that nothing pauses.
    session_ms = min(10_000, settings.max_poll_interval_ms)
    return client_configuration(
        settings,
        bootstrap_servers,
        READING
        | {
            "group.id": group,
            "group.protocol": settings.group_protocol,
            **({"group.instance.id": instance} if instance else {}),
            "auto.offset.reset": "error",  # librdkafka would say nothing; see _reset
            "partition.assignment.strategy": "cooperative-sticky",
            "max.poll.interval.ms": settings.max_poll_interval_ms,
            "session.timeout.ms": session_ms,
            # How soon members hear of a rebalance, of which a cooperative one takes two rounds.
            "heartbeat.interval.ms": 1_000,
        },
    )


class KafkaGroupConsumer:
    """A ``GroupConsumer`` on Kafka. Used by one thread at a time; its listener is called in that thread."""

    def __init__(
        self,
        settings: KafkaSettings,
        bootstrap_servers: str,
        topic: str,
        group: str,
        listener: AssignmentListener | None,
        start: Mapping[int, int] | None = None,
        instance: str | None = None,
    ) -> None:
        self.topic = topic
        self._is_static = instance is not None and settings.group_protocol == "classic"
        self._listener = listener
        self._start = dict(start or {})
        self._skipped = 0
        self._assigned: set[int] = set()
        self._failure: BaseException | None = None
        self._closed = False
        with configured(settings):
            self._consumer = Consumer(group_configuration(settings, bootstrap_servers, group, instance))
        self._fetcher = Fetcher(self._consumer, topic, self._reset)
        with translated(f"joining group {group}"):
            self._consumer.subscribe(
                [topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )

    def poll(self, max_records: int, timeout: float) -> Records:
        """See ``GroupConsumer.poll``."""
        self._check_open()
        deadline = time.monotonic() + timeout
        while True:
            left = max(0.0, deadline - time.monotonic())
            records = self._fetcher.fetch(max_records, left, self.assignment)
            self._raise_failure()
            if len(records) or left == 0:
                return records

    def _reset(self, partition: int, position: int | None) -> None:
        """Go on in ``partition``, whose group has no position, or one that the log does not hold."""
        if partition not in self._assigned:
            return
        try:
            with translated(f"asking for the ends of {self.topic}"):
                at = TopicPartition(self.topic, partition)
                first, end = self._consumer.get_watermark_offsets(at, REQUEST_TIMEOUT)
        except BrokerUnavailable as away:  # a partition that was just created has no leader for a moment
            logger.warning("%s; trying again", away)
            self._place({partition: OFFSET_STORED if position is None else position})
            return
        wanted = self._start.get(partition, first) if position is None else position
        if wanted > end:
            raise OffsetOutOfRange(
                f"partition {partition} of {self.topic} ends at offset {end}, but has been read up to {wanted}: it is "
                "another topic of that name, or has lost its end. What was made of the old one stands in the state "
                "topics: begin a new generation with `shoal reset`, which reads what is there"
            )
        if wanted < first:
            self._skipped += first - wanted
            logger.error(
                "%d records of partition %d of %s, from offset %d on, were gone before they were read: its retention "
                "is shorter than the time that nobody read it", first - wanted, partition, self.topic, wanted
            )  # fmt: skip
        elif position is None and wanted > first:
            logger.warning(
                "the group has no offset for partition %d of %s (Kafka forgets those of a group that was empty for "
                "long); going on from %d, where the last commit ended", partition, self.topic, wanted
            )  # fmt: skip
        self.seek({partition: max(wanted, first)})

    def take_skipped(self) -> int:
        """See ``GroupConsumer.take_skipped``."""
        skipped, self._skipped = self._skipped, 0
        return skipped

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure:
            raise failure

    def _on_assign(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._consumer.incremental_assign(partitions)
        # librdkafka remembers that a partition was paused over its stay with another member.
        if partitions:
            self._consumer.resume(partitions)
        numbers = sorted(p.partition for p in partitions)
        self._assigned |= set(numbers)
        if self._listener:
            self._call(self._listener.assigned, numbers)

    def _on_revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._give_up(partitions, self._listener.revoked if self._listener else None)

    def _on_lost(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._give_up(partitions, self._listener.lost if self._listener else None)

    def _give_up(
        self, partitions: list[TopicPartition], tell: Callable[[Sequence[int]], None] | None
    ) -> None:
        numbers = sorted(p.partition for p in partitions)
        if tell:
            self._call(tell, numbers)
        self._assigned -= set(numbers)
        for number in numbers:
            self._fetcher.positions.pop(number, None)
        self._consumer.incremental_unassign(partitions)

    def _call(self, tell: Callable[[Sequence[int]], None], partitions: Sequence[int]) -> None:
        """Call the listener; what it raises is kept until ``poll`` can raise it and lose nothing."""
        if not partitions:
            return
        try:
            tell(partitions)
        except BaseException as error:  # noqa: BLE001 - raised again by poll or close
            self._failure = self._failure or error

    def assignment(self) -> frozenset[int]:
        """See ``GroupConsumer.assignment``."""
        return frozenset(self._assigned)

    def pause(self, partitions: Sequence[int]) -> None:
        """See ``GroupConsumer.pause``."""
        self._check_assigned(partitions)
        with translated(f"pausing {self.topic}"):
            self._consumer.pause([TopicPartition(self.topic, p) for p in partitions])

    def resume(self, partitions: Sequence[int]) -> None:
        """See ``GroupConsumer.resume``."""
        self._check_assigned(partitions)
        with translated(f"resuming {self.topic}"):
            self._consumer.resume([TopicPartition(self.topic, p) for p in partitions])

    def seek(self, positions: Mapping[int, int]) -> None:
        """See ``GroupConsumer.seek``."""
        self._check_assigned(positions)
        self._place(positions)
        self._fetcher.positions.update(positions)

    def _place(self, positions: Mapping[int, int]) -> None:
        # Not librdkafka's seek, which refuses what was not fetched yet, as within ``assigned``. A paused
        # partition stays paused.
        targets = [TopicPartition(self.topic, p, offset) for p, offset in positions.items()]
        with translated(f"seeking in {self.topic}"):
            self._consumer.incremental_unassign(targets)
            self._consumer.incremental_assign(targets)

    def lag(self) -> dict[int, int]:
        """See ``GroupConsumer.lag``. A partition is missing until its first record or end has been seen."""
        return self._fetcher.lag()

    def membership(self, partitions: Mapping[int, int]) -> Any:
        """What proves to a transaction that this member may commit offsets of ``partitions``.

        Raises TransactionAborted when it may not: it is out of its group, or they belong to another member.
        """
        if self._closed:
            raise TransactionAborted(f"the consumer of {self.topic} is closed")
        foreign = sorted(partitions.keys() - self._assigned)
        if foreign:
            raise TransactionAborted(f"partitions {foreign} of {self.topic} belong to another member now")
        proof = self._consumer.consumer_group_metadata()
        # Kafka takes offsets without a member id, as of a client that knows no groups, from anybody. A member
        # that was put out of its group has none, and gets a new one only within ``poll``; so this order of
        # the calls is safe.
        if not self._consumer.memberid():
            raise TransactionAborted(f"this consumer is no longer a member of the group on {self.topic}")
        return proof

    def close(self) -> None:
        """See ``GroupConsumer.close``."""
        if self._closed:
            return
        try:
            with translated(f"leaving the group on {self.topic}"):
                if self._is_static:
                    self._leave()
                self._consumer.close()
        finally:
            self._closed = True
            self._assigned.clear()
        self._raise_failure()

    def _leave(self) -> None:
        """Leave the group for good: one with an instance name would only be away, and its partitions stand still."""
        try:
            self._consumer.unsubscribe()
        except KafkaException as error:
            if error.args[0].code() == KafkaError._FATAL:
                return  # another has its name, and its place
            raise
        deadline = time.monotonic() + LEAVE_S
        while self._assigned and time.monotonic() < deadline:
            self._consumer.consume(1, 0.05)  # calls back

    def _check_open(self) -> None:
        if self._closed:
            raise BrokerError("this consumer is closed")

    def _check_assigned(self, partitions: Sequence[int] | Mapping[int, int]) -> None:
        self._check_open()
        foreign = sorted(set(partitions) - self._assigned)
        if foreign:
            raise BrokerError(f"partitions {foreign} of {self.topic} are not assigned to this consumer")
