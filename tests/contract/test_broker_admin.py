"""What ``stream.broker.admin`` promises, in memory and on Kafka."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stream.broker.interface import Broker, Records, TopicSpec
from stream.broker.kafka import KafkaBroker
from stream.broker.memory import MemoryBroker
from stream.errors import BrokerError, OffsetOutOfRange, TopicMismatch

PATIENCE = 20.0  # seconds within which a broker has to do what it promised


@pytest.fixture(params=["memory", "kafka"])
def broker(request: pytest.FixtureRequest, broker_settings: Any) -> Iterator[Broker]:
    if request.param == "memory":
        yield MemoryBroker()
        return
    # So that a reader fetches little ahead.
    ahead = {"queued.max.messages.kbytes": "1", "fetch.message.max.bytes": "1000"}
    made = KafkaBroker(broker_settings(librdkafka=ahead), request.getfixturevalue("kafka").bootstrap_servers)
    yield made
    made.close()


@pytest.fixture
def prefix() -> str:
    return f"a{uuid.uuid4().hex[:10]}."


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.01)


def publish(broker: Broker, topic: str, *values: bytes) -> None:
    publisher = broker.publisher()
    publisher.send(topic, [None] * len(values), list(values))
    publisher.close()


def read(broker: Broker, topic: str, start: Any = "earliest") -> Records:
    reader = broker.reader(topic, start)
    try:
        return Records.concat(topic, list(reader.read_to_end(PATIENCE)))
    finally:
        reader.close()


def test_topics_are_listed_by_their_prefix(broker: Broker, prefix: str) -> None:
    broker.create_topics([TopicSpec(prefix + name, 1) for name in ("g2.b", "g1.a", "other")])
    assert broker.topics(prefix + "g") == [prefix + "g1.a", prefix + "g2.b"]


def test_a_topic_that_was_made_again_is_another(broker: Broker, prefix: str) -> None:
    topic = prefix + "topic"
    broker.create_topics([TopicSpec(topic, 1)])
    first = broker.identity(topic)
    assert broker.identity(topic) == first
    broker.delete_topics([topic])
    with pytest.raises(TopicMismatch):
        broker.identity(topic)
    broker.create_topics([TopicSpec(topic, 1)])
    assert broker.identity(topic) != first


def test_what_was_trimmed_is_gone_and_the_rest_keeps_its_offsets(broker: Broker, prefix: str) -> None:
    topic = prefix + "topic"
    broker.create_topics([TopicSpec(topic, 1)])
    publish(broker, topic, *(b"%d" % n for n in range(6)))
    broker.trim(topic, {0: 4})
    assert broker.offsets(topic) == {0: (4, 6)}
    assert read(broker, topic).offset.tolist() == [4, 5]
    broker.trim(topic, {0: 2})  # as it was
    assert read(broker, topic, {0: 5}).values == [b"5"]
    with pytest.raises(OffsetOutOfRange):
        broker.reader(topic, {0: 3})


def test_a_reader_that_is_left_behind_hears_of_it(broker: Broker, prefix: str) -> None:
    topic = prefix + "topic"
    broker.create_topics([TopicSpec(topic, 1)])
    publish(broker, topic, *(os.urandom(50_000) for _ in range(60)))  # several batches
    reader = broker.reader(topic, {0: 0})
    assert len(reader.read(1, PATIENCE)) == 1
    broker.trim(topic, {0: 60})

    def read_on() -> None:
        # What was fetched already may still come.
        for _ in range(60):
            reader.read(1, PATIENCE / 10)

    with pytest.raises(OffsetOutOfRange):
        read_on()
    reader.close()


def test_groups_are_listed_asked_and_deleted(broker: Broker, prefix: str) -> None:
    topic, group = prefix + "topic", prefix + "group"
    broker.create_topics([TopicSpec(topic, 2)])
    assert (broker.members(group), broker.committed(group, topic)) == (0, {})
    publish(broker, topic, *(b"%d" % n for n in range(20)))
    consumer, producer = broker.subscribe(topic, group), broker.transactional_producer(prefix + "p")
    got = Records.empty(topic)
    while len(got) < 20:
        got = Records.concat(topic, [got, consumer.poll(20, PATIENCE)])
    producer.begin()
    producer.send_offsets(consumer, {0: 3})
    producer.commit()
    producer.close()
    assert broker.members(group) == 1
    # Kafka answers a commit before its offsets show.
    until(lambda: broker.committed(group, topic) == {0: 3})
    assert broker.groups(prefix) == [group]
    with pytest.raises(BrokerError):
        broker.delete_groups([group])
    consumer.close()
    assert broker.members(group) == 0
    broker.delete_groups([group, prefix + "nobody"])
    assert broker.groups(prefix) == []
    assert broker.committed(group, topic) == {}
