"""Apache Kafka, and whatever speaks its protocol, as a ``Broker``."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]
from confluent_kafka.cimpl import NewTopic

from stream.broker.interface import AssignmentListener, TopicSpec, check_start
from stream.broker.kafka_client import (
    NO_TOPIC,
    REQUEST_TIMEOUT,
    as_shoal_error,
    client_configuration,
    configured,
)
from stream.broker.kafka_group import KafkaGroupConsumer
from stream.broker.kafka_producer import KafkaPublisher, KafkaTransactionalProducer
from stream.broker.kafka_reader import KafkaReader
from stream.config import KafkaSettings
from stream.errors import BrokerUnavailable, TopicMismatch

EARLIEST: Any = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
LATEST: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]
# Seconds between looks for a topic that was created or deleted; brokers take some milliseconds.
LOOK_EVERY = 0.02


class KafkaBroker:
    """A ``Broker`` on confluent-kafka.

    Parameters
    ----------
    settings
        Names, timeouts, and what goes to librdkafka as it is.
    bootstrap_servers
        Apart from the settings, since the embedded broker's address is known only once it runs.
    """

    def __init__(self, settings: KafkaSettings, bootstrap_servers: str) -> None:
        self._settings = settings
        self._bootstrap_servers = bootstrap_servers
        self._trouble = "nobody answers"

    @cached_property
    def _admin(self) -> AdminClient:
        own = {"error_cb": self._note_trouble}
        with configured(self._settings):
            return AdminClient(client_configuration(self._settings, self._bootstrap_servers, own))

    def _note_trouble(self, error: KafkaError) -> None:
        self._trouble = error.str()

    def create_topics(self, topics: Sequence[TopicSpec]) -> None:
        """See ``Broker.create_topics``."""
        there = self._partition_counts([t.name for t in topics])
        for topic in topics:
            _check_partitions(topic, there.get(topic.name, topic.partitions))
        missing = [t for t in topics if t.name not in there]
        if not missing:
            return
        futures = self._admin.create_topics([self._new_topic(t) for t in missing])
        for name, future in futures.items():
            self._settle(future, f"creating topic {name}", KafkaError.TOPIC_ALREADY_EXISTS)
        counts = self._wait_for([t.name for t in missing], there=True)
        for topic in missing:  # somebody else may have been faster
            _check_partitions(topic, counts[topic.name])

    def _new_topic(self, topic: TopicSpec) -> NewTopic:
        policy = {"cleanup.policy": "compact" if topic.compacted else "delete"}
        return NewTopic(
            topic.name,
            num_partitions=topic.partitions,
            replication_factor=self._settings.replication,
            config=policy | dict(topic.settings),
        )

    def delete_topics(self, names: Sequence[str]) -> None:
        """See ``Broker.delete_topics``."""
        if not names:
            return
        for name, future in self._admin.delete_topics(list(names)).items():
            self._settle(future, f"deleting topic {name}", *NO_TOPIC)
        self._wait_for(names, there=False)

    def _wait_for(self, names: Sequence[str], there: bool) -> dict[str, int]:
        deadline = time.monotonic() + REQUEST_TIMEOUT
        while time.monotonic() < deadline:
            counts = self._partition_counts(names)
            if len(counts) == (len(names) if there else 0):
                return counts
            time.sleep(LOOK_EVERY)
        raise BrokerUnavailable(
            f"the broker has not {'created' if there else 'deleted'} {', '.join(names)} yet"
        )

    def _partition_counts(self, names: Sequence[str]) -> dict[str, int]:
        """The number of partitions of those that exist. Asking creates none."""
        counts = {}
        futures = self._admin.describe_topics(TopicCollection(list(names)), request_timeout=REQUEST_TIMEOUT)
        for name, future in futures.items():
            description = self._settle(future, f"asking for topic {name}", *NO_TOPIC)
            if description is not None:
                counts[name] = len(description.partitions)
        return counts

    def partitions(self, topic: str) -> int:
        """See ``Broker.partitions``."""
        counts = self._partition_counts([topic])
        if topic not in counts:
            raise TopicMismatch(f"there is no topic {topic}; create it first")
        return counts[topic]

    def offsets(self, topic: str) -> dict[int, tuple[int, int]]:
        """See ``Broker.offsets``."""
        first = self._list_offsets(topic, EARLIEST, IsolationLevel.READ_UNCOMMITTED)
        end = self._list_offsets(topic, LATEST, IsolationLevel.READ_UNCOMMITTED)
        return {p: (first[p], end[p]) for p in first}

    def _list_offsets(self, topic: str, which: Any, isolation: IsolationLevel) -> dict[int, int]:
        wanted = {TopicPartition(topic, p): which for p in range(self.partitions(topic))}
        deadline = time.monotonic() + REQUEST_TIMEOUT
        while True:
            futures = self._admin.list_offsets(
                wanted, isolation_level=isolation, request_timeout=REQUEST_TIMEOUT
            )
            try:
                return {
                    at.partition: self._settle(f, f"asking for offsets of {topic}").offset
                    for at, f in futures.items()
                }
            except (
                BrokerUnavailable
            ):  # a partition that was just created, or moves, has no leader for a moment
                if time.monotonic() >= deadline:
                    raise
                time.sleep(LOOK_EVERY)

    def subscribe(
        self, topic: str, group: str, listener: AssignmentListener | None = None
    ) -> KafkaGroupConsumer:
        """See ``Broker.subscribe``."""
        self.partitions(topic)
        return KafkaGroupConsumer(self._settings, self._bootstrap_servers, topic, group, listener)

    def reader(self, topic: str, start: Mapping[int, int] | Literal["earliest", "latest"]) -> KafkaReader:
        """See ``Broker.reader``."""
        if start == "earliest":
            positions = self._list_offsets(topic, EARLIEST, IsolationLevel.READ_COMMITTED)
        elif start == "latest":
            positions = self._list_offsets(topic, LATEST, IsolationLevel.READ_COMMITTED)
        else:
            positions = dict(start)
            check_start(topic, positions, self.offsets(topic))
        return KafkaReader(
            self._settings, self._bootstrap_servers, topic, positions, lambda: self._ends(topic)
        )

    def _ends(self, topic: str) -> dict[int, int]:
        return self._list_offsets(topic, LATEST, IsolationLevel.READ_UNCOMMITTED)

    def transactional_producer(self, transactional_id: str) -> KafkaTransactionalProducer:
        """See ``Broker.transactional_producer``."""
        return KafkaTransactionalProducer(self._settings, self._bootstrap_servers, transactional_id)

    def publisher(self) -> KafkaPublisher:
        """See ``Broker.publisher``."""
        return KafkaPublisher(self._settings, self._bootstrap_servers)

    def _settle(self, future: Any, what: str, *accepted: int) -> Any:
        """Wait for an answer of the admin client; None in place of an error whose code is in ``accepted``."""
        try:
            return future.result(REQUEST_TIMEOUT)
        except KafkaException as error:
            if error.args[0].code() in accepted:
                return None
            meaning = as_shoal_error(error.args[0], what)
            if not isinstance(meaning, BrokerUnavailable):
                raise meaning from error
        except TimeoutError:
            pass  # as an answer that says so, below
        self._admin.poll(0)  # brings the client's log lines, and its trouble
        raise BrokerUnavailable(
            f"{what}: no answer from {self._bootstrap_servers} within {REQUEST_TIMEOUT:g} s "
            f"({self._trouble}); check kafka.bootstrap_servers, and that the broker runs"
        )

    def close(self) -> None:
        """See ``Broker.close``."""
        self.__dict__.pop("_admin", None)


def _check_partitions(topic: TopicSpec, there: int) -> None:
    if there != topic.partitions:
        raise TopicMismatch(f"topic {topic.name} has {there} partitions and should have {topic.partitions}")
