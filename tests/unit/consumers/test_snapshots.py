"""Snapshots of the model on a broker in memory: written, found again, left aside where torn, and trimmed behind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import structlog

from consumers.following import EntryReader, EntryWriter, ModelFollower
from consumers.snapshots import SnapshotWriter, free_slot, load_newest, manifests
from consumers.status import TallyReader
from producers.synthetic import SyntheticLog, SyntheticSettings
from stream import snapshot
from stream.broker.memory import MemoryBroker
from stream.broker.topics import Topics, ensure_topics
from stream.clock import ManualClock
from stream.config import Settings, SnapshotSettings
from stream.encoder.hashing import HashingEncoder
from stream.entries import Entry, encode_entry
from stream.errors import BrokerUnavailable, FormatError, OffsetOutOfRange
from stream.evaluation.prequential import Evaluation
from stream.hashing import HashIndex
from stream.model import Model
from stream.wire import split

DIMENSIONS = 32


@pytest.fixture(scope="module")
def evaluated(small_settings: Settings) -> Evaluation:
    worker = small_settings.worker.model_copy(update={"micro_batch": 50, "learn_every": 300})
    settings = small_settings.model_copy(update={"worker": worker})
    log = SyntheticLog(SyntheticSettings(users=60, items=60, events=1_500, seed=8))
    run = Evaluation(settings, HashingEncoder(DIMENSIONS), log.items)
    run.run(list(log.events()), "count")
    return run


class Service:
    """A model log that is written entry by entry, and who follows it and writes snapshots."""

    def __init__(self, settings: Settings, entries: list[Entry]) -> None:
        self.settings, self.entries = settings, entries
        self.clock = ManualClock()
        self.broker, self.topics = MemoryBroker(self.clock), Topics(settings.kafka)
        ensure_topics(self.broker, self.topics, settings.kafka)
        self.shape = snapshot.shape_of(settings, "e")
        self.follower = ModelFollower(self.broker, self.topics, self.fresh())
        self.writer = self.new_writer()
        self.written = 0  # entries

    def fresh(self) -> Model:
        return Model(self.settings, HashIndex(), DIMENSIONS)

    def new_writer(self, entries: int = 1_000_000) -> SnapshotWriter:
        settings = SnapshotSettings(every_ms=60_000, entries=entries)
        return SnapshotWriter(self.broker, self.topics, settings, self.shape, self.clock)

    def publish(self, topic: str, keys: list[bytes | None], values: list[bytes | None]) -> None:
        self.broker.publisher().send(topic, keys, values)

    def write_entries(self, n: int) -> None:
        sender = EntryWriter("w")
        sender.sequence = self.written - 1
        for entry in self.entries[self.written : self.written + n]:
            parts = sender.parts(entry)
            self.publish(self.topics.model_updates.name, [None] * len(parts), parts)
        self.written += n
        self.follower.catch_up()

    def take(self) -> None:
        """A snapshot, now."""
        self.clock.sleep(61)
        self.writer.attend(self.follower.model, self.follower.start())
        self.wait()

    def wait(self) -> None:
        assert self.writer._lane.busy
        assert self.writer._lane.wait(120.0)
        self.writer._hear()

    def load(self, **changes: Any) -> ModelFollower | None:
        found = load_newest(self.broker, self.topics, self.shape | changes, self.fresh())
        return ModelFollower(self.broker, self.topics, found.model, found.start) if found else None

    def check_loads(self, version: int) -> None:
        """The snapshot of ``version`` is found, and with the rest of the log it is the model."""
        follower = self.load()
        assert follower is not None
        assert follower.model.version == version
        follower.catch_up()
        assert written(follower.model) == written(self.follower.model)


def written(model: Model) -> bytes:
    return snapshot.write(snapshot.freeze(model))


@pytest.fixture
def service(evaluated: Evaluation) -> Service:
    return Service(evaluated.settings, evaluated.log.entries)


def test_without_snapshots_the_log_is_read_from_its_beginning(service: Service) -> None:
    service.write_entries(3)
    assert service.load() is None


def test_a_snapshot_and_the_rest_of_the_log_are_the_model(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "consumers.snapshots.split", lambda *args: split(*args, limit=10_000)
    )  # in many parts
    service.write_entries(10)
    service.take()
    service.check_loads(version=9)
    service.write_entries(10)
    service.check_loads(version=9)
    service.take()
    service.write_entries(3)
    service.check_loads(version=19)


def test_the_log_is_trimmed_up_to_the_snapshot_before_the_last(service: Service) -> None:
    first = []
    for _ in range(4):
        service.write_entries(5)
        service.take()
        first.append(service.broker.offsets(service.topics.model_updates.name)[0][0])
    assert first == [0, 5, 10, 15]
    assert [m.version for m in manifests(service.broker, service.topics)] == [19, 14, 9]
    service.check_loads(version=19)


def test_a_torn_snapshot_is_left_aside_for_the_one_before(service: Service) -> None:
    for _ in range(2):
        service.write_entries(5)
        service.take()
    newest = manifests(service.broker, service.topics)[0]
    # As if it had been written, all but its parts: these are of another.
    torn = replace(newest, slot=2, version=99, name="torn", after=newest.after)
    key, value = b"2", snapshot.write_manifest(torn)
    service.publish(service.topics.model.name, [b"2/0", key], [split("torn", 0, b"damaged")[0], value])
    with structlog.testing.capture_logs() as said:
        service.check_loads(version=9)
    assert [(line["event"], line["version"]) for line in said if "snapshot" in line["event"]] == [
        ("snapshot left aside", 99)
    ]
    # The next is written in the place of the torn one, and all is well again.
    service.write_entries(2)
    service.take()


def test_parts_that_are_missing_are_noticed(service: Service) -> None:
    service.write_entries(5)
    service.take()
    whole = manifests(service.broker, service.topics)[0]
    lost = replace(whole, slot=1, version=50, after=service.broker.offsets(service.topics.model.name)[0][1])
    service.publish(service.topics.model.name, [b"1"], [snapshot.write_manifest(lost)])
    service.publish(service.topics.model.name, [b"2"], [b"no manifest"])
    service.check_loads(version=4)


def test_a_snapshot_with_other_settings_is_left_aside(service: Service) -> None:
    service.write_entries(5)
    service.take()
    with structlog.testing.capture_logs() as said:
        assert service.load(**{"recommending.neighbours": 99}) is None
    assert "recommending.neighbours" in said[0]["reason"]


def test_a_trimmed_log_without_a_snapshot_is_refused_with_what_to_do(service: Service) -> None:
    for _ in range(2):
        service.write_entries(5)
        service.take()
    with pytest.raises(FormatError, match=r"begins at offset 5.*neighbours.*shoal reset"):
        service.load(**{"recommending.neighbours": 99})


def test_a_snapshot_of_a_log_that_was_deleted_is_left_aside(service: Service) -> None:
    service.write_entries(5)
    service.take()
    service.broker.delete_topics([service.topics.model_updates.name])
    ensure_topics(service.broker, service.topics, service.settings.kafka)
    with structlog.testing.capture_logs() as said:
        assert service.load() is None
    assert "another model log" in said[0]["reason"]


def test_entries_under_way_at_the_snapshot_are_read_again(service: Service) -> None:
    """Parts of two senders may alternate: where to read on is the first part of what is not whole."""
    log = service.topics.model_updates.name
    service.write_entries(4)
    size = 1 + len(encode_entry(service.entries[4])) // 2
    early = split("early", 0, encode_entry(service.entries[4]), size)
    late = split("late", 0, encode_entry(service.entries[5]), 1 + len(encode_entry(service.entries[5])) // 2)
    assert len(early) == len(late) == 2
    # early 0, late 0, late 1 | snapshot | early 1
    service.publish(log, [None] * 3, [early[0], late[0], late[1]])
    service.follower.catch_up()
    service.take()
    (manifest,) = manifests(service.broker, service.topics)
    assert (manifest.version, manifest.start) == (6, 4)
    service.publish(log, [None], [early[1]])
    service.follower.catch_up()
    service.check_loads(version=6)
    # And one that has lost its beginning is known to be in the model: late 0 | start | late 1
    service.broker.trim(log, {0: 4})
    follower = ModelFollower(service.broker, service.topics, service.follower.model, 6)
    follower.catch_up()
    assert follower.model.version == 7


def test_it_is_time_by_entries_or_by_minutes_and_only_with_something_new(service: Service) -> None:
    writer, model = service.new_writer(entries=8), service.follower.model
    writer.note(model.version)
    service.write_entries(7)
    assert not writer.is_due(model)
    service.write_entries(1)
    assert writer.is_due(model)
    writer.note(model.version)
    service.clock.sleep(61)
    assert not writer.is_due(model)
    service.write_entries(1)
    assert writer.is_due(model)


def test_errors_of_writing_come_out_save_that_the_broker_was_away(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error, raised in ((BrokerUnavailable("away"), False), (ValueError("a fault"), True)):

        def fail(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr("stream.snapshot.write", fail)
        service.write_entries(1)
        if raised:
            with pytest.raises(ValueError, match="a fault"):
                service.take()
        else:
            service.take()
    monkeypatch.undo()
    service.write_entries(1)
    service.take()
    service.check_loads(version=2)
    service.writer.close()


def test_a_follower_that_was_cut_off_hears_of_it(service: Service) -> None:
    late = ModelFollower(service.broker, service.topics, service.fresh())
    for _ in range(3):
        service.write_entries(5)
        service.take()
    with pytest.raises(OffsetOutOfRange):
        late.poll(0.0)
    with pytest.raises(OffsetOutOfRange):
        EntryReader(service.broker, service.topics)


def test_sums_go_on_from_the_snapshot_of_what_was_trimmed(service: Service) -> None:
    for _ in range(2):
        service.write_entries(12)
        service.take()
    service.write_entries(3)
    tally, model = TallyReader(service.broker, service.topics).catch_up(), service.follower.model
    assert tally.counts == model.counts
    assert tally.positions == model.positions
    assert tally.labels == model.clusters.labels
    assert tally.decisions == model.decided
    assert tally.version == model.version


def test_the_oldest_place_is_written_next(service: Service) -> None:
    taken = []
    for _ in range(5):
        service.write_entries(1)
        service.take()
        whole = manifests(service.broker, service.topics)
        taken.append(whole[0].slot)
    assert taken == [0, 1, 2, 0, 1]
    assert free_slot(whole) == 2
