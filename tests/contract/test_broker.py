"""One suite for every ``Broker``: what ``stream.broker.interface`` promises, in memory and on Kafka."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from stream.broker.interface import Broker, GroupConsumer, Records, TopicSpec, TransactionalProducer
from stream.broker.kafka import KafkaBroker
from stream.broker.memory import MemoryBroker
from stream.errors import (
    BrokerError,
    BrokerUnavailable,
    Fenced,
    OffsetOutOfRange,
    TopicMismatch,
    TransactionAborted,
)

PATIENCE = 20.0  # seconds within which a broker has to do what it promised


@dataclass
class Harness:
    broker: Broker
    impatient: Broker  # its consumers lose their membership when they do not poll for a second and a half
    prefix: str
    expel: Callable[[GroupConsumer], None]
    opened: list[Any] = field(default_factory=list)

    def topic(self, partitions: int = 1, name: str = "topic") -> str:
        self.broker.create_topics([TopicSpec(self.prefix + name, partitions)])
        return self.prefix + name

    def keep(self, opened: Any) -> Any:
        self.opened.append(opened)
        return opened

    def producer(self, name: str = "producer") -> TransactionalProducer:
        return self.keep(self.broker.transactional_producer(self.prefix + name))

    def consumer(self, topic: str, listener: Any = None, broker: Broker | None = None) -> GroupConsumer:
        return self.keep((broker or self.broker).subscribe(topic, self.prefix + "group", listener))

    def reader(self, topic: str, start: Any = "earliest") -> Any:
        return self.keep(self.broker.reader(topic, start))

    def publish(self, topic: str, *values: bytes, key: bytes | None = None) -> None:
        publisher = self.broker.publisher()
        publisher.send(topic, [key] * len(values), list(values))
        publisher.close()

    def commit(self, topic: str, *values: bytes, partition: int = 0, producer: Any = None) -> None:
        producer = producer or self.producer()
        producer.begin()
        producer.send(topic, partition, [None] * len(values), list(values))
        producer.commit()


@pytest.fixture(params=["memory", "kafka"])
def harness(request: pytest.FixtureRequest, broker_settings: Any) -> Iterator[Harness]:
    if request.param == "memory":
        memory = MemoryBroker()
        made = Harness(memory, memory, "t.", memory.expel)  # type: ignore[arg-type]
    else:
        servers = request.getfixturevalue("kafka").bootstrap_servers
        short = {"session.timeout.ms": "1500", "max.poll.interval.ms": "1500"}
        settings = broker_settings()
        made = Harness(
            KafkaBroker(settings, servers),
            KafkaBroker(broker_settings(librdkafka=short), servers),
            settings.prefix,
            lambda _consumer: time.sleep(3.0),
        )
    yield made
    for opened in reversed(made.opened):
        opened.close()
    made.broker.close()


@dataclass
class Listener:
    calls: list[tuple[str, list[int]]] = field(default_factory=list)
    on_revoked: Callable[[Sequence[int]], None] | None = None
    on_assigned: Callable[[Sequence[int]], None] | None = None

    def assigned(self, partitions: Sequence[int]) -> None:
        self.calls.append(("assigned", list(partitions)))
        if self.on_assigned:
            self.on_assigned(partitions)

    def revoked(self, partitions: Sequence[int]) -> None:
        self.calls.append(("revoked", list(partitions)))
        if self.on_revoked:
            self.on_revoked(partitions)

    def lost(self, partitions: Sequence[int]) -> None:
        self.calls.append(("lost", list(partitions)))

    def named(self, kind: str) -> list[int]:
        return [p for name, partitions in self.calls if name == kind for p in partitions]


def take(consumer: Any, n: int, topic: str = "") -> Records:
    """Poll until ``n`` records are there."""
    parts: list[Records] = []
    poll = getattr(consumer, "poll", None) or consumer.read
    until(lambda: parts.append(poll(n, 0.1)) or sum(map(len, parts)) >= n)  # type: ignore[func-returns-value]
    return Records.concat(topic, parts)


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "not in time"


def settle(*consumers: GroupConsumer, shares: list[int]) -> None:
    """Poll all until they have as many partitions as ``shares`` says, in some order."""

    def settled() -> bool:
        for consumer in consumers:
            consumer.poll(100, 0.05)
        return sorted(len(c.assignment()) for c in consumers) == sorted(shares)

    until(settled)


# Records and topics


def test_records_come_back_in_order_with_all_their_columns(harness: Harness) -> None:
    topic = harness.topic()
    before = time.time() * 1000 - 1000
    publisher = harness.broker.publisher()
    publisher.send(topic, [b"k", None, b"k"], [b"1", b"2", None])
    publisher.flush(PATIENCE)
    records = take(harness.consumer(topic), 3, topic)
    assert records.keys == [b"k", None, b"k"]
    assert records.values == [b"1", b"2", None]
    assert records.offset.tolist() == [0, 1, 2]
    assert records.partition.tolist() == [0, 0, 0]
    assert (records.partition.dtype, records.offset.dtype, records.timestamp.dtype) == (
        np.int32,
        np.int64,
        np.int64,
    )
    assert (records.timestamp > before).all()
    publisher.close()
    publisher.close()


def test_a_key_always_goes_to_the_same_partition(harness: Harness) -> None:
    topic = harness.topic(partitions=4)
    keys = [f"user-{i % 20}".encode() for i in range(100)]
    for half in (keys[:50], keys[50:]):
        publisher = harness.broker.publisher()
        publisher.send(topic, half, half)
        publisher.close()
    records = take(harness.reader(topic), 100, topic)
    homes = {(key, int(p)) for key, p in zip(records.keys, records.partition, strict=True)}
    assert len(homes) == 20
    assert len({p for _, p in homes}) > 1


def test_poll_gives_no_more_than_asked_for(harness: Harness) -> None:
    topic = harness.topic()
    harness.publish(topic, *[b"x"] * 10)
    reader = harness.reader(topic)
    sizes = []
    until(lambda: sizes.append(len(reader.read(3, 0.1))) or sum(sizes) == 10)  # type: ignore[func-returns-value]
    assert max(sizes) == 3
    assert len(reader.read(3, 0.0)) == 0


def test_a_topic_is_created_once(harness: Harness) -> None:
    topic = harness.topic(partitions=2)
    harness.publish(topic, b"kept")
    harness.topic(partitions=2)
    assert harness.broker.partitions(topic) == 2
    assert sum(end for _, end in harness.broker.offsets(topic).values()) == 1
    with pytest.raises(TopicMismatch, match="2 partitions"):
        harness.topic(partitions=3)


def test_a_mismatch_creates_nothing(harness: Harness) -> None:
    topic = harness.topic(partitions=2)
    with pytest.raises(TopicMismatch):
        harness.broker.create_topics([TopicSpec(harness.prefix + "other", 1), TopicSpec(topic, 3)])
    with pytest.raises(TopicMismatch):
        harness.broker.partitions(harness.prefix + "other")


def test_topics_are_deleted_if_they_are_there(harness: Harness) -> None:
    topic = harness.topic()
    harness.broker.delete_topics([topic, harness.prefix + "never"])
    with pytest.raises(TopicMismatch, match="no topic"):
        harness.broker.partitions(topic)
    with pytest.raises(TopicMismatch):
        harness.broker.subscribe(topic, "group")
    with pytest.raises(TopicMismatch):
        harness.broker.reader(topic, "earliest")


# Transactions


def test_only_committed_records_are_read(harness: Harness) -> None:
    topic = harness.topic()
    producer = harness.producer()
    reader = harness.reader(topic)
    producer.begin()
    producer.send(topic, 0, [b"k"], [b"1"])
    until(lambda: harness.broker.offsets(topic)[0][1] == 1)
    harness.publish(topic, b"behind the open one")
    assert len(reader.read(10, 0.3)) == 0
    producer.commit()
    assert take(reader, 2).values == [b"1", b"behind the open one"]


def test_aborted_records_are_never_read(harness: Harness) -> None:
    topic = harness.topic()
    producer = harness.producer()
    producer.begin()
    producer.send(topic, 0, [None], [b"no"])
    producer.abort()
    harness.commit(topic, b"yes", producer=producer)
    assert take(harness.reader(topic), 1).values == [b"yes"]


def test_a_transaction_covers_several_topics_and_partitions(harness: Harness) -> None:
    one, two = harness.topic(name="one"), harness.topic(partitions=3, name="two")
    producer = harness.producer()
    producer.begin()
    producer.send(one, 0, [None], [b"a"])
    producer.send(two, np.array([2, 0, 2], np.int32), [None] * 3, [b"b", b"c", b"d"])
    producer.commit()
    assert take(harness.reader(one), 1).values == [b"a"]
    records = take(harness.reader(two), 3, two)
    assert sorted(zip(records.partition.tolist(), records.values, strict=True)) == [
        (0, b"c"),
        (2, b"b"),
        (2, b"d"),
    ]


def test_an_empty_transaction_commits_and_aborts(harness: Harness) -> None:
    producer = harness.producer()
    producer.begin()
    producer.commit()
    producer.begin()
    producer.abort()
    with pytest.raises(BrokerError, match="no transaction"):
        producer.commit()
    producer.begin()
    with pytest.raises(BrokerError, match="open already"):
        producer.begin()


def test_a_newer_producer_fences_the_older_and_aborts_what_it_left(harness: Harness) -> None:
    topic = harness.topic()
    older = harness.producer("same")
    older.begin()
    older.send(topic, 0, [None], [b"orphan"])
    until(lambda: harness.broker.offsets(topic)[0][1] == 1)
    newer = harness.producer("same")
    harness.commit(topic, b"successor", producer=newer)
    assert take(harness.reader(topic), 1).values == [b"successor"]
    with pytest.raises(Fenced):
        older.commit()
    with pytest.raises(Fenced):
        older.begin()
    older.close()
    older.close()


def test_closing_aborts_what_is_open(harness: Harness) -> None:
    topic = harness.topic()
    producer = harness.producer()
    producer.begin()
    producer.send(topic, 0, [None], [b"no"])
    producer.close()
    producer.close()
    assert list(harness.reader(topic).read_to_end(PATIENCE)) == []


# Groups and offsets


def test_offsets_committed_in_a_transaction_are_where_the_next_member_goes_on(harness: Harness) -> None:
    topic, out = harness.topic(), harness.topic(name="out")
    harness.publish(topic, b"0", b"1", b"2", b"3")
    consumer, producer = harness.consumer(topic), harness.producer()
    take(consumer, 4)
    for end, commit in ((2, True), (4, False)):
        producer.begin()
        producer.send(out, 0, [None], [b"result"])
        producer.send_offsets(consumer, {0: end})
        (producer.commit if commit else producer.abort)()
    consumer.close()
    assert take(harness.consumer(topic), 2).values == [b"2", b"3"]


def test_offsets_may_be_committed_while_partitions_are_being_revoked(harness: Harness) -> None:
    topic = harness.topic()
    harness.publish(topic, b"0", b"1")
    producer, listener = harness.producer(), Listener()
    consumer = harness.consumer(topic, listener)
    take(consumer, 2)

    def commit(_partitions: Sequence[int]) -> None:
        producer.begin()
        producer.send_offsets(consumer, {0: 1})
        producer.commit()

    listener.on_revoked = commit
    consumer.close()
    consumer.close()
    assert listener.calls == [("assigned", [0]), ("revoked", [0])]
    assert take(harness.consumer(topic), 1).values == [b"1"]


def test_members_share_partitions_and_hear_only_of_what_moves(harness: Harness) -> None:
    topic = harness.topic(partitions=4)
    first_listener, second_listener = Listener(), Listener()
    first = harness.consumer(topic, first_listener)
    settle(first, shares=[4])
    second = harness.consumer(topic, second_listener)
    settle(first, second, shares=[2, 2])
    assert first_listener.named("assigned") == [0, 1, 2, 3]
    assert sorted(first_listener.named("revoked")) == sorted(second_listener.named("assigned"))
    assert set(second_listener.named("assigned")) == second.assignment()
    assert first.assignment() | second.assignment() == {0, 1, 2, 3}
    second.close()
    settle(first, shares=[4])
    assert len(first_listener.named("revoked")) == 2
    assert first_listener.named("lost") == []


def test_each_record_goes_to_one_member(harness: Harness) -> None:
    topic = harness.topic(partitions=4)
    members = [harness.consumer(topic), harness.consumer(topic)]
    settle(*members, shares=[2, 2])
    publisher = harness.broker.publisher()
    values = [str(i).encode() for i in range(200)]
    publisher.send(topic, values, values)
    publisher.close()
    got: list[bytes | None] = []

    def poll() -> bool:
        for member in members:
            records = member.poll(50, 0.05)
            assert set(records.partition.tolist()) <= member.assignment()
            got.extend(records.values)
        return len(got) >= 200

    until(poll)
    assert sorted(got) == sorted(values)  # type: ignore[type-var]


def test_a_transaction_with_partitions_of_another_member_is_refused(harness: Harness) -> None:
    topic = harness.topic(partitions=2)
    first = harness.consumer(topic)
    settle(first, shares=[2])
    second = harness.consumer(topic)
    settle(first, second, shares=[1, 1])
    foreign = next(iter(second.assignment()))
    producer = harness.producer()
    producer.begin()
    with pytest.raises(TransactionAborted, match="another member"):
        producer.send_offsets(first, {foreign: 1})
    producer.begin()  # it has been aborted
    producer.send_offsets(second, {foreign: 1})
    producer.commit()


def test_a_member_that_was_put_out_of_its_group_cannot_commit(harness: Harness) -> None:
    topic, out = harness.topic(), harness.topic(name="out")
    harness.publish(topic, b"0", b"1")
    listener = Listener()
    stale = harness.consumer(topic, listener, harness.impatient)
    take(stale, 2)
    producer = harness.producer()
    producer.begin()
    producer.send(out, 0, [None], [b"twice"])
    harness.expel(stale)
    with pytest.raises(TransactionAborted):
        producer.send_offsets(stale, {0: 2})
    successor = harness.consumer(topic)
    assert take(successor, 2).values == [b"0", b"1"]
    stale.poll(10, 0.5)
    assert ("lost", [0]) in listener.calls
    assert list(harness.reader(out).read_to_end(PATIENCE)) == []


def test_seek_reads_again_and_skips(harness: Harness) -> None:
    topic = harness.topic(partitions=2)
    for partition in (0, 1):
        harness.commit(topic, *(f"{partition}{i}".encode() for i in range(5)), partition=partition)
    consumer = harness.consumer(topic)
    take(consumer, 10)
    consumer.seek({0: 3})
    assert take(consumer, 2).values == [b"03", b"04"]
    consumer.seek({0: 4, 1: 2})
    assert sorted(take(consumer, 4).values) == [b"04", b"12", b"13", b"14"]  # type: ignore[type-var]


def test_seek_and_pause_work_as_soon_as_partitions_are_assigned(harness: Harness) -> None:
    topic = harness.topic()
    harness.publish(topic, b"0", b"1", b"2")
    listener = Listener()
    consumer = harness.consumer(topic, listener)

    def on_assigned(partitions: Sequence[int]) -> None:
        consumer.seek({0: 1})
        consumer.pause(partitions)

    listener.on_assigned = on_assigned
    settle(consumer, shares=[1])
    assert len(consumer.poll(10, 0.3)) == 0
    consumer.resume([0])
    assert take(consumer, 2).values == [b"1", b"2"]


def test_a_paused_partition_delivers_nothing_and_loses_nothing(harness: Harness) -> None:
    topic = harness.topic(partitions=2)
    consumer = harness.consumer(topic)
    settle(consumer, shares=[2])
    consumer.pause([0])
    harness.commit(topic, b"a", b"b", partition=0)
    harness.commit(topic, b"c", partition=1)
    assert take(consumer, 1).values == [b"c"]
    assert len(consumer.poll(10, 0.3)) == 0
    consumer.seek({0: 1})
    assert len(consumer.poll(10, 0.3)) == 0, "a seek does not resume"
    consumer.resume([0])
    assert take(consumer, 1).values == [b"b"]
    with pytest.raises(BrokerError, match="not assigned"):
        consumer.pause([7])


def test_a_partition_that_comes_back_is_not_paused(harness: Harness) -> None:
    topic = harness.topic(partitions=2)
    first = harness.consumer(topic)
    settle(first, shares=[2])
    first.pause([0, 1])
    second = harness.consumer(topic)
    settle(first, second, shares=[1, 1])
    moved = next(iter(second.assignment()))
    second.close()
    settle(first, shares=[2])
    for partition in (0, 1):
        harness.commit(topic, b"x", partition=partition)
    assert take(first, 1, topic).partition.tolist() == [moved]
    assert len(first.poll(10, 0.3)) == 0


def test_lag_counts_what_is_behind_the_position(harness: Harness) -> None:
    topic = harness.topic()
    harness.publish(topic, *[b"x"] * 10)
    consumer = harness.consumer(topic)
    take(consumer, 3)
    consumer.seek({0: 3})
    assert consumer.lag() == {0: 7}
    take(consumer, 7)
    assert consumer.lag() == {0: 0}
    harness.commit(topic, b"with its end marker")
    take(consumer, 1)
    until(lambda: len(consumer.poll(1, 0.1)) == 0 and consumer.lag() == {0: 0})


def test_what_a_listener_raises_comes_out_of_poll(harness: Harness) -> None:
    topic = harness.topic()
    harness.publish(topic, b"0")
    listener = Listener()

    def fail(_partitions: Sequence[int]) -> None:
        raise ValueError("the listener's own")

    listener.on_assigned = listener.on_revoked = fail
    consumer = harness.consumer(topic, listener)
    with pytest.raises(ValueError, match="the listener's own"):
        until(lambda: consumer.poll(10, 0.1) is None)
    assert take(consumer, 1).values == [b"0"], "nothing is lost by it"
    with pytest.raises(ValueError, match="the listener's own"):
        consumer.close()
    with pytest.raises(BrokerError, match="closed"):
        consumer.poll(1, 0)


def test_without_a_committed_offset_a_member_starts_where_it_is_told(harness: Harness) -> None:
    topic = harness.topic(partitions=2)
    for partition in (0, 1):
        harness.commit(topic, *(f"{partition}{i}".encode() for i in range(3)), partition=partition)
    consumer = harness.keep(harness.broker.subscribe(topic, harness.prefix + "group", None, {0: 2}))
    assert sorted(take(consumer, 4).values) == [b"02", b"10", b"11", b"12"]  # type: ignore[type-var]
    assert consumer.take_skipped() == 0
    producer = harness.producer()
    producer.begin()
    producer.send_offsets(consumer, {0: 1})
    producer.commit()
    consumer.close()
    again = harness.keep(harness.broker.subscribe(topic, harness.prefix + "group", None, {0: 2, 1: 2}))
    assert sorted(take(again, 3).values) == [b"01", b"02", b"12"]  # type: ignore[type-var]


def test_the_next_of_an_instance_name_gets_the_partitions_and_the_one_before_is_fenced(
    harness: Harness,
) -> None:
    topic = harness.topic(partitions=2)
    harness.publish(topic, b"0")
    group = harness.prefix + "group"
    older = harness.keep(harness.broker.subscribe(topic, group, instance="same"))
    settle(older, shares=[2])
    newer = harness.keep(harness.broker.subscribe(topic, group, instance="same"))
    settle(newer, shares=[2])
    with pytest.raises(Fenced):
        until(lambda: older.poll(10, 0.1) is None)
    newer.close()
    # It has left for good, so that another need not wait for its session to end.
    settle(harness.consumer(topic), shares=[2])


def test_what_is_gone_before_it_is_read_is_skipped_and_counted(harness: Harness) -> None:
    topic = harness.topic()
    harness.publish(topic, *(str(i).encode() for i in range(6)))
    consumer = harness.consumer(topic)
    take(consumer, 2)
    producer = harness.producer()
    producer.begin()
    producer.send_offsets(consumer, {0: 2})
    producer.commit()
    consumer.close()
    harness.broker.trim(topic, {0: 5})
    late = harness.consumer(topic)
    assert take(late, 1).values == [b"5"]
    assert late.take_skipped() == 3
    assert late.take_skipped() == 0


def test_a_position_behind_the_end_is_an_error(harness: Harness) -> None:
    topic = harness.topic()
    harness.publish(topic, b"0")
    consumer = harness.keep(harness.broker.subscribe(topic, harness.prefix + "group", None, {0: 7}))
    with pytest.raises(OffsetOutOfRange, match="ends at"):
        until(lambda: len(consumer.poll(10, 0.1)) > 5)


def test_a_topic_that_grows_keeps_what_it_has_and_its_group_gets_the_rest(harness: Harness) -> None:
    topic = harness.topic()
    harness.publish(topic, b"kept")
    harness.broker.grow(topic, 3)
    assert harness.broker.partitions(topic) == 3
    assert take(harness.reader(topic), 1).values == [b"kept"]
    settle(harness.consumer(topic), shares=[3])


# Readers


def test_read_to_end_of_nothing_is_nothing(harness: Harness) -> None:
    assert list(harness.reader(harness.topic(partitions=2)).read_to_end(PATIENCE)) == []


def test_read_to_end_gives_all_and_then_ends(harness: Harness) -> None:
    topic = harness.topic(partitions=2)
    for partition in (0, 1):
        harness.commit(topic, b"x", b"y", partition=partition)
    reader = harness.reader(topic)
    assert sum(map(len, reader.read_to_end(PATIENCE))) == 4
    assert list(reader.read_to_end(PATIENCE)) == []
    harness.commit(topic, b"z", partition=1)
    assert [r.values for r in reader.read_to_end(PATIENCE)] == [[b"z"]]
    # x, y, the end of their transaction, z; Kafka may write the last end after the commit has returned.
    assert reader.positions()[1] in (4, 5)


@pytest.mark.parametrize("committed", [True, False])
def test_read_to_end_waits_for_an_open_transaction(harness: Harness, committed: bool) -> None:
    topic = harness.topic()
    harness.commit(topic, b"before")
    producer = harness.producer("slow")
    producer.begin()
    producer.send(topic, 0, [None], [b"open"])
    until(lambda: harness.broker.offsets(topic)[0][1] == 3)
    records = harness.reader(topic).read_to_end(PATIENCE)
    ending = threading.Timer(0.5, producer.commit if committed else producer.abort)
    ending.start()
    values = [v for r in records for v in r.values]
    ending.join()
    assert values == [b"before", b"open"] if committed else [b"before"]


def test_read_to_end_gives_up_when_a_transaction_stays_open(harness: Harness) -> None:
    topic = harness.topic()
    producer = harness.producer()
    producer.begin()
    producer.send(topic, 0, [None], [b"open"])
    until(lambda: harness.broker.offsets(topic)[0][1] == 1)
    with pytest.raises(BrokerUnavailable, match="stays open"):
        list(harness.reader(topic).read_to_end(0.5))


def test_an_aborted_tail_does_not_hold_read_to_end(harness: Harness) -> None:
    topic = harness.topic()
    harness.commit(topic, b"kept")
    producer = harness.producer()
    producer.begin()
    producer.send(topic, 0, [None] * 50, [b"dropped"] * 50)
    producer.abort()
    reader = harness.reader(topic)
    assert [v for r in reader.read_to_end(PATIENCE) for v in r.values] == [b"kept"]
    assert reader.positions()[0] == harness.broker.offsets(topic)[0][1]


def test_a_reader_knows_how_far_it_is_behind(harness: Harness) -> None:
    topic = harness.topic()
    harness.commit(topic, b"0", b"1")
    reader = harness.reader(topic)
    assert take(reader, 2).values == [b"0", b"1"]
    until(
        lambda: not len(reader.read(1, 0.05)) and reader.lag() == 0
    )  # the end of the transaction is no record
    producer = harness.producer("slow")
    producer.begin()
    producer.send(topic, 0, [None, None], [b"2", b"3"])
    until(lambda: not len(reader.read(1, 0.05)) and reader.lag() == 2)
    producer.commit()
    assert take(reader, 2).values == [b"2", b"3"]
    until(lambda: not len(reader.read(1, 0.05)) and reader.lag() == 0)


def test_readers_start_where_they_are_told(harness: Harness) -> None:
    topic = harness.topic(partitions=2)
    for partition in (0, 1):
        harness.commit(topic, b"0", b"1", b"2", partition=partition)
    records = take(harness.reader(topic, {1: 1}), 2, topic)
    assert records.partition.tolist() == [1, 1]
    assert records.values == [b"1", b"2"]
    latest = harness.reader(topic, "latest")
    harness.commit(topic, b"new", partition=0)
    assert take(latest, 1).values == [b"new"]
    with pytest.raises(BrokerError, match="holds offsets 0 to 6"):
        harness.broker.reader(topic, {0: 99})
    with pytest.raises(TopicMismatch, match="no partition 9"):
        harness.broker.reader(topic, {9: 0})
    latest.close()
    latest.close()
