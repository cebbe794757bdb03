from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from producers.replay import CHECKPOINT_EVERY, replay
from stream.broker.interface import Records, TopicSpec
from stream.broker.memory import MemoryBroker
from stream.clock import ManualClock
from stream.errors import BrokerUnavailable, ConfigError, InputError
from stream.events.schema import EventRecord

MS = 1_736_150_400_000


class FakePublisher:
    """Remembers what was sent, and when; fails where told to."""

    def __init__(self, clock: ManualClock, send_takes: float = 0.0) -> None:
        self.clock = clock
        self.send_takes = send_takes
        self.sent: list[tuple[bytes | None, bytes | None]] = []
        self.at: list[float] = []
        self.stored = 0
        self.flushes_left = 10**9

    def send(self, topic: str, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> None:
        assert topic == "events"
        self.clock.sleep(self.send_takes)
        self.sent += zip(keys, values, strict=True)
        self.at += [self.clock.monotonic()] * len(keys)

    def flush(self, timeout: float) -> None:
        if self.flushes_left == 0:
            raise BrokerUnavailable("down")
        self.flushes_left -= 1
        self.stored = len(self.sent)

    def close(self) -> None:
        self.flush(0)


def events(n: int, every_ms: int = 1_000) -> list[EventRecord]:
    return [
        EventRecord(user_id=f"u{i}", action="view", item_id="i", timestamp=MS + i * every_ms)
        for i in range(n)
    ]


def chunks(log: list[EventRecord], size: int = 10) -> list[list[EventRecord]]:
    return [log[i : i + size] for i in range(0, len(log), size)]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_everything_is_sent_in_order_keyed_by_who_it_was(clock: ManualClock) -> None:
    log = [
        EventRecord(user_id="ü", anonymous_id="a", action="view", timestamp=MS),
        EventRecord(anonymous_id="a", action="view", timestamp=MS),
        EventRecord(action="view", timestamp=MS),
    ]
    publisher = FakePublisher(clock)
    assert replay(publisher, "events", [log], clock=clock) == 3
    assert [key for key, _ in publisher.sent] == ["ü".encode(), b"a", None]
    assert [value for _, value in publisher.sent] == [event.to_json() for event in log]
    assert publisher.stored == 3


def test_as_fast_as_possible_never_sleeps(clock: ManualClock) -> None:
    replay(FakePublisher(clock), "events", chunks(events(100)), clock=clock)
    assert clock.monotonic() == 0


@pytest.mark.parametrize("speed", [1.0, 60.0])
def test_events_come_when_they_are_due_and_not_before(clock: ManualClock, speed: float) -> None:
    publisher = FakePublisher(clock)
    replay(publisher, "events", chunks(events(50, every_ms=30_000)), clock=clock, speed=speed)
    due = [i * 30 / speed for i in range(50)]
    late = [at - expected for at, expected in zip(publisher.at, due, strict=True)]
    assert min(late) > -1e-6
    assert max(late) < 0.02


def test_a_replay_that_falls_behind_catches_up(clock: ManualClock) -> None:
    publisher = FakePublisher(clock, send_takes=0.5)
    replay(publisher, "events", chunks(events(100, every_ms=100)), clock=clock, speed=1.0)
    assert len(publisher.sent) == 100
    assert publisher.at[-1] < 9.9 + 2 * 0.5


def test_progress_is_told(clock: ManualClock) -> None:
    heard: list[tuple[int, int]] = []
    replay(
        FakePublisher(clock),
        "events",
        chunks(events(25)),
        clock=clock,
        on_progress=lambda n, at: heard.append((n, at)),
    )
    assert heard == [(10, MS + 9_000), (20, MS + 19_000), (25, MS + 24_000)]


def test_a_replay_goes_on_where_it_was(clock: ManualClock, tmp_path: Path) -> None:
    log, checkpoint = events(60), tmp_path / "deep" / "replay.json"
    first = FakePublisher(clock, send_takes=CHECKPOINT_EVERY)
    first.flushes_left = 3
    with pytest.raises(BrokerUnavailable):
        replay(first, "events", chunks(log), clock=clock, checkpoint=checkpoint)
    assert first.stored == 30
    second = FakePublisher(clock)
    heard: list[int] = []
    sent = replay(
        second,
        "events",
        chunks(log),
        clock=clock,
        checkpoint=checkpoint,
        on_progress=lambda n, _: heard.append(n),
    )
    assert sent == 30
    assert first.sent[: first.stored] + second.sent == [(e.key(), e.to_json()) for e in log]
    assert heard == [40, 50, 60]
    assert replay(second, "events", chunks(log), clock=clock, checkpoint=checkpoint) == 0


def test_a_checkpoint_never_counts_what_is_not_stored(clock: ManualClock, tmp_path: Path) -> None:
    publisher = FakePublisher(clock)
    publisher.flushes_left = 0
    with pytest.raises(BrokerUnavailable):
        replay(publisher, "events", chunks(events(20)), clock=clock, checkpoint=tmp_path / "c")
    assert len(publisher.sent) == 20
    assert not (tmp_path / "c").exists()


def test_chunks_of_other_sizes_do_not_matter(clock: ManualClock, tmp_path: Path) -> None:
    log = events(25)
    replay(FakePublisher(clock), "events", chunks(log[:13]), clock=clock, checkpoint=tmp_path / "c")
    publisher = FakePublisher(clock)
    assert replay(publisher, "events", chunks(log, 4), clock=clock, checkpoint=tmp_path / "c") == 12
    assert publisher.sent[0][0] == b"u13"


def test_a_gap_keeps_the_checkpoint_going(clock: ManualClock, tmp_path: Path) -> None:
    log = [events(1)[0], EventRecord(action="view", timestamp=MS + 3_600_000)]
    publisher = FakePublisher(clock)
    publisher.flushes_left = 1
    with pytest.raises(BrokerUnavailable):  # at the second, within the gap
        replay(publisher, "events", [log], clock=clock, speed=1.0, checkpoint=tmp_path / "c")
    assert clock.monotonic() < 5
    assert b'"position":1' in (tmp_path / "c").read_bytes()


def test_the_checkpoint_of_another_log_is_refused(clock: ManualClock, tmp_path: Path) -> None:
    checkpoint = tmp_path / "c"
    replay(FakePublisher(clock), "events", chunks(events(20)), clock=clock, checkpoint=checkpoint)
    for other, message in (
        (events(30, every_ms=7), "event 20 is another one"),
        (events(5), "20 events into its log"),
    ):
        with pytest.raises(InputError, match=message):
            replay(FakePublisher(clock), "events", chunks(other), clock=clock, checkpoint=checkpoint)
    checkpoint.write_text("{")
    with pytest.raises(InputError, match="delete it"):
        replay(FakePublisher(clock), "events", chunks(events(5)), clock=clock, checkpoint=checkpoint)


def test_speed_must_be_positive(clock: ManualClock) -> None:
    with pytest.raises(ConfigError, match="above 0"):
        replay(FakePublisher(clock), "events", [], clock=clock, speed=0)


def test_into_a_log(clock: ManualClock) -> None:
    broker = MemoryBroker(clock)
    broker.create_topics([TopicSpec("events", 3)])
    publisher = broker.publisher()
    log = [
        EventRecord(user_id=f"u{i % 5}", action="view", item_id=str(i), timestamp=MS + i) for i in range(40)
    ]
    assert replay(publisher, "events", chunks(log), clock=clock) == 40
    reader = broker.reader("events", "earliest")
    values = [value for part in reader.read_to_end(1.0) for value in part.values]
    assert sorted(v for v in values if v) == sorted(event.to_json() for event in log)


class Killed(BaseException):
    """What a process does not live to see."""


def test_a_replay_that_was_killed_sends_nothing_twice(clock: ManualClock, tmp_path: Path) -> None:
    # Two events are alike to the byte, and both are meant.
    log = [EventRecord(user_id="u", action="view", item_id="i", timestamp=MS + i // 2) for i in range(100)]
    broker = MemoryBroker(clock)
    broker.create_topics([TopicSpec("events", 3)])
    publisher = broker.publisher()

    def run(kill_at: int | None) -> None:
        def progress(position: int, time: int) -> None:
            clock.sleep(CHECKPOINT_EVERY / 3)  # a checkpoint after every third chunk
            if kill_at is not None and position >= kill_at:
                raise Killed

        replay(
            publisher, "events", chunks(log, 7),
            clock=clock, checkpoint=tmp_path / "c", broker=broker, on_progress=progress,
        )  # fmt: skip

    for kill_at in (7, 50, 98):
        with pytest.raises(Killed):
            run(kill_at)
        # Somebody else's events are no reason to leave ours out.
        publisher.send("events", [b"x"], [b"another's"])
    run(None)
    records = Records.concat("events", list(broker.reader("events", "earliest").read_to_end(1.0)))
    ours = [value for value in records.values if value != b"another's"]
    assert sorted(ours) == sorted(event.to_json() for event in log)
