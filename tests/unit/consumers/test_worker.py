"""The worker on a broker in memory: nothing lost, nothing twice, whatever happens to a commit."""

from __future__ import annotations

import json
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from consumers.worker import Worker
from producers.synthetic import SyntheticLog, SyntheticSettings
from stream.broker.interface import Records
from stream.broker.memory import MemoryBroker, MemoryTransactionalProducer
from stream.broker.topics import Topics, ensure_topics
from stream.clock import SystemClock
from stream.config import Settings
from stream.encoder.hashing import HashingEncoder
from stream.entries import Delta, decode_entry
from stream.errors import Fenced, TransactionAborted
from stream.events.dead_letters import parse_dead_letter
from stream.events.schema import EventRecord, ItemRecord
from stream.wire import Assembler

SCHEMAS = Path(__file__).parents[3] / "docs" / "schemas"
PARTITIONS = 3
# Where a commit can break: the sends in their order, then the offsets, then the commit itself.
STEPS = ["begin", "recommendations", "profiles", "dead-letters", "send_offsets", "model-updates", "commit"]


@dataclass
class Breaking:
    """A transactional producer that aborts once, at a chosen step of the n-th transaction."""

    inner: MemoryTransactionalProducer
    step: str
    at: int
    error: type[Exception] = TransactionAborted
    transactions: int = 0
    broken: list[str] = field(default_factory=list)

    def _reach(self, step: str) -> None:
        if self.transactions == self.at and step == self.step and not self.broken:
            self.broken.append(step)
            if step != "begin":
                self.inner.abort()
            raise self.error(f"broken at {step}")

    def begin(self) -> None:
        self.transactions += 1
        self._reach("begin")
        self.inner.begin()

    def send(self, topic: str, *columns: Any) -> None:
        self._reach(topic.rsplit(".", 1)[-1])
        self.inner.send(topic, *columns)

    def send_offsets(self, *args: Any) -> None:
        self._reach("send_offsets")
        self.inner.send_offsets(*args)

    def commit(self) -> None:
        self._reach("commit")
        self.inner.commit()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def schema(name: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads((SCHEMAS / f"{name}.schema.json").read_text()))


class Cluster:
    """A broker with a catalogue and events, the workers on it, and what comes out."""

    def __init__(self, settings: Settings, partitions: int = PARTITIONS) -> None:
        kafka = settings.kafka.model_copy(update={"partitions": partitions})
        worker = settings.worker.model_copy(update={"provenance": True})
        self.settings = settings.model_copy(update={"kafka": kafka, "worker": worker})
        self.broker = MemoryBroker()
        self.topics = Topics(kafka)
        ensure_topics(self.broker, self.topics, kafka)
        self._workers: list[Worker] = []

    def worker(self, instance: str = "w", **changes: object) -> Worker:
        settings = self.settings.worker.model_copy(update={"instance": instance} | changes)
        worker = Worker(
            self.settings.model_copy(update={"worker": settings}),
            self.broker,
            HashingEncoder(32),
            SystemClock(),
        )
        self._workers.append(worker)
        return worker

    def close(self) -> None:
        for worker in self._workers:
            worker.close()

    def feed(self, events: list[EventRecord | bytes]) -> None:
        keys = [event.key() if isinstance(event, EventRecord) else None for event in events]
        values = [event.to_json() if isinstance(event, EventRecord) else event for event in events]
        self.broker.publisher().send(self.topics.events.name, keys, values)

    def load(self, items: list[ItemRecord]) -> None:
        keys, values = [item.key() for item in items], [item.to_json() for item in items]
        self.broker.publisher().send(self.topics.items.name, keys, values)

    def read(self, topic: str) -> Records:
        return Records.concat(topic, list(self.broker.reader(topic, "earliest").read_to_end(1.0)))

    def lists(self) -> list[tuple[int, dict[str, Any]]]:
        records = self.read(self.topics.recommendations.name)
        return [
            (int(p), json.loads(v or b"")) for p, v in zip(records.partition, records.values, strict=True)
        ]

    def deltas(self) -> list[Delta]:
        assembler = Assembler()
        wholes = map(assembler.add, (v or b"" for v in self.read(self.topics.model_updates.name).values))
        entries = [decode_entry(whole.data) for whole in wholes if whole is not None]
        return [entry for entry in entries if isinstance(entry, Delta)]


def drain(*workers: Worker) -> None:
    """Let all work in turns until none has anything to do."""
    idle = 0
    while idle < 2 * len(workers):
        for worker in workers:
            idle = 0 if worker.step() else idle + 1


def check_exactly_once(cluster: Cluster, fed: int) -> None:
    """Every offset is in one list or one delta of what was read, and users' lists are numbered without a gap."""
    offsets: Counter[tuple[int, int]] = Counter()
    numbers: dict[tuple[int, str], list[int]] = defaultdict(list)
    for partition, made in cluster.lists():
        assert made["source"]["partition"] == partition
        offsets.update((partition, offset) for offset in made["source"]["offsets"])
        numbers[partition, made["user_id"]].append(made["user_seq"])
    dead = [
        parse_dead_letter(value or b"") for value in cluster.read(cluster.topics.dead_letters.name).values
    ]
    offsets.update((letter.partition, letter.offset) for letter in dead)
    ends = {p: end for p, (_, end) in cluster.broker.offsets(cluster.topics.events.name).items()}
    assert sum(ends.values()) == fed
    assert offsets == Counter((p, offset) for p, end in ends.items() for offset in range(end))
    assert all(got == list(range(1, len(got) + 1)) for got in numbers.values())
    covered: Counter[tuple[int, int]] = Counter()
    for delta in cluster.deltas():
        for p, (first, last) in delta.offsets.items():
            covered.update((p, offset) for offset in range(first, last + 1))
    assert covered == offsets


@pytest.fixture(scope="module")
def log() -> SyntheticLog:
    return SyntheticLog(SyntheticSettings(users=50, items=60, events=1_200, seed=3))


@pytest.fixture(scope="module")
def events(log: SyntheticLog) -> list[EventRecord]:
    return list(log.events())


@pytest.fixture
def cluster(small_settings: Settings, log: SyntheticLog, quick: None) -> Iterator[Cluster]:
    made = Cluster(small_settings)
    made.load(log.items)
    yield made
    made.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for events that are not coming."""
    monkeypatch.setattr("consumers.worker.IDLE_S", 0.002)


def test_what_goes_in_comes_out(cluster: Cluster, events: list[EventRecord]) -> None:
    cluster.feed([*events[:600]])
    worker = cluster.worker()
    drain(worker)
    check_exactly_once(cluster, 600)
    made = [m for _, m in cluster.lists()]
    assert {m["user_id"] for m in made} == {event.user_id for event in events[:600]}
    assert all(m["model_version"] < worker.model.version for m in made)
    assert made[-1]["items"][0]["title"]
    for one in made[::20]:
        schema("recommendations").validate(one)
    assert worker.lag() == 0
    counts = worker.model.counts
    assert counts["records"] == counts["events"] == 600
    assert counts["lists"] == len(made)


def test_lists_and_rows_lie_in_the_partition_of_their_events(
    cluster: Cluster, events: list[EventRecord]
) -> None:
    cluster.feed([*events[:300]])
    drain(cluster.worker())
    read = cluster.read(cluster.topics.events.name)
    home = {json.loads(v or b"")["user_id"]: p for v, p in zip(read.values, read.partition, strict=True)}
    assert all(home[made["user_id"]] == partition for partition, made in cluster.lists())
    profiles = cluster.read(cluster.topics.profiles.name)
    assert Counter(profiles.partition.tolist()) == Counter(partition for partition, _ in cluster.lists())


def test_a_bad_record_is_a_dead_letter_with_its_bytes(cluster: Cluster, events: list[EventRecord]) -> None:
    bad = [b"{", b'{"user_id": "u", "action": "view"}', bytes(range(256))]
    cluster.feed([*events[:50], *bad, *events[50:100]])
    worker = cluster.worker()
    drain(worker)
    check_exactly_once(cluster, 103)
    dead = [parse_dead_letter(v or b"") for v in cluster.read(cluster.topics.dead_letters.name).values]
    assert {letter.value for letter in dead} == set(bad)
    assert {letter.topic for letter in dead} == {cluster.topics.events.name}
    assert sum(n for name, n in worker.model.counts.items() if name.startswith("dead.")) == 3


def test_an_item_that_cannot_be_read_is_a_dead_letter(cluster: Cluster, events: list[EventRecord]) -> None:
    cluster.broker.publisher().send(cluster.topics.items.name, [b"broken"], [b"{"])
    drain(cluster.worker())
    (value,) = cluster.read(cluster.topics.dead_letters.name).values
    letter = parse_dead_letter(value or b"")
    assert (letter.topic, letter.key, letter.value) == (cluster.topics.items.name, b"broken", b"{")


def test_a_restart_goes_on_from_the_profiles(cluster: Cluster, events: list[EventRecord]) -> None:
    cluster.feed([*events[:400]])
    first = cluster.worker()
    drain(first)
    cluster.feed([*events[400:800]])
    second = cluster.worker()  # of the same name: it fences the first
    with pytest.raises(Fenced):
        drain(first)
    first.close()
    drain(second)
    check_exactly_once(cluster, 800)
    assert second.model.counts["events"] == 800


def test_a_restarted_worker_is_one_that_never_stopped(
    small_settings: Settings, log: SyntheticLog, events: list[EventRecord], quick: None
) -> None:
    def run(restarts: bool) -> list[tuple[int, dict[str, Any]]]:
        cluster = Cluster(small_settings, partitions=1)  # of several, who comes first is chance
        cluster.load(log.items)
        worker = cluster.worker()
        for start in range(0, 1_000, 200):
            cluster.feed([*events[start : start + 200]])
            drain(worker)
            if restarts:
                worker.close()
                worker = cluster.worker()
        cluster.close()
        return [(p, {k: v for k, v in m.items() if k != "ingest_time"}) for p, m in cluster.lists()]

    assert run(restarts=True) == run(restarts=False)


def test_two_workers_share_the_partitions_and_fold_one_model(
    cluster: Cluster, events: list[EventRecord]
) -> None:
    one = cluster.worker("one")
    two = cluster.worker("two")
    for start in range(0, len(events), 300):
        cluster.feed([*events[start : start + 300]])
        drain(one, two)
    assert one._consumer.assignment() | two._consumer.assignment() == set(range(PARTITIONS))
    assert one._consumer.assignment()
    assert two._consumer.assignment()
    check_exactly_once(cluster, len(events))
    for worker in (one, two):
        worker._model_log.catch_up()
    assert one.model.version == two.model.version
    assert one.model.counts == two.model.counts
    assert one.model.clusters.labels == two.model.clusters.labels != {}
    np.testing.assert_array_equal(one.model.clusters.centres, two.model.clusters.centres)
    np.testing.assert_array_equal(one.model.mixture.sums, two.model.mixture.sums)
    charts = [w.model.index.keys[w.model.items.charts.popular[0]].tolist() for w in (one, two)]
    assert charts[0] == charts[1]


def test_a_partition_that_moves_takes_its_profiles_along(cluster: Cluster, events: list[EventRecord]) -> None:
    one = cluster.worker("one")
    cluster.feed([*events[:400]])
    drain(one)
    before = len(one.profiles)
    two = cluster.worker("two")
    drain(one, two)
    assert len(two.profiles) > 0
    assert len(one.profiles) + len(two.profiles) == before
    cluster.feed([*events[400:800]])
    drain(one, two)
    two.close()
    cluster.feed([*events[800:]])
    drain(one)
    check_exactly_once(cluster, len(events))
    assert len({made["user_id"] for _, made in cluster.lists()}) == len(one.profiles)


def test_what_is_collected_of_a_partition_that_goes_is_left_to_its_next_owner(
    cluster: Cluster, events: list[EventRecord]
) -> None:
    one = cluster.worker("one", linger_ms=50, micro_batch=1_000)
    cluster.feed([*events[:300]])
    poll, second = one._consumer.poll, []

    def poll_as_another_joins(limit: int, timeout: float) -> Records:
        got = poll(limit, timeout)
        if len(got) and not second:
            second.append(cluster.worker("two"))
        return got

    one._consumer.poll = poll_as_another_joins  # type: ignore[method-assign]
    collected = one._collect()
    assert len(one._consumer.assignment()) == 2
    assert len(collected)
    assert set(collected.partition.tolist()) <= one._consumer.assignment() != set(range(PARTITIONS))
    one._process(collected)
    drain(one, *second)
    check_exactly_once(cluster, 300)


def test_a_member_that_was_expelled_commits_nothing(cluster: Cluster, events: list[EventRecord]) -> None:
    one = cluster.worker("one")
    cluster.feed([*events[:300]])
    commit = one._commit

    def expelled(*batch: Any) -> None:
        one._commit = commit  # type: ignore[method-assign]
        cluster.broker.expel(one._consumer)
        commit(*batch)

    one._commit = expelled  # type: ignore[method-assign]
    drain(one)
    check_exactly_once(cluster, 300)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("at", [1, 3])
def test_an_abort_anywhere_in_a_commit_loses_and_doubles_nothing(
    cluster: Cluster, events: list[EventRecord], step: str, at: int
) -> None:
    worker = cluster.worker(micro_batch=100)
    producer = Breaking(worker._producer, step, at)  # type: ignore[arg-type]
    worker._producer = producer
    cluster.feed([*events[:250], b"{", *events[250:299]])
    if step == "begin":
        producer.error = Fenced
        with pytest.raises(Fenced):
            drain(worker)
        assert not worker.profiles._open
        return
    drain(worker)
    assert producer.broken == [step]
    check_exactly_once(cluster, 300)


def test_refused_commits_are_made_again(cluster: Cluster, events: list[EventRecord]) -> None:
    worker = cluster.worker(micro_batch=100)
    cluster.feed([*events[:300]])
    cluster.broker.refuse_commits = 2
    drain(worker)
    check_exactly_once(cluster, 300)
    assert worker.model.counts["events"] == 300


def test_a_decision_that_is_aborted_is_made_again(cluster: Cluster, events: list[EventRecord]) -> None:
    worker = cluster.worker()
    act, refused = worker._learner.act, []

    def act_once_in_vain(*args: Any) -> bool:
        # Only a decision commits here, so that it alone is refused.
        cluster.broker.refuse_commits = 0 if refused else 1
        decided = act(*args)
        if not cluster.broker.refuse_commits and not refused:
            refused.append(decided)
        cluster.broker.refuse_commits = 0
        return decided

    worker._learner.act = act_once_in_vain  # type: ignore[method-assign]
    cluster.feed([*events])
    drain(worker)
    assert refused == [False]
    assert worker.model.clusters.labels
    check_exactly_once(cluster, len(events))


def test_profiles_after_an_abort_are_those_before_it(cluster: Cluster, events: list[EventRecord]) -> None:
    worker = cluster.worker()
    cluster.feed([*events[:200]])
    drain(worker)
    before = worker.profiles.rows[: len(worker.profiles)].tobytes()
    cluster.feed([*events[200:400]])
    cluster.broker.refuse_commits = 1
    assert worker.step() > 0
    assert worker.profiles.rows[: len(worker.profiles)].tobytes() == before


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_any_other_failure_stops_the_worker_with_its_state_as_of_the_last_commit(
    cluster: Cluster, events: list[EventRecord], error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = cluster.worker()
    cluster.feed([*events[:200]])
    drain(worker)
    before = worker.profiles.rows[: len(worker.profiles)].tobytes()

    def fail(*args: object) -> None:
        raise error("as a test wants it")

    monkeypatch.setattr("consumers.worker.dead_letter_record", fail)
    cluster.feed([*events[200:300], b"{"])
    with pytest.raises(error):
        drain(worker)
    assert worker.profiles.rows[: len(worker.profiles)].tobytes() == before
    worker.close()
    monkeypatch.undo()
    monkeypatch.setattr("consumers.worker.IDLE_S", 0.002)
    drain(cluster.worker())
    check_exactly_once(cluster, 301)


def test_clusters_are_published_with_what_is_taken_in_them(
    cluster: Cluster, events: list[EventRecord]
) -> None:
    # Half of the catalogue is gone, so that ids alone are known of many items.
    worker = cluster.worker()
    cluster.feed([*events, *(event_of_unknown(event) for event in events)])
    drain(worker)
    records = cluster.read(cluster.topics.clusters.name)
    clusters = {json.loads(v or b"")["cluster_id"]: json.loads(v or b"") for v in records.values}
    last = [c for c in clusters.values() if c["status"] == "living"]
    assert {c["cluster_id"] for c in last} == set(worker.model.clusters.ids.tolist())
    keys = [str(json.loads(v or b"")["cluster_id"]).encode() for v in records.values]
    assert records.keys == keys
    for one in clusters.values():
        schema("cluster").validate(one)
    assert sum(c["share"] for c in last) == pytest.approx(1, abs=1e-3)
    assert all(item["item_id"] for c in last for item in c["top_items"])
    assert any(item["item_id"].startswith("unknown") for c in last for item in c["top_items"])


def event_of_unknown(event: EventRecord) -> EventRecord:
    return EventRecord(
        user_id=event.user_id,
        action="view",
        item_id=f"unknown {event.timestamp % 5}",
        timestamp=event.timestamp,
    )


def test_a_signal_ends_the_run_and_idleness_too(cluster: Cluster, events: list[EventRecord]) -> None:
    cluster.feed([*events[:100]])
    worker = cluster.worker()
    worker.run(threading.Event(), idle_s=0.05)
    check_exactly_once(cluster, 100)
    stop = threading.Event()
    stop.set()
    worker.run(stop)
