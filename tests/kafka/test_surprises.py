"""Surprises of the log on the real Kafka: what a broker in memory only imitates."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from producers.synthetic import SyntheticLog
from stream.errors import OffsetOutOfRange, StateLost
from stream.events.schema import EventRecord
from tests.kafka.service import Service


@pytest.fixture
def worked(service: Callable[..., Service], log: SyntheticLog, events: list[EventRecord]) -> Service:
    """A service on which a worker has taken in 300 events, and gone."""
    shoal = service()
    shoal.load(log.items)
    shoal.feed(events[:300])
    worker = shoal.worker()
    shoal.settle(worker)
    worker.close()
    return shoal


def test_events_that_were_gone_before_they_were_read_are_counted(
    worked: Service, events: list[EventRecord]
) -> None:
    topic = worked.topics.events.name
    worked.feed(events[300:400])
    worked.broker.trim(topic, {p: end for p, (_, end) in worked.broker.offsets(topic).items()})
    worked.feed(events[400:500])
    worker = worked.worker()
    worked.until(lambda: worker.step() == 0 and worker.model.counts["records"] == 400, "what is left")
    assert worker.model.counts["lost"] == 100


def test_an_events_topic_that_was_made_anew_is_refused(worked: Service, events: list[EventRecord]) -> None:
    topic, lists = worked.topics.events, len(worked.lists())
    worked.broker.delete_topics([topic.name])
    worked.broker.create_topics([topic])
    worked.feed(events[:1_000])  # beyond what was committed: nothing but its id tells it from the old one
    with pytest.raises(OffsetOutOfRange, match=r"another topic.*deleted and made anew.*shoal reset"):
        worked.settle(worked.worker())
    assert len(worked.lists()) == lists


def test_more_partitions_at_the_start_are_taken_in(worked: Service, events: list[EventRecord]) -> None:
    worked.broker.grow(worked.topics.events.name, 3)
    worked.feed(events[300:600])
    worker = worked.worker()
    worked.settle(worker)
    assert worker._consumer.assignment() == {0, 1, 2}
    # By another number of partitions keys go elsewhere.
    assert worker.model.counts["split_users"] > 0
    worked.check_exactly_once()


def test_a_changelog_that_was_deleted_is_refused(worked: Service) -> None:
    changelog = worked.topics.profiles.name
    worked.broker.delete_topics([changelog])
    with pytest.raises(StateLost, match=f"{changelog} is empty, though .*300 events.*generation"):
        worked.settle(worked.worker())
