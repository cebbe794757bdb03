"""Workers that start from snapshots of the model and of their profiles, on a broker in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from consumers import processing
from consumers.following import ModelFollower
from consumers.snapshots import Loaded, manifests
from consumers.worker import Worker
from producers.synthetic import SyntheticLog, SyntheticSettings
from stream.broker.interface import Broker
from stream.broker.topics import Topics
from stream.config import Settings, SnapshotSettings
from stream.entries import decode_entry
from stream.model import Model
from stream.wire import Assembler
from tests.unit.consumers.cluster import Cluster, drain

EVERY = 12  # offsets of the model log between snapshots


@pytest.fixture(scope="module")
def log() -> SyntheticLog:
    return SyntheticLog(SyntheticSettings(users=60, items=80, events=3_000, seed=5))


@pytest.fixture
def cluster(small_settings: Settings, log: SyntheticLog, tmp_path: Path) -> Iterator[Cluster]:
    snapshots = SnapshotSettings(directory=tmp_path, entries=EVERY, every_ms=1_000_000)
    worker = small_settings.worker.model_copy(update={"micro_batch": 50})
    made = Cluster(small_settings.model_copy(update={"snapshots": snapshots, "worker": worker}))
    made.load(log.items)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for events that are not coming."""
    monkeypatch.setattr("consumers.worker.IDLE_S", 0.002)


def first_offset(cluster: Cluster) -> int:
    return cluster.broker.offsets(cluster.topics.model_updates.name)[0][0]


def feed_and_drain(cluster: Cluster, log: SyntheticLog, *workers: Worker) -> None:
    events = list(log.events())
    for start in range(0, len(events), 300):
        cluster.feed(events[start : start + 300])
        drain(*workers)
        for worker in workers:
            worker._processor._snapshots._lane.wait(5.0)


def says_the_same(one: Worker, other: Worker) -> None:
    for worker in (one, other):
        if worker._lane.busy:
            worker._lane.wait(5.0)  # its thread may be reading the log just now
        worker._processor._model_log.catch_up()
    first, second = one.model, other.model
    assert first.version == second.version
    assert first.counts == second.counts
    assert first.decisions == second.decisions
    assert first.clusters.ids.tolist() == second.clusters.ids.tolist()
    assert first.clusters.centres.tobytes() == second.clusters.centres.tobytes()
    assert first.clusters.labels == second.clusters.labels
    assert first.ranker.linear.tobytes() == second.ranker.linear.tobytes()


def test_a_worker_starts_from_a_snapshot_and_has_the_same_model(cluster: Cluster, log: SyntheticLog) -> None:
    old = cluster.worker("old")
    feed_and_drain(cluster, log, old)
    newest = manifests(cluster.broker, cluster.topics)[0]
    assert first_offset(cluster) > 0
    with structlog.testing.capture_logs() as said:
        new = cluster.worker("new")
    (caught_up,) = [line for line in said if line["event"] == "caught up"]
    assert caught_up["snapshot_version"] == newest.version > 0
    says_the_same(old, new)
    # And it goes on.
    cluster.feed(list(log.events())[:100])
    drain(old, new)
    says_the_same(old, new)


def test_the_next_learner_repeats_no_decision(cluster: Cluster, log: SyntheticLog) -> None:
    worker = cluster.worker("one")
    events = list(log.events())
    for n, start in enumerate(range(0, len(events), 500)):
        cluster.feed(events[start : start + 500])
        drain(worker)
        worker._processor._snapshots._lane.wait(5.0)
        worker.close()
        worker = cluster.worker(f"next-{n}")
    assembler = Assembler(settled=first_offset(cluster))
    records = cluster.read(cluster.topics.model_updates.name)
    wholes = [
        assembler.add(v or b"", o) for v, o in zip(records.values, records.offset.tolist(), strict=True)
    ]
    entries = [decode_entry(whole.data) for whole in wholes if whole is not None]
    sequences = [entry.sequence for entry in entries if hasattr(entry, "sequence")]
    decisions = worker.model.decisions  # the log is trimmed behind the snapshots, perhaps all of it
    assert sequences == list(range(decisions - len(sequences), decisions))
    assert worker.model.decisions > 3


def test_a_worker_that_was_cut_off_goes_on_from_a_snapshot(cluster: Cluster, log: SyntheticLog) -> None:
    busy, late = cluster.worker("busy"), cluster.worker("late")
    before = late.model
    feed_and_drain(cluster, log, busy)  # takes all partitions that it is given
    drain(busy, late)
    feed_and_drain(cluster, log, busy)
    with structlog.testing.capture_logs() as said:
        cluster.broker.trim(
            cluster.topics.model_updates.name, {0: manifests(cluster.broker, cluster.topics)[0].start}
        )
        late._processor._read_model_log(lambda: late._processor._model_log.poll(0.0))
        drain(busy, late)
    assert [line for line in said if "trimmed" in line["event"]]
    assert late.model is not before
    says_the_same(busy, late)


@pytest.mark.parametrize("when", ["before the log is opened", "before it is read"])
def test_a_worker_whose_log_is_trimmed_while_it_starts_takes_a_newer_snapshot(
    cluster: Cluster, log: SyntheticLog, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    old = cluster.worker("old")
    feed_and_drain(cluster, log, old)
    drain(old)
    newest = manifests(cluster.broker, cluster.topics)[0]
    waiting = [newest.start]  # once
    load, catch_up = processing.load_newest, ModelFollower.catch_up

    def trim() -> None:
        if waiting:
            cluster.broker.trim(cluster.topics.model_updates.name, {0: waiting.pop()})

    def load_the_one_before(
        broker: Broker, topics: Topics, shape: dict[str, Any], fresh: Model
    ) -> Loaded | None:
        if not waiting:
            return load(broker, topics, shape, fresh)
        start = broker.offsets(topics.model_updates.name)[0][0]
        if when == "before the log is opened":
            trim()
        return Loaded(fresh, start)

    def catch_up_late(follower: ModelFollower) -> None:
        trim()
        catch_up(follower)

    monkeypatch.setattr(processing, "load_newest", load_the_one_before)
    monkeypatch.setattr(ModelFollower, "catch_up", catch_up_late)
    with structlog.testing.capture_logs() as said:
        new = cluster.worker("new")
    assert [line for line in said if "trimmed" in line["event"]]
    (caught_up,) = [line for line in said if line["event"] == "caught up"]
    assert caught_up["snapshot_version"] == newest.version
    says_the_same(old, new)


def test_profiles_come_from_this_machine_and_are_what_the_changelog_says(
    cluster: Cluster, log: SyntheticLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.local_profiles.ASK_EVERY_S", 0.0)
    worker = cluster.worker("w")
    feed_and_drain(cluster, log, worker)
    worker.close()
    with structlog.testing.capture_logs() as said:
        again = cluster.worker("w")
        drain(again)
    read = [line for line in said if line["event"] == "profiles read from this machine"]
    assert len(read) == 3
    assert sum(line["profiles"] for line in read) == len(again.profiles) > 50
    records = cluster.read(cluster.topics.profiles.name)
    newest = {
        (int(p), key): value
        for p, key, value in zip(records.partition, records.keys, records.values, strict=True)
    }
    rows = again.profiles.rows[: len(again.profiles)]
    table = again.profiles
    keys, values = table.keys(range(len(rows))), table.serialise(range(len(rows)))  # type: ignore[arg-type]
    partitions = table.partitions(slice(len(rows))).tolist()  # type: ignore[arg-type]
    assert {(p, key): value for p, key, value in zip(partitions, keys, values, strict=True)} == newest
    # Little was read again.
    local = again._processor._local
    ends = cluster.broker.offsets(cluster.topics.profiles.name)
    started = local.load(range(3))
    assert all(ends[p][1] - started[p] < ends[p][1] / 4 for p in range(3))
