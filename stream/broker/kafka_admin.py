"""What is asked of a Kafka cluster itself: topics, offsets, groups."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]
from confluent_kafka.cimpl import NewPartitions, NewTopic

from stream.broker.interface import TopicSpec
from stream.broker.kafka_client import (
    NO_TOPIC,
    REQUEST_TIMEOUT,
    as_shoal_error,
    client_configuration,
    configured,
)
from stream.config import KafkaSettings
from stream.errors import BrokerUnavailable, TopicMismatch

EARLIEST: Any = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
LATEST: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]
# Seconds between looks for a topic that was created or deleted; brokers take some milliseconds.
LOOK_EVERY = 0.02
NO_GROUP = {KafkaError.GROUP_ID_NOT_FOUND}


class KafkaAdmin:
    """The part of ``KafkaBroker`` that reads and writes no records."""

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
        """The number of partitions of those that exist."""
        return {name: len(found.partitions) for name, found in self._describe(names).items()}

    def _describe(self, names: Sequence[str]) -> dict[str, Any]:
        """What the broker says of those topics that exist. Asking creates none."""
        try:
            return self._described(names, REQUEST_TIMEOUT / 3)
        except BrokerUnavailable:
            # A client may wait for the one broker of several that has just gone; a new one asks those that are there.
            self.close()
            return self._described(names, REQUEST_TIMEOUT)

    def _described(self, names: Sequence[str], timeout: float) -> dict[str, Any]:
        futures = self._admin.describe_topics(TopicCollection(list(names)), request_timeout=timeout)
        answers = {
            name: self._settle(future, f"asking for topic {name}", *NO_TOPIC)
            for name, future in futures.items()
        }
        return {name: answer for name, answer in answers.items() if answer is not None}

    def partitions(self, topic: str) -> int:
        """See ``Broker.partitions``."""
        return len(self._existing(topic).partitions)

    def _existing(self, topic: str) -> Any:
        found = self._describe([topic])
        if topic not in found:
            raise TopicMismatch(f"there is no topic {topic}; create it first")
        return found[topic]

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
                found = {
                    at.partition: self._settle(f, f"asking for offsets of {topic}").offset
                    for at, f in futures.items()
                }
                if min(found.values()) < 0:  # so says librdkafka where a partition's broker did not answer
                    raise BrokerUnavailable(f"not all partitions of {topic} have a broker that answers")
                return found
            except (
                BrokerUnavailable
            ):  # a partition that was just created, or moves, has no leader for a moment
                if time.monotonic() >= deadline:
                    raise
                time.sleep(LOOK_EVERY)

    def topics(self, prefix: str) -> list[str]:
        """See ``Broker.topics``."""
        try:
            names = self._admin.list_topics(timeout=REQUEST_TIMEOUT).topics
        except KafkaException as error:
            raise as_shoal_error(error.args[0], "listing topics") from error
        return sorted(name for name in names if name.startswith(prefix))

    def identity(self, topic: str) -> str:
        """See ``Broker.identity``."""
        return str(self._existing(topic).topic_id)

    def trim(self, topic: str, before: Mapping[int, int]) -> None:
        """See ``Broker.trim``."""
        wanted = [TopicPartition(topic, partition, offset) for partition, offset in before.items()]
        futures = self._admin.delete_records(wanted, request_timeout=REQUEST_TIMEOUT)
        for future in futures.values():
            self._settle(future, f"trimming {topic}")

    def grow(self, topic: str, partitions: int) -> None:
        """See ``Broker.grow``."""
        for future in self._admin.create_partitions([NewPartitions(topic, partitions)]).values():
            self._settle(future, f"adding partitions to {topic}")
        deadline = time.monotonic() + REQUEST_TIMEOUT
        while self.partitions(topic) < partitions:
            if time.monotonic() > deadline:
                raise BrokerUnavailable(f"the broker has not added partitions to {topic} yet")
            time.sleep(LOOK_EVERY)

    def groups(self, prefix: str) -> list[str]:
        """See ``Broker.groups``."""
        future = self._admin.list_consumer_groups(request_timeout=REQUEST_TIMEOUT)
        found = self._settle(future, "listing groups")
        return sorted(group.group_id for group in found.valid if group.group_id.startswith(prefix))

    def members(self, group: str) -> int:
        """See ``Broker.members``."""
        future = self._admin.describe_consumer_groups([group], request_timeout=REQUEST_TIMEOUT)[group]
        description = self._settle(future, f"asking for group {group}", *NO_GROUP)
        return 0 if description is None else len(description.members)

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """See ``Broker.committed``."""
        wanted = [TopicPartition(topic, p) for p in range(self.partitions(topic))]
        # A consumer that joins nothing asks, and not the admin client: librdkafka's ends the process now and then where
        # the group's coordinator is only just starting.
        own = {"group.id": group, "error_cb": self._note_trouble}
        with configured(self._settings):
            asking = Consumer(client_configuration(self._settings, self._bootstrap_servers, own))
        try:
            found = asking.committed(wanted, REQUEST_TIMEOUT)
        except KafkaException as error:
            raise as_shoal_error(error.args[0], f"asking for offsets of group {group}") from error
        finally:
            asking.close()
        return {at.partition: at.offset for at in found if at.offset >= 0}

    def delete_groups(self, names: Sequence[str]) -> None:
        """See ``Broker.delete_groups``."""
        if names:
            futures = self._admin.delete_consumer_groups(list(names), request_timeout=REQUEST_TIMEOUT)
            for name, future in futures.items():
                self._settle(future, f"deleting group {name}", *NO_GROUP)

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
