from __future__ import annotations

import pytest

from consumers.local_profiles import MOST_AGE_MS
from stream.broker.interface import TopicSpec
from stream.broker.memory import MemoryBroker
from stream.broker.topics import Topics, ensure_topics
from stream.config import HOUR_MS, KafkaSettings
from stream.errors import TopicMismatch
from stream.wire import PART_BYTES


def test_only_what_belongs_to_one_reading_of_the_log_carries_the_generation() -> None:
    one, two = (Topics(KafkaSettings(generation=g)) for g in (1, 2))
    differ = {a.name for a, b in zip(one, two, strict=True) if a.name != b.name}
    assert differ == {t.name for t in one.state()}
    assert differ == {"shoal.g1.profiles", "shoal.g1.model-updates", "shoal.g1.model"}
    assert one.group("workers") != two.group("workers")
    assert one.transactional_id("a") != two.transactional_id("a")


def test_names_are_distinct_and_have_the_prefix() -> None:
    names = [t.name for t in Topics(KafkaSettings(prefix="acme-"))]
    assert len(set(names)) == len(names) == 10
    assert all(name.startswith("acme-") for name in names)


def test_the_models_log_never_expires_and_state_is_compacted() -> None:
    topics = Topics(KafkaSettings())
    assert topics.model_updates.partitions == 1
    assert not topics.model_updates.compacted
    assert (
        topics.model_updates.settings["retention.ms"]
        == topics.model_updates.settings["retention.bytes"]
        == "-1"
    )
    assert topics.events.settings["message.timestamp.type"] == "LogAppendTime"
    compacted = {t.name for t in topics if t.compacted}
    assert {
        topics.profiles.name,
        topics.model.name,
        topics.recommendations.name,
        topics.items.name,
    } <= compacted


def test_deletions_outlive_the_profiles_that_a_machine_keeps() -> None:
    kept = int(Topics(KafkaSettings()).profiles.settings["delete.retention.ms"])
    assert kept - HOUR_MS >= MOST_AGE_MS


def test_parts_of_snapshots_and_deltas_fit_their_topics() -> None:
    topics = Topics(KafkaSettings())
    for topic in (topics.model, topics.model_updates):
        assert int(topic.settings["max.message.bytes"]) >= 2 * PART_BYTES


def test_what_may_be_trimmed_is_not_compacted() -> None:
    topics = Topics(KafkaSettings())
    assert not topics.model_updates.compacted  # Kafka deletes no records of a compacted topic
    assert topics.model.compacted


def test_the_existing_events_topic_decides_how_many_partitions_there_are() -> None:
    settings = KafkaSettings(partitions=4)
    broker, topics = MemoryBroker(), Topics(settings)
    broker.create_topics([TopicSpec(topics.events.name, 7)])
    assert ensure_topics(broker, topics, settings) == 7
    assert broker.partitions(topics.profiles.name) == broker.partitions(topics.recommendations.name) == 7
    assert ensure_topics(broker, topics, settings) == 7


@pytest.mark.parametrize("role", ["profiles", "recommendations"])
def test_followers_with_another_number_of_partitions_are_refused(role: str) -> None:
    settings = KafkaSettings(partitions=4)
    broker, topics = MemoryBroker(), Topics(settings)
    broker.create_topics([TopicSpec(getattr(topics, role).name, 5)])
    with pytest.raises(TopicMismatch, match=r"5 partitions and shoal\.events has 4.*generation"):
        ensure_topics(broker, topics, settings)
    with pytest.raises(TopicMismatch):
        broker.partitions(topics.events.name)  # nothing was created


@pytest.mark.parametrize("role", ["model_updates", "model"])
def test_a_model_log_of_several_partitions_is_refused(role: str) -> None:
    settings = KafkaSettings()
    broker, topics = MemoryBroker(), Topics(settings)
    broker.create_topics([TopicSpec(getattr(topics, role).name, 2)])
    with pytest.raises(TopicMismatch, match="must have 1"):
        ensure_topics(broker, topics, settings)


def test_others_topics_may_have_any_number_of_partitions() -> None:
    settings = KafkaSettings()
    broker, topics = MemoryBroker(), Topics(settings)
    broker.create_topics([TopicSpec(topics.items.name, 9)])
    ensure_topics(broker, topics, settings)
    assert broker.partitions(topics.items.name) == 9


def test_what_goes_with_the_events_grows_with_them() -> None:
    settings = KafkaSettings(partitions=2)
    broker, topics = MemoryBroker(), Topics(settings)
    ensure_topics(broker, topics, settings)
    broker.grow(topics.events.name, 5)
    assert ensure_topics(broker, topics, settings) == 5
    assert {broker.partitions(topic.name) for topic in topics.like_events()} == {5}
    assert broker.partitions(topics.model_updates.name) == 1
