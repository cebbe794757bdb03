"""Copies of profiles on this machine, with the changelog's tail, are what the changelog says, whoever wrote in it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.local_profiles import ASK_EVERY_S, MOST_AGE_MS, LocalProfiles
from stream.broker.memory import MemoryBroker
from stream.broker.topics import Topics, ensure_topics
from stream.clock import ManualClock
from stream.config import Settings, SnapshotSettings
from stream.profiles.layout import RowLayout
from stream.profiles.table import ProfileTable

LAYOUT = RowLayout(dimensions=2, history=1, event_ids=1, list_length=1, encoder=7, generation=1)
EVERY_S = 60


class Log:
    """A changelog with two partitions."""

    def __init__(self, directory: Path | None) -> None:
        self.clock = ManualClock()
        self.broker, self.topics = MemoryBroker(self.clock), Topics(Settings().kafka)
        ensure_topics(self.broker, self.topics, Settings().kafka)
        self.settings = SnapshotSettings(directory=directory, every_ms=EVERY_S * 1000)
        self.producer = self.broker.transactional_producer("w")

    def owner(self, *partitions: int) -> Owner:
        return Owner(self, *partitions)

    def newest(self, partition: int) -> dict[bytes, bytes]:
        reader = self.broker.reader(self.topics.profiles.name, {partition: 0})
        rows: dict[bytes, bytes] = {}
        for records in reader.read_to_end(1.0):
            for key, value in zip(records.keys, records.values, strict=True):
                rows.pop(key or b"", None)
                if value is not None:
                    rows[key or b""] = value
        return rows


class Owner:
    """Who has the profiles of some partitions, restored as a worker restores them."""

    def __init__(self, log: Log, *partitions: int) -> None:
        self.log = log
        self.table = ProfileTable(LAYOUT)
        self.local = LocalProfiles(log.broker, log.topics, self.table, log.settings, "w", log.clock)
        self.started = self.local.load(partitions)
        reader = log.broker.reader(log.topics.profiles.name, self.started)
        self.read = 0
        for records in reader.read_to_end(1.0):
            self.read += len(records)
            for p in np.unique(records.partition):
                part = records.select(records.partition == p)
                self.table.restore(int(p), part.keys, part.values)
        self.local.restored(reader.positions())

    def commit(self, partition: int, *users: int) -> None:
        """A batch with events of ``users``."""
        hashes = np.array(users, np.uint64)
        self.table.begin()
        rows = self.table.gather(hashes, np.full(len(users), partition, np.int32))
        self.table.rows["events"][rows] += 1
        self._write(partition, self.table.keys(rows), self.table.serialise(rows))
        self.table.commit()
        self.local.committed([partition])

    def forget(self, partition: int, user: int) -> None:
        self.table.begin()
        rows = self.table.gather(np.array([user], np.uint64), np.array([partition], np.int32))
        self._write(partition, self.table.keys(rows), [None])
        self.table.commit()
        self.table.forget(rows)
        self.local.committed([partition])

    def _write(self, partition: int, keys: list[bytes | None], values: list[bytes | None]) -> None:
        self.log.producer.begin()
        self.log.producer.send(self.log.topics.profiles.name, partition, keys, values)
        self.log.producer.commit()

    def wait(self) -> None:
        if self.local._lane.busy:
            assert self.local._lane.wait(120.0)
            assert self.local._is_free()

    def leave(self, *partitions: int) -> None:
        self.local.leave(partitions)
        self.table.drop(partitions)
        self.wait()

    def check(self, partition: int) -> None:
        rows = self.table.rows[self.table.rows_of(partition)]
        found = {int(row["user"]).to_bytes(8, "big"): row.tobytes() for row in rows}
        assert found == self.log.newest(partition)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


@pytest.fixture(autouse=True)
def in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies are taken in pieces, between which others come and go."""
    monkeypatch.setattr("consumers.local_profiles.CHUNK", 2)


def test_who_leaves_and_comes_back_reads_only_the_tail(log: Log) -> None:
    owner = log.owner(0, 1)
    for user in range(1, 101):
        owner.commit(0, user)
    log.clock.sleep(ASK_EVERY_S)
    owner.commit(0, 7)  # the end is asked for behind it
    owner.commit(0, 8)  # and this shows that the partition was ours
    owner.local.close()
    again = log.owner(0, 1)
    assert again.read == 1
    again.check(0)
    again.check(1)


def test_without_a_directory_all_is_read_again() -> None:
    log = Log(None)
    owner = log.owner(0)
    log.clock.sleep(EVERY_S)
    for user in range(1, 11):
        owner.commit(0, user)
    owner.local.close()
    assert log.owner(0).read == 10


def test_copies_are_written_now_and_then_one_partition_at_a_time(log: Log) -> None:
    owner = log.owner(0, 1)
    for _ in range(3):
        log.clock.sleep(ASK_EVERY_S)
        owner.commit(0, 1)
        owner.commit(1, 2)
    assert not list(Path(log.settings.directory or "").iterdir())
    log.clock.sleep(EVERY_S)
    owner.commit(0, 1)
    owner.wait()
    assert len(list(Path(log.settings.directory or "").iterdir())) == 1
    owner.commit(0, 1)
    owner.wait()
    assert len(list(Path(log.settings.directory or "").iterdir())) == 2
    again = log.owner(0, 1)
    assert 0 < again.read < 9
    again.check(0)
    again.check(1)


def test_one_who_does_not_know_that_it_was_replaced_leaves_no_copy_that_misses_rows(log: Log) -> None:
    zombie = log.owner(0)
    zombie.commit(0, 1)
    other = log.owner(0)
    other.commit(0, 2)
    log.clock.sleep(EVERY_S + ASK_EVERY_S)
    zombie.local.committed([])  # asks for the end, behind the other's row
    other.commit(0, 3)
    zombie.leave(0)
    log.owner(0).check(0)


def test_a_row_that_was_deleted_stays_deleted(log: Log) -> None:
    owner = log.owner(0)
    owner.commit(0, 1, 2)
    log.clock.sleep(ASK_EVERY_S)
    owner.commit(0, 2)
    owner.commit(0, 2)
    owner.forget(0, 1)
    owner.leave(0)
    log.owner(0).check(0)


def test_a_copy_under_way_of_a_partition_that_goes_is_given_up(log: Log, tmp_path: Path) -> None:
    owner = log.owner(0)
    owner.commit(0, *range(1, 10))
    log.clock.sleep(EVERY_S)
    owner.commit(0, 1)  # begins a copy, in pieces of two
    owner.wait()
    assert owner.local._copying is not None
    held = threading.Event()
    owner.local._lane.start(lambda: held.wait(10.0) and None)  # the disk is slow
    patience = "consumers.local_profiles.CLOSE_S"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patience, 0.01)
        owner.local.leave([0])
    owner.table.drop([0])
    assert owner.local._copying is None
    held.set()
    for _ in range(10):
        owner.wait()
        owner.local.committed([0])
    assert not [file for file in tmp_path.iterdir() if file.suffix == ".rows"]
    log.owner(0).check(0)


def say(log: Log, *partitions: int) -> list[str]:
    with structlog.testing.capture_logs() as said:
        owner = log.owner(*partitions)
    for partition in partitions:
        owner.check(partition)
    return [line["reason"] for line in said if line["log_level"] == "warning"]


def test_what_is_wrong_with_a_copy_is_said_and_the_changelog_is_read(log: Log, tmp_path: Path) -> None:
    owner = log.owner(0)
    owner.commit(0, 1, 2)
    owner.leave(0)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-3])
    assert "bytes" in say(log, 0)[0] or "end" in say(log, 0)[0]
    file.write_bytes(whole)
    assert say(log, 0) == []
    log.clock.sleep(MOST_AGE_MS / 1000 + 1)
    assert "too old" in say(log, 0)[0]


def test_a_copy_of_a_changelog_that_was_deleted_is_left_aside(log: Log) -> None:
    owner = log.owner(0)
    owner.commit(0, 1, 2)
    owner.leave(0)
    log.broker.delete_topics([log.topics.profiles.name])
    ensure_topics(log.broker, log.topics, Settings().kafka)
    assert "topic" in say(log, 0)[0]


def test_a_copy_whose_tail_was_truncated_is_left_aside(log: Log) -> None:
    owner = log.owner(0)
    owner.commit(0, 1, 2)
    owner.leave(0)
    for user in range(3, 9):
        log.owner(0).commit(0, user)
    log.broker.trim(log.topics.profiles.name, {0: 6})
    with structlog.testing.capture_logs() as said:
        owner = log.owner(0)
    assert owner.started == {0: 6}
    assert "holds offsets 6 to" in said[0]["reason"]


def test_a_full_disk_stops_nothing(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = log.owner(0)
    owner.commit(0, 1)

    def full(_: int) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with structlog.testing.capture_logs() as said:
        owner.local.close()
    assert "no space" in said[0]["reason"]
    monkeypatch.undo()
    assert log.owner(0).read == 1


STEPS = st.lists(
    st.tuples(st.sampled_from(["commit", "forget", "sleep", "move", "zombie"]), st.integers(1, 6)),
    max_size=30,
)


@settings(max_examples=60)
@given(steps=STEPS)
def test_whatever_happens_the_next_owner_has_what_the_changelog_says(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    log = Log(tmp_path_factory.mktemp("copies"))
    owner: Any = log.owner(0)
    gone: list[Owner] = []
    for step, n in steps:
        if step == "commit":
            owner.commit(0, n)
        elif step == "forget":
            owner.forget(0, n)
        elif step == "sleep":
            log.clock.sleep(n * ASK_EVERY_S)
        elif step == "move":  # cleanly
            owner.leave(0)
            owner = log.owner(0)
        else:  # one that was replaced writes its copies later
            gone.append(owner)
            owner = log.owner(0)
        if gone and n == 3:
            late = gone.pop()
            late.local.committed([])
            late.wait()
            late.leave(0)
        owner.wait()
        owner.check(0)
    log.owner(0).check(0)


def test_what_a_predecessor_was_killed_in_is_taken_away_at_the_start_and_nothing_else(tmp_path: Path) -> None:
    log = Log(tmp_path)
    name = f"{log.topics.profiles.name}-0.rows"
    mine, others = f"{name}.w.unfinished", [f"{name}.w2.unfinished", f"other.{name}.w.unfinished", name]
    for file in [mine, *others]:
        (tmp_path / file).write_bytes(b"half of it")
    log.owner()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)
