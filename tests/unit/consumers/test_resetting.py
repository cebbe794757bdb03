"""Generations on a broker in memory: what is created, what is deleted, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from consumers.cli import app
from consumers.resetting import drop, generations, open_generation, plan_dropping, plan_opening
from stream.broker.interface import TopicSpec
from stream.broker.memory import MemoryBroker
from stream.broker.topics import Topics, ensure_topics
from stream.config import KafkaSettings
from stream.errors import ResetRefused

SETTINGS = KafkaSettings(partitions=2)
NEXT = SETTINGS.model_copy(update={"generation": 2})
# Of others, with names that look like ours.
FOREIGN = [
    "shoal.g1.report",
    "shoal.g1.profiles.copy",
    "shoal.g1x.profiles",
    "other.g1.profiles",
    "shoal.g.model",
]


@pytest.fixture
def broker() -> MemoryBroker:
    made = MemoryBroker()
    ensure_topics(made, Topics(SETTINGS), SETTINGS)
    made.create_topics([TopicSpec(name, 1) for name in FOREIGN])
    made.publisher().send("shoal.events", [b"%d" % n for n in range(20)], [b"{}"] * 20)
    return made


def read(broker: MemoryBroker, settings: KafkaSettings, records: int, stay: bool = False) -> None:
    """A worker of the generation in ``settings`` that takes in so many records."""
    topics = Topics(settings)
    consumer = broker.subscribe(topics.events.name, topics.group("workers"))
    producer = broker.transactional_producer(topics.transactional_id("w"))
    got = consumer.poll(records, 0.1)
    producer.begin()
    producer.send_offsets(consumer, got.next_offsets())
    producer.commit()
    if not stay:
        consumer.close()


def test_the_next_generation_is_opened_beside_the_old(broker: MemoryBroker) -> None:
    before = set(broker.topics(""))
    opening = plan_opening(broker, SETTINGS)
    assert set(broker.topics("")) == before
    assert (opening.generation, opening.beside, opening.records) == (2, [1], 20)
    open_generation(broker, SETTINGS, opening)
    assert set(broker.topics("")) == before | set(opening.creates)
    assert opening.creates == ["shoal.g2.profiles", "shoal.g2.model-updates", "shoal.g2.model"]
    assert broker.partitions("shoal.g2.profiles") == 2
    assert list(generations(broker, SETTINGS)) == [1, 2]


def test_it_is_opened_once(broker: MemoryBroker) -> None:
    open_generation(broker, SETTINGS, plan_opening(broker, SETTINGS))
    with pytest.raises(ResetRefused, match="generation 2 is open already"):
        plan_opening(broker, SETTINGS)
    assert plan_opening(broker, NEXT).generation == 3


def test_without_a_generation_there_is_nothing_to_stand_beside() -> None:
    with pytest.raises(ResetRefused, match="start a worker"):
        plan_opening(MemoryBroker(), SETTINGS)


def test_the_old_one_is_dropped_when_the_new_has_caught_up_and_nothing_else_is(broker: MemoryBroker) -> None:
    read(broker, SETTINGS, 20)
    others = broker.subscribe("shoal.events", "shoal.g1.report")
    others.close()
    open_generation(broker, SETTINGS, plan_opening(broker, SETTINGS))
    with pytest.raises(ResetRefused, match="20 records"):
        plan_dropping(broker, NEXT)
    read(broker, NEXT, 15)
    with pytest.raises(ResetRefused, match=r"has 5 records of shoal\.events still to take in"):
        plan_dropping(broker, NEXT)
    read(broker, NEXT, 20)
    before = set(broker.topics(""))
    dropping = plan_dropping(broker, NEXT)
    assert set(broker.topics("")) == before
    assert dropping.topics == ["shoal.g1.model", "shoal.g1.model-updates", "shoal.g1.profiles"]
    assert dropping.groups == ["shoal.g1.workers"]
    drop(broker, dropping)
    assert set(broker.topics("")) == before - set(dropping.topics)
    assert broker.groups("") == ["shoal.g1.report", "shoal.g2.workers"]
    with pytest.raises(ResetRefused, match="nothing to drop"):
        plan_dropping(broker, NEXT)
    assert plan_opening(broker, NEXT).generation == 3


def test_old_workers_are_to_be_ended_first(broker: MemoryBroker) -> None:
    open_generation(broker, SETTINGS, plan_opening(broker, SETTINGS))
    read(broker, NEXT, 20)
    read(broker, SETTINGS, 5, stay=True)
    with pytest.raises(ResetRefused, match=r"shoal.g1.workers has 1 members"):
        plan_dropping(broker, NEXT)


def test_a_generation_whose_offsets_are_forgotten_is_caught_up_with_at_the_end(broker: MemoryBroker) -> None:
    open_generation(broker, SETTINGS, plan_opening(broker, SETTINGS))
    read(broker, NEXT, 19)
    with pytest.raises(ResetRefused, match="1 records"):
        plan_dropping(broker, NEXT)
    broker.trim("shoal.events", {p: end for p, (_, end) in broker.offsets("shoal.events").items()})
    assert plan_dropping(broker, NEXT).topics  # what retention took away waits no more


def test_a_generation_that_was_never_begun_replaces_nothing(broker: MemoryBroker) -> None:
    with pytest.raises(ResetRefused, match="generation 7 was never begun"):
        plan_dropping(broker, SETTINGS.model_copy(update={"generation": 7}))


def test_the_command_says_what_it_will_do_and_asks(
    broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def connected(_: object) -> Iterator[MemoryBroker]:
        yield broker

    monkeypatch.setattr("consumers.connect.connected", connected)
    before, run = broker.topics(""), CliRunner().invoke
    refused = run(app, ["reset"], input="n\n")
    assert refused.exit_code == 1
    assert broker.topics("") == before
    assert "about 20 records" in refused.output
    assert "shoal.g2.model-updates" in refused.output
    opened = run(app, ["reset"], input="y\n")
    assert opened.exit_code == 0
    assert "kafka.generation = 2" in opened.output
    assert "shoal.g2.profiles" in broker.topics("")

    dropping = ["--set", "kafka.generation=2", "reset", "--drop-old"]
    early = run(app, [*dropping, "--yes"])
    assert early.exit_code == 1
    assert "still to take in" in early.output
    read(broker, NEXT, 20)
    read(broker, NEXT, 20)
    refused = run(app, dropping, input="n\n")
    assert refused.exit_code == 1
    assert "shoal.g1.profiles" in broker.topics("")
    assert run(app, [*dropping, "--yes"]).exit_code == 0
    assert "shoal.g1.profiles" not in broker.topics("")
