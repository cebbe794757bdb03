"""Profiles of users who have been idle for longer than their time to live."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from consumers.serialising import SWEEP_EVERY_S
from consumers.worker import Worker
from stream.broker.interface import Records
from stream.broker.memory import MemoryBroker
from stream.broker.topics import Topics, ensure_topics
from stream.clock import ManualClock
from stream.config import Settings
from stream.encoder.hashing import HashingEncoder
from stream.events.schema import EventRecord
from stream.hashing import hash_text

DAY_MS = 86_400_000
START_MS = 1_736_121_600_000


class Ticking(ManualClock):
    """Lets a millisecond pass at each look, so that what waits for time to pass ends."""

    def monotonic(self) -> float:
        self.sleep(0.001)
        return super().monotonic()


@pytest.fixture
def settings(small_settings: Settings) -> Settings:
    profiles = small_settings.profiles.model_copy(update={"ttl_ms": 10 * DAY_MS})
    kafka = small_settings.kafka.model_copy(update={"partitions": 1})
    return small_settings.model_copy(update={"profiles": profiles, "kafka": kafka})


@pytest.fixture
def broker(settings: Settings) -> MemoryBroker:
    broker = MemoryBroker()
    ensure_topics(broker, Topics(settings.kafka), settings.kafka)
    return broker


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for events that are not coming."""
    monkeypatch.setattr("consumers.worker.IDLE_S", 0.002)


@pytest.fixture
def worker(settings: Settings, broker: MemoryBroker) -> Iterator[Worker]:
    worker = Worker(settings, broker, HashingEncoder(32), Ticking())
    yield worker
    worker.close()


def drain(worker: Worker) -> None:
    while worker.step() or worker.lag():
        pass


def visit(broker: MemoryBroker, worker: Worker, user: str, day: float) -> None:
    event = EventRecord(user_id=user, action="view", item_id="i", timestamp=START_MS + round(day * DAY_MS))
    broker.publisher().send(worker.topics.events.name, [event.key()], [event.to_json()])
    drain(worker)


def changelog(broker: MemoryBroker, worker: Worker) -> dict[int, bool]:
    """User -> whether the last record of the changelog is a row."""
    records = Records.concat(
        "", list(broker.reader(worker.topics.profiles.name, "earliest").read_to_end(1.0))
    )
    return {
        int.from_bytes(key or b"", "big"): value is not None
        for key, value in zip(records.keys, records.values, strict=True)
    }


def users(worker: Worker) -> set[int]:
    return set(worker.profiles.rows["user"][: len(worker.profiles)].tolist())


def test_idle_profiles_are_forgotten_and_end_in_the_changelog(broker: MemoryBroker, worker: Worker) -> None:
    ann, bob, eve = (hash_text(name) for name in ("ann", "bob", "eve"))
    visit(broker, worker, "ann", 0)
    visit(broker, worker, "bob", 5)
    visit(broker, worker, "eve", 11)
    assert users(worker) == {ann, bob, eve}  # not looked yet
    worker.clock.sleep(SWEEP_EVERY_S)
    visit(broker, worker, "eve", 11.5)
    assert users(worker) == {bob, eve}
    assert changelog(broker, worker) == {ann: False, bob: True, eve: True}


def test_who_comes_back_with_a_late_event_is_not_forgotten(broker: MemoryBroker, worker: Worker) -> None:
    visit(broker, worker, "ann", 0)
    visit(broker, worker, "eve", 11)
    worker.clock.sleep(SWEEP_EVERY_S)
    visit(broker, worker, "ann", 0.5)
    assert users(worker) == {hash_text("ann"), hash_text("eve")}


def test_a_profile_that_ended_starts_anew(settings: Settings, broker: MemoryBroker, worker: Worker) -> None:
    visit(broker, worker, "ann", 0)
    visit(broker, worker, "eve", 20)
    worker.clock.sleep(SWEEP_EVERY_S)
    visit(broker, worker, "eve", 20.1)
    worker.close()
    again = Worker(settings, broker, HashingEncoder(32), Ticking())
    drain(again)
    assert users(again) == {hash_text("eve")}
    visit(broker, again, "ann", 21)
    assert again.profiles.rows["user_seq"][: len(again.profiles)].tolist() == [2, 1]
    again.close()
