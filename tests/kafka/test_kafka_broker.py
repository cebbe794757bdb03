"""What only a real Kafka can show: append times, restarts in the middle, the newer group protocol."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import ConfigResource

from stream.broker.embedded import EmbeddedKafka
from stream.broker.interface import GroupConsumer, TopicSpec
from stream.broker.kafka import KafkaBroker
from stream.broker.kafka_reader import KafkaReader
from stream.broker.topics import Topics, ensure_topics
from stream.errors import BrokerError, ConfigError, TransactionAborted

PATIENCE = 30.0


def values(reader: KafkaReader) -> list[bytes | None]:
    try:
        return [v for r in reader.read_to_end(PATIENCE) for v in r.values]
    finally:
        reader.close()


def poll_until_assigned(consumer: GroupConsumer, n: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while len(consumer.assignment()) < n:
        consumer.poll(1, 0.1)
        assert time.monotonic() < deadline, "not in time"


def test_shoals_topics_can_be_created_and_are_as_specified(
    kafka: EmbeddedKafka, broker_settings: Any
) -> None:
    settings = broker_settings(partitions=3)
    broker, topics = KafkaBroker(settings, kafka.bootstrap_servers), Topics(settings)
    assert ensure_topics(broker, topics, settings) == 3
    assert ensure_topics(broker, topics, broker_settings(partitions=5)) == 3, "what exists decides"
    assert {t.name: broker.partitions(t.name) for t in topics}[topics.model_updates.name] == 1
    resources = [ConfigResource(ConfigResource.Type.TOPIC, topic.name) for topic in topics]
    answers = broker._admin.describe_configs(resources)
    for topic, resource in zip(topics, resources, strict=True):
        found = {name: entry.value for name, entry in answers[resource].result(PATIENCE).items()}
        policy = {"cleanup.policy": "compact" if topic.compacted else "delete"}
        for name, value in (policy | dict(topic.settings)).items():
            assert found[name] == value, (topic.name, name)


def test_events_carry_the_time_of_their_arrival(kafka: EmbeddedKafka, broker_settings: Any) -> None:
    settings = broker_settings(partitions=1)
    broker, topics = KafkaBroker(settings, kafka.bootstrap_servers), Topics(settings)
    ensure_topics(broker, topics, settings)
    publisher = broker.publisher()
    publisher._producer.produce(
        topics.events.name, b"{}", timestamp=1_000
    )  # the producer's clock is of no account
    publisher.close()
    (records,) = broker.reader(topics.events.name, "earliest").read_to_end(PATIENCE)
    assert abs(records.timestamp[0] - time.time() * 1000) < 60_000


def test_a_transaction_outlasts_a_restart_of_the_broker(tmp_path: Path, broker_settings: Any) -> None:
    settings = broker_settings(transaction_timeout_ms=60_000)
    topic = settings.prefix + "topic"
    with EmbeddedKafka(tmp_path / "kafka", heap_mb=256) as kafka:
        broker = KafkaBroker(settings, kafka.bootstrap_servers)
        broker.create_topics([TopicSpec(topic, 1)])
        producer = broker.transactional_producer(settings.prefix + "p")
        consumer = broker.subscribe(topic, settings.prefix + "g")
        poll_until_assigned(consumer, 1)

        def restart() -> threading.Timer:
            kafka.kill()
            timer = threading.Timer(1.0, kafka.start)
            timer.start()
            return timer

        # The producer knows the group's coordinator from the first time, and has to find it again.
        for n in (b"1", b"2"):
            producer.begin()
            producer.send(topic, 0, [None], [n])
            producer._producer.flush(PATIENCE)
            restarted = restart() if n == b"2" else None
            producer.send_offsets(consumer, {0: 0})
            if restarted:
                restarted.join()
                restarted = restart()
            producer.commit()
        assert restarted
        restarted.join()
        assert values(broker.reader(topic, "earliest")) == [b"1", b"2"]
        producer.close()
        consumer.close()


def test_offsets_that_never_get_an_answer_are_given_up(kafka: EmbeddedKafka, broker_settings: Any) -> None:
    settings = broker_settings(transaction_timeout_ms=2_000)
    broker, topic = KafkaBroker(settings, kafka.bootstrap_servers), settings.prefix + "topic"
    broker.create_topics([TopicSpec(topic, 1)])
    producer = broker.transactional_producer(settings.prefix + "p")
    consumer = broker.subscribe(topic, settings.prefix + "g")
    poll_until_assigned(consumer, 1)
    deaf, hung = threading.Event(), producer._producer

    class Hanging:
        def __getattr__(self, name: str) -> Any:
            return getattr(hung, name)

        def send_offsets_to_transaction(self, *_: Any) -> None:
            deaf.wait(PATIENCE)

    producer._producer = Hanging()
    producer.begin()
    producer.send(topic, 0, [None], [b"never"])
    with pytest.raises(TransactionAborted, match="coordinates the group has gone"):
        producer.send_offsets(consumer, {0: 0})
    producer.begin()
    producer.send(topic, 0, [None], [b"once"])
    producer.send_offsets(consumer, {0: 0})
    producer.commit()
    assert values(broker.reader(topic, "earliest")) == [b"once"]
    deaf.set()
    producer.close()
    consumer.close()


def test_an_abort_that_the_broker_refuses_is_one_all_the_same(
    kafka: EmbeddedKafka, broker_settings: Any
) -> None:
    settings = broker_settings()
    broker, topic = KafkaBroker(settings, kafka.bootstrap_servers), settings.prefix + "topic"
    broker.create_topics([TopicSpec(topic, 1)])
    producer = broker.transactional_producer(settings.prefix + "p")
    confused = producer._producer

    class Confused:
        def __getattr__(self, name: str) -> Any:
            return getattr(confused, name)

        def abort_transaction(self, *_: Any) -> None:
            raise KafkaException(KafkaError(KafkaError.INVALID_TXN_STATE))

    producer._producer = Confused()  # type: ignore[assignment]
    producer.begin()
    producer.send(topic, 0, [None], [b"never"])
    producer.abort()
    producer.begin()
    producer.send(topic, 0, [None], [b"once"])
    producer.commit()
    assert values(broker.reader(topic, "earliest")) == [b"once"]
    producer.close()


def test_a_producer_can_be_closed_though_the_broker_is_gone(tmp_path: Path, broker_settings: Any) -> None:
    settings = broker_settings()
    topic = settings.prefix + "topic"
    with EmbeddedKafka(tmp_path / "kafka", heap_mb=256) as kafka:
        broker = KafkaBroker(settings, kafka.bootstrap_servers)
        broker.create_topics([TopicSpec(topic, 1)])
        producer = broker.transactional_producer(settings.prefix + "p")
        consumer = broker.subscribe(topic, settings.prefix + "g")
        poll_until_assigned(consumer, 1)
        producer.begin()
        producer.send(topic, 0, [None], [b"never"])
        kafka.kill()
        started = time.monotonic()
        producer.close()
        consumer.close()
        assert time.monotonic() - started < 15
        with pytest.raises(BrokerError, match="closed"):
            producer.begin()


def test_the_newer_group_protocol_works_as_the_older(kafka: EmbeddedKafka, broker_settings: Any) -> None:
    settings = broker_settings()
    newer = settings.model_copy(update={"librdkafka": {}})
    newer = type(settings).model_validate(newer.model_dump() | {"librdkafka": {"group.protocol": "consumer"}})
    broker, topic = KafkaBroker(newer, kafka.bootstrap_servers), settings.prefix + "topic"
    broker.create_topics([TopicSpec(topic, 2)])
    consumer = broker.subscribe(topic, settings.prefix + "g")
    poll_until_assigned(consumer, 2)
    producer = broker.transactional_producer(settings.prefix + "p")
    producer.begin()
    producer.send(topic, 0, [None], [b"x"])
    producer.send_offsets(consumer, {0: 0, 1: 0})
    producer.commit()
    producer.close()
    consumer.close()


def test_a_record_that_is_too_large_is_refused_and_the_transaction_can_be_aborted(
    kafka: EmbeddedKafka, broker_settings: Any
) -> None:
    settings = broker_settings()
    broker, topic = KafkaBroker(settings, kafka.bootstrap_servers), settings.prefix + "topic"
    broker.create_topics([TopicSpec(topic, 1)])
    producer = broker.transactional_producer(settings.prefix + "p")
    producer.begin()
    with pytest.raises(BrokerError, match="MSG_SIZE_TOO_LARGE"):
        producer.send(topic, 0, [None], [bytes(3_000_000)])
    producer.abort()
    producer.begin()
    producer.send(topic, 0, [None], [b"small"])
    producer.commit()
    producer.close()
    assert values(broker.reader(topic, "earliest")) == [b"small"]


def test_a_batch_larger_than_the_buffer_waits_for_room(kafka: EmbeddedKafka, broker_settings: Any) -> None:
    settings = broker_settings(librdkafka={"queue.buffering.max.messages": "100"})
    broker, topic = KafkaBroker(settings, kafka.bootstrap_servers), settings.prefix + "topic"
    broker.create_topics([TopicSpec(topic, 1)])
    sent: list[bytes | None] = [str(i).encode() for i in range(1_000)]
    producer = broker.transactional_producer(settings.prefix + "p")
    producer.begin()
    producer.send(topic, 0, [None] * 1_000, sent)
    producer.commit()
    producer.close()
    publisher = broker.publisher()
    publisher.send(topic, [None] * 1_000, sent)
    publisher.close()
    assert values(broker.reader(topic, "earliest")) == sent + sent


def test_a_wrong_setting_is_named_and_its_value_is_not(broker_settings: Any) -> None:
    settings = broker_settings(librdkafka={"security.protocol": "hunter2"})
    broker = KafkaBroker(settings, "127.0.0.1:1")
    with pytest.raises(ConfigError, match=r"security\.protocol") as caught:
        broker.publisher()
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_what_was_sent_is_in_its_log_before_the_offsets_are(
    kafka: EmbeddedKafka, broker_settings: Any
) -> None:
    # Records wait a second for company, as those of a slow connection do.
    settings = broker_settings(librdkafka={"linger.ms": "1000"})
    broker = KafkaBroker(settings, kafka.bootstrap_servers)
    read, written = settings.prefix + "read", settings.prefix + "written"
    broker.create_topics([TopicSpec(read, 1), TopicSpec(written, 1)])
    consumer = broker.subscribe(read, settings.prefix + "group")
    deadline = time.monotonic() + 30
    while not consumer.assignment():
        assert time.monotonic() < deadline
        consumer.poll(1, 0.1)
    producer = broker.transactional_producer(settings.prefix + "p")
    producer.begin()
    producer.send(written, 0, [None], [b"row"])
    producer.send_offsets(consumer, {0: 0})
    assert broker.offsets(written) == {0: (0, 1)}
    producer.abort()
    consumer.close()
    producer.close()
