"""What the worker does when something round it fails: on a broker in memory, with a learner that does as it is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from consumers.worker import Worker
from producers.synthetic import SyntheticLog, SyntheticSettings
from stream.broker.memory import MemoryBroker
from stream.broker.topics import Topics, ensure_topics
from stream.clock import SystemClock
from stream.config import Settings
from stream.encoder.hashing import HashingEncoder
from stream.entries import Trained, decode_entry
from stream.errors import BrokerError, BrokerUnavailable, FormatError
from stream.events.schema import EventRecord
from stream.learner import Learner
from stream.model import Model
from stream.wire import Assembler


@pytest.fixture(scope="module")
def events() -> list[EventRecord]:
    return list(SyntheticLog(SyntheticSettings(users=50, items=60, events=1_000, seed=3)).events())


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for what is not coming."""
    monkeypatch.setattr("consumers.worker.IDLE_S", 0.002)
    monkeypatch.setattr("consumers.processing.OWN_DELTA_S", 0.01)


@pytest.fixture
def settings(small_settings: Settings) -> Settings:
    kafka = small_settings.kafka.model_copy(update={"partitions": 2})
    return small_settings.model_copy(update={"kafka": kafka})


@pytest.fixture
def broker(settings: Settings) -> MemoryBroker:
    made = MemoryBroker()
    ensure_topics(made, Topics(settings.kafka), settings.kafka)
    return made


@pytest.fixture
def feed(broker: MemoryBroker, settings: Settings) -> Callable[[list[EventRecord]], None]:
    def send(events: list[EventRecord]) -> None:
        topic = Topics(settings.kafka).events.name
        broker.publisher().send(topic, [e.key() for e in events], [e.to_json() for e in events])

    return send


@pytest.fixture
def make(broker: MemoryBroker, settings: Settings) -> Iterator[Callable[..., Worker]]:
    made: list[Worker] = []

    def worker(clock: Any = None, **changes: Any) -> Worker:
        changed = settings.model_copy(update={"worker": settings.worker.model_copy(update=changes)})
        made.append(Worker(changed, broker, HashingEncoder(32), clock or SystemClock()))
        return made[-1]

    yield worker
    for one in made:
        one.close()


def decisions(broker: MemoryBroker, settings: Settings) -> list[int]:
    """Numbers of the decisions that stand in the model log, in its order."""
    assembler = Assembler()
    reader = broker.reader(Topics(settings.kafka).model_updates.name, "earliest")
    wholes = [assembler.add(v or b"") for records in reader.read_to_end(1.0) for v in records.values]
    entries = [decode_entry(whole.data) for whole in wholes if whole is not None]
    return [entry.sequence for entry in entries if hasattr(entry, "sequence")]


def drain(worker: Worker) -> None:
    """Let ``worker`` do all there is to do, until it has looked twice and found nothing."""
    idle = 0
    while idle < 3:
        idle = 0 if worker.step() else idle + 1
        # As long as kernels take to be compiled, where they are not yet.
        assert worker._lane.wait(120.0) or not worker._lane.busy


class Obedient(Learner):
    """Decides so many times, and never again: as a drift is noticed once."""

    def __init__(self, left: int) -> None:
        self.left = left

    def decide(self, model: Model) -> Trained | None:
        if not self.left:
            return None
        self.left -= 1
        return Trained(model.decisions, model.ranker, 0)


def test_all_decisions_that_are_due_are_written_in_one_round(
    make: Callable[..., Worker], broker: MemoryBroker, settings: Settings
) -> None:
    worker = make()
    worker._processor._deciding._learner = Obedient(3)
    drain(worker)
    assert decisions(broker, settings) == [0, 1, 2]
    assert worker.model.decisions == 3


def test_a_decision_whose_commit_was_aborted_is_written_in_the_next_round(
    make: Callable[..., Worker], broker: MemoryBroker, settings: Settings
) -> None:
    worker = make()
    worker._processor._deciding._learner = Obedient(1)
    broker.refuse_commits = 1
    drain(worker)
    assert broker.refuse_commits == 0
    drain(worker)
    assert decisions(broker, settings) == [0]


def test_commits_that_are_refused_again_and_again_stop_the_worker(
    make: Callable[..., Worker],
    broker: MemoryBroker,
    settings: Settings,
    feed: Callable[[list[EventRecord]], None],
    events: list[EventRecord],
) -> None:
    worker = make()
    feed(events[:100])
    broker.refuse_commits = 1_000
    with pytest.raises(BrokerError, match="11 commits one after the other were aborted, the last one since"):
        drain(worker)
    assert not worker.profiles._open
    assert len(worker.profiles) == 0
    lists = broker.reader(Topics(settings.kafka).recommendations.name, "earliest")
    assert sum(map(len, lists.read_to_end(1.0))) == 0


def test_a_decision_that_somebody_else_made_meanwhile_is_dropped(
    make: Callable[..., Worker], broker: MemoryBroker, settings: Settings
) -> None:
    worker = make()
    worker._processor._deciding._learner = Obedient(1)
    settle = worker._processor.settle

    def settle_after_another(*args: Any) -> Any:
        worker.model.decisions += 1
        return settle(*args)

    worker._processor.settle = settle_after_another  # type: ignore[method-assign]
    broker.refuse_commits = 1
    drain(worker)
    drain(worker)
    assert broker.refuse_commits == 0
    assert decisions(broker, settings) == []


def test_nothing_is_decided_twice_while_the_model_log_is_held_back(
    make: Callable[..., Worker],
    broker: MemoryBroker,
    settings: Settings,
    feed: Callable[[list[EventRecord]], None],
    events: list[EventRecord],
) -> None:
    worker = make(micro_batch=50)
    feed(events[:200])
    drain(worker)
    dead = broker.transactional_producer("somebody who died")
    dead.begin()
    dead.send(Topics(settings.kafka).model_updates.name, 0, [None], [b"never read"])
    version = worker.model.version
    worker._processor._deciding._learner = Obedient(1_000)
    feed(events[200:400])
    drain(worker)
    lists = broker.offsets(Topics(settings.kafka).recommendations.name)
    assert sum(end for _, end in lists.values()) > 0
    assert worker.lag() == 0  # lists are made all the same
    assert worker.model.version == version
    assert worker._processor.model_lag.offsets > 1  # more than what the dead one has left
    assert worker._processor.model_lag.ms > 0
    dead.abort()
    written = decisions(broker, settings)
    assert written == sorted(set(written))
    worker._processor._deciding._learner = Obedient(0)
    drain(worker)
    assert worker.model.version > version
    assert worker._processor.model_lag.offsets == worker._processor.model_lag.ms == 0


def test_records_of_revoked_partitions_are_not_processed(
    make: Callable[..., Worker], feed: Callable[[list[EventRecord]], None], events: list[EventRecord]
) -> None:
    worker = make(linger_ms=0)
    drain(worker)
    feed(events[:100])
    worker._collector.add(worker._consumer.poll(1_000, 0.0))
    worker.revoked([0])
    assert np.unique(worker._collector.take(0.0).partition).tolist() == [1]
    assert worker._epochs.keys() == {1}


def test_what_fails_while_partitions_come_ends_the_run(
    make: Callable[..., Worker],
    broker: MemoryBroker,
    settings: Settings,
    feed: Callable[[list[EventRecord]], None],
    events: list[EventRecord],
) -> None:
    feed(events[:100])
    worker = make()
    producer = broker.transactional_producer("another version")
    producer.begin()
    producer.send(Topics(settings.kafka).profiles.name, 1, [b"12345678"], [b"another format"])
    producer.commit()
    with pytest.raises(FormatError, match=r"start a new kafka\.generation"):
        worker.run(threading.Event(), idle_s=0.1)
    assert broker.offsets(Topics(settings.kafka).recommendations.name) == {0: (0, 0), 1: (0, 0)}


def test_the_time_that_a_restore_takes_is_not_idle(
    make: Callable[..., Worker],
    feed: Callable[[list[EventRecord]], None],
    events: list[EventRecord],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = make()
    restore = worker._processor.restore

    def slow() -> Any:
        time.sleep(0.5)
        return restore()

    monkeypatch.setattr(worker._processor, "restore", slow)
    feed(events[:100])
    worker.run(threading.Event(), idle_s=0.2)
    assert worker.model.counts["records"] == 100


def test_close_closes_all_whatever_fails(
    make: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = make()
    drain(worker)
    closed: list[str] = []

    def closing(name: str, fails: bool) -> Callable[[], None]:
        def close() -> None:
            closed.append(name)
            if fails:
                raise BrokerUnavailable(f"{name} is away")

        return close

    for name in ("_consumer", "_learner", "_producer", "_processor"):
        fails = name in ("_consumer", "_producer")
        monkeypatch.setattr(getattr(worker, name), "close", closing(name, fails))
    with pytest.raises(BrokerUnavailable, match="_consumer"):
        worker.close()
    assert closed == ["_consumer", "_learner", "_producer", "_processor"]
    monkeypatch.undo()
