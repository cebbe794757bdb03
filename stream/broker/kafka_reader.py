"""Reading from Kafka outside of groups, and what group members have in common with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream.broker.interface import Records
from stream.broker.kafka_client import (
    UNAVAILABLE,
    as_shoal_error,
    client_configuration,
    configured,
    logger,
    translated,
)
from stream.config import KafkaSettings
from stream.errors import BrokerError, BrokerUnavailable

CHUNK = 10_000  # records that ``read_to_end`` gives at once: bounds memory, no more

# Errors that arrive among messages and pass by themselves; the client goes on trying.
TRANSIENT = UNAVAILABLE | {KafkaError._MAX_POLL_EXCEEDED}

READING = {
    "isolation.level": "read_committed",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    # Says where a partition ends even if nothing but aborted records and transaction markers is there.
    "enable.partition.eof": True,
    # How long an idle fetch waits at the broker. A partition that was just assigned or sought to waits for
    # the fetch under way; with librdkafka's 500 ms, that is half a second. An idle client asks ten times a
    # second.
    "fetch.wait.max.ms": 100,
    # What is fetched ahead, per partition and in KB: bounds memory; a tenth of it would still keep a worker
    # busy.
    "queued.max.messages.kbytes": 65_536,
}


def reader_configuration(settings: KafkaSettings, bootstrap_servers: str) -> dict[str, Any]:
    """Configuration of a reader. It joins no group, though librdkafka wants one named."""
    return client_configuration(
        settings,
        bootstrap_servers,
        READING | {"group.id": f"{settings.prefix}reader", "auto.offset.reset": "error"},
    )


class Fetcher:
    """Turns what a librdkafka consumer delivers into columns, and knows the position in each partition."""

    def __init__(
        self,
        consumer: Consumer,
        topic: str,
        on_reset: Callable[[int, int | None], None] | None = None,
    ) -> None:
        self._consumer = consumer
        self._topic = topic
        # Called with a partition, and the position that it does not hold; None: there was no position.
        self._on_reset = on_reset
        self.positions: dict[int, int] = {}

    def fetch(self, max_records: int, timeout: float, wanted: Callable[[], frozenset[int]]) -> Records:
        """At most ``max_records`` of the partitions ``wanted()``; waits up to ``timeout`` seconds.

        Partitions are asked for after the wait, in which a rebalance may have taken some away.
        """
        with translated(f"reading {self._topic}"):
            messages = self._consumer.consume(1, timeout)
            if messages and max_records > 1:
                messages += self._consumer.consume(max_records - 1, 0)
        records = self._columns([m for m in messages if m.error() is None], wanted())
        # After the records: an end lies behind those that came with it, and behind the markers after them.
        for message in messages:
            if (error := message.error()) is not None:
                self._note(error, message)
        return records

    def lag(self) -> dict[int, int]:
        """Per partition with a position how many offsets lie behind it, as the last fetch said."""
        lags = {}
        for partition, position in self.positions.items():
            with translated(f"asking for the lag of {self._topic}"):
                at = TopicPartition(self._topic, partition)
                _, end = self._consumer.get_watermark_offsets(at, cached=True)
            lags[partition] = max(0, end - position)
        return lags

    def _note(self, error: KafkaError, message: Message) -> None:
        if error.code() == KafkaError._PARTITION_EOF:
            partition, end = message.partition() or 0, message.offset() or 0
            self.positions[partition] = max(end, self.positions.get(partition, 0))
        elif error.code() == KafkaError._AUTO_OFFSET_RESET and self._on_reset:
            self._on_reset(message.partition() or 0, message.offset())
        elif error.code() in TRANSIENT or error.retriable():
            logger.warning("reading %s: %s; trying on", self._topic, error.str())
        else:
            raise as_shoal_error(error, f"reading {self._topic}")

    def _columns(self, messages: Sequence[Message], mine: frozenset[int]) -> Records:
        if not messages:
            return Records.empty(self._topic)
        records = Records(
            self._topic,
            np.array([m.partition() for m in messages], np.int32),
            np.array([m.offset() for m in messages], np.int64),
            np.array([m.timestamp()[1] for m in messages], np.int64),
            [m.key() for m in messages],
            [m.value() for m in messages],
        )
        ends = records.next_offsets()
        if not ends.keys() <= mine:
            records = records.select(np.isin(records.partition, list(mine)))
            ends = records.next_offsets()
        self.positions.update(ends)
        return records


class KafkaReader:
    """A ``Reader`` on Kafka."""

    def __init__(
        self,
        settings: KafkaSettings,
        bootstrap_servers: str,
        topic: str,
        start: Mapping[int, int],
        ends: Callable[[], Mapping[int, int]],
    ) -> None:
        self._topic = topic
        self._partitions = frozenset(start)
        self._ends = ends
        self._closed = False
        with configured(settings):
            self._consumer = Consumer(reader_configuration(settings, bootstrap_servers))
        self._fetcher = Fetcher(self._consumer, topic)
        self._fetcher.positions.update(start)
        with translated(f"reading {topic}"):
            self._consumer.assign([TopicPartition(topic, p, offset) for p, offset in start.items()])

    def read(self, max_records: int, timeout: float) -> Records:
        """See ``Reader.read``."""
        self._check_open()
        deadline = time.monotonic() + timeout
        while True:
            left = max(0.0, deadline - time.monotonic())
            records = self._fetcher.fetch(max_records, left, lambda: self._partitions)
            if len(records) or left == 0:
                return records

    def read_to_end(self, timeout: float) -> Iterator[Records]:
        """See ``Reader.read_to_end``."""
        self._check_open()
        ends = {p: end for p, end in self._ends().items() if p in self._partitions}
        return self._read_to(ends, timeout)

    def _read_to(self, ends: Mapping[int, int], timeout: float) -> Iterator[Records]:
        positions = self._fetcher.positions
        waiting_since = time.monotonic()
        while any(positions[p] < end for p, end in ends.items()):
            before = dict(positions)
            records = self._fetcher.fetch(CHUNK, timeout, lambda: self._partitions)
            if len(records):
                yield records
            if positions != before:
                waiting_since = time.monotonic()
            elif time.monotonic() - waiting_since >= timeout:
                raise BrokerUnavailable(
                    f"no progress in reading {self._topic} for {timeout:g} s: the broker does not answer, or "
                    "a transaction stays open"
                )

    def positions(self) -> dict[int, int]:
        """See ``Reader.positions``."""
        return dict(self._fetcher.positions)

    def lag(self) -> int:
        """See ``Reader.lag``. Nothing is known before a partition's first record or end has been seen."""
        return sum(self._fetcher.lag().values())

    def close(self) -> None:
        """See ``Reader.close``."""
        if not self._closed:
            self._closed = True
            try:
                self._consumer.close()
            except KafkaException as error:
                raise as_shoal_error(error.args[0], f"closing the reader of {self._topic}") from error

    def _check_open(self) -> None:
        if self._closed:
            raise BrokerError("this reader is closed")
