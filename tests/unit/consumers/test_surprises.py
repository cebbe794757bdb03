"""Surprises of the log: each is noticed, explained, and handled as documented. On a broker in memory."""

from __future__ import annotations

from collections import Counter

import pytest

from stream.broker.memory import MemoryBroker
from stream.errors import OffsetOutOfRange, StateLost, TopicMismatch
from stream.events.schema import EventRecord
from tests.unit.consumers.cluster import Cluster, check_exactly_once, drain


@pytest.fixture
def worked(cluster: Cluster, events: list[EventRecord]) -> Cluster:
    """A cluster on which a worker has taken in 300 events, and gone."""
    cluster.feed([*events[:300]])
    worker = cluster.worker()
    drain(worker)
    worker.close()
    return cluster


def forget(broker: MemoryBroker, name: str) -> None:
    """Delete a topic and make it anew, as an operator may who wants more room."""
    partitions = broker.partitions(name)
    broker.delete_topics([name])
    broker._topics[name] = []
    broker.grow(name, partitions)


def test_events_that_were_gone_before_they_were_read_are_counted(
    worked: Cluster, events: list[EventRecord]
) -> None:
    topic = worked.topics.events.name
    worked.feed([*events[300:400]])
    ends = {p: end for p, (_, end) in worked.broker.offsets(topic).items()}
    before = worked.broker.committed(worked.topics.group("workers"), topic)
    worked.broker.trim(topic, ends)
    worked.feed([*events[400:500]])
    worker = worked.worker()
    drain(worker)
    assert worker.model.counts["lost"] == sum(ends[p] - before[p] for p in ends) == 100
    assert worker.model.counts["records"] == 400


@pytest.mark.parametrize("grown", [False, True])
def test_an_events_topic_that_was_made_anew_is_refused(
    worked: Cluster, events: list[EventRecord], grown: bool
) -> None:
    forget(worked.broker, worked.topics.events.name)
    if grown:  # beyond the offsets that were committed: nothing but its identity tells it from the old one
        worked.feed([*events[:1_000]])
    lists = len(worked.lists())
    with pytest.raises(OffsetOutOfRange, match=r"another topic.*deleted and made anew.*shoal reset"):
        worked.worker()
    assert len(worked.lists()) == lists


def test_an_events_topic_that_was_made_anew_while_workers_run_is_refused(
    worked: Cluster, events: list[EventRecord]
) -> None:
    worker = worked.worker()
    forget(worked.broker, worked.topics.events.name)
    worked.feed([*events[:1_000]])
    lists = len(worked.lists())
    with pytest.raises(OffsetOutOfRange, match="another topic"):
        drain(worker)
    assert len(worked.lists()) == lists


def test_an_events_topic_that_has_lost_its_end_is_refused(worked: Cluster) -> None:
    for partition in worked.broker._topics[worked.topics.events.name]:
        for column in (partition._keys, partition._values, partition._times, partition._visible):
            del column[1:]
    with pytest.raises(OffsetOutOfRange, match="ends at 1"):
        drain(worked.worker())


def test_offsets_that_kafka_has_forgotten_are_those_of_the_model(
    worked: Cluster, events: list[EventRecord]
) -> None:
    worked.broker.delete_groups([worked.topics.group("workers")])
    worked.feed([*events[300:400]])
    worker = worked.worker()
    drain(worker)
    check_exactly_once(worked, 400)
    assert worker.model.counts["records"] == 400


@pytest.mark.parametrize("role", ["profiles", "model_updates"])
def test_a_state_topic_that_was_deleted_is_refused(worked: Cluster, role: str) -> None:
    name = getattr(worked.topics, role).name
    worked.broker.delete_topics([name])
    with pytest.raises(StateLost, match=f"{name} is empty, though .*300 events.*generation"):
        worked.worker()


def test_a_truncated_changelog_is_refused(worked: Cluster) -> None:
    worked.broker.trim(worked.topics.profiles.name, {1: 2})
    with pytest.raises(StateLost, match=r"begins at offsets \{1: 2\}.*generation"):
        worked.worker()


def test_state_that_holds_nothing_yet_is_no_surprise(cluster: Cluster) -> None:
    cluster.feed([b"{"])  # offsets are committed, and no profile is written
    worker = cluster.worker()
    drain(worker)
    worker.close()
    drain(cluster.worker())
    check_exactly_once(cluster, 1)


def test_more_partitions_at_the_start_are_taken_in(worked: Cluster, events: list[EventRecord]) -> None:
    worked.broker.grow(worked.topics.events.name, 5)
    worked.feed([*events[300:600]])
    worker = worked.worker()
    drain(worker)
    check_exactly_once(worked, 600)
    assert worker._consumer.assignment() == set(range(5))
    # By another number of partitions keys go elsewhere.
    assert worker.model.counts["split_users"] > 0


def test_more_partitions_while_it_runs_stop_a_worker_and_it_starts_again(
    cluster: Cluster, events: list[EventRecord]
) -> None:
    worker = cluster.worker()
    cluster.feed([*events[:100]])
    drain(worker)
    cluster.broker.grow(cluster.topics.events.name, 4)
    with pytest.raises(TopicMismatch, match=r"has got partition 3.*start the worker again"):
        drain(worker)
    worker.close()
    cluster.feed([*events[100:300]])
    drain(cluster.worker())
    check_exactly_once(cluster, 300)


def test_a_user_in_several_partitions_has_a_profile_in_each_and_is_counted_once(
    cluster: Cluster, events: list[EventRecord]
) -> None:
    event = events[0]
    for partition in (0, 1, 1):
        producer = cluster.broker.transactional_producer("another partitioner")
        producer.begin()
        producer.send(cluster.topics.events.name, partition, [event.key()], [event.to_json()])
        producer.commit()
    worker = cluster.worker()
    drain(worker)
    assert worker.model.counts["split_users"] == 1
    assert worker.model.counts["dropped.duplicate"] == 1
    lists = Counter(partition for partition, _ in cluster.lists())
    assert lists == {0: 1, 1: 1}


def test_what_a_producer_sends_again_is_dropped_and_counted(
    cluster: Cluster, events: list[EventRecord]
) -> None:
    cluster.feed([*events[:50], *events[40:50]])
    worker = cluster.worker()
    drain(worker)
    cluster.feed([*events[45:50]])
    drain(worker)
    assert worker.model.counts["dropped.duplicate"] == 15
    assert worker.model.counts["events"] == 50
