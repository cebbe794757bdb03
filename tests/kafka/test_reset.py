"""A new generation beside the old, and the end of the old one, on the real Kafka."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from consumers.resetting import drop, generations, open_generation, plan_dropping, plan_opening
from producers.synthetic import SyntheticLog
from stream.broker.interface import TopicSpec
from stream.errors import ResetRefused
from stream.events.schema import EventRecord


def test_a_log_is_processed_again_beside_the_old_generation_which_is_then_dropped(
    service: Callable[..., Any], log: SyntheticLog, events: list[EventRecord]
) -> None:
    shoal = service(partitions=2)
    kafka, broker = shoal.settings.kafka, shoal.broker
    foreign = kafka.prefix + "g1.report"
    broker.create_topics([TopicSpec(foreign, 1)])
    shoal.load(log.items)
    shoal.feed(events[:600])
    old = shoal.worker()
    shoal.settle(old)

    opening = plan_opening(broker, kafka)
    open_generation(broker, kafka, opening)
    assert list(generations(broker, kafka)) == [1, 2]
    new = shoal.worker(kafka={"generation": 2})
    nxt = new.settings.kafka
    # The old one works on.
    shoal.feed(events[600:])
    shoal.settle(old)
    with pytest.raises(ResetRefused, match="members"):
        plan_dropping(broker, nxt)
    old.close()
    with pytest.raises(ResetRefused, match="to take in"):
        plan_dropping(broker, nxt)
    shoal.settle(new)
    shoal.until(lambda: [new.step(), new.model.took_over][-1], "the new one to take over")
    assert not [one for _, one in shoal.lists(generation=2)]
    assert new.model.clusters.numbering.kept
    shoal.check_profiles_equal(shoal.profiles(), shoal.profiles(generation=2))

    before = set(broker.topics(kafka.prefix))
    events_topic = shoal.topics.events.name
    # Kafka answers a commit before its offsets show.
    shoal.until(
        lambda: (
            broker.committed(f"{kafka.prefix}g2.workers", events_topic)
            == broker.committed(f"{kafka.prefix}g1.workers", events_topic)
        ),
        "offsets of both generations",
    )
    dropping = plan_dropping(broker, nxt)
    drop(broker, dropping)
    assert before - set(broker.topics(kafka.prefix)) == set(dropping.topics)
    assert set(dropping.topics) == {
        f"{kafka.prefix}g1.{name}" for name in ("profiles", "model-updates", "model")
    }
    assert sorted(broker.groups(kafka.prefix)) == [
        f"{kafka.prefix}g2.{role}" for role in ("encoders", "learner", "workers")
    ]
    assert foreign in before & set(broker.topics(kafka.prefix))
    # The new one is none the worse, and publishes.
    shoal.feed(events[:50])
    shoal.until(lambda: [new.step(), shoal.lists(generation=2)][-1], "lists of the new one")
