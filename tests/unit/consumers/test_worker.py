"""The worker on a broker in memory: nothing lost, nothing twice, whatever happens to a commit."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

import consumers.worker
from consumers.committing import DecisionTransaction, Transaction
from producers.synthetic import SyntheticLog
from stream.config import Settings
from stream.errors import Fenced
from stream.events.dead_letters import parse_dead_letter
from stream.events.schema import EventRecord
from tests.unit.consumers.cluster import PARTITIONS, STEPS, Breaking, Cluster, check_exactly_once, drain

SCHEMAS = Path(__file__).parents[3] / "docs" / "schemas"


def schema(name: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads((SCHEMAS / f"{name}.schema.json").read_text()))


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
        worker._processor.catch_up()
    assert one.model.version == two.model.version
    assert one.model.counts == two.model.counts
    assert one.model.clusters.labels == two.model.clusters.labels != {}
    np.testing.assert_array_equal(one.model.clusters.centres, two.model.clusters.centres)
    np.testing.assert_array_equal(one.model.mixture.sums, two.model.mixture.sums)
    charts = [w.model.index.keys[w.model.items.popularity.chart[0]].tolist() for w in (one, two)]
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
    one = cluster.worker("one", linger_ms=200, micro_batch=1_000)
    drain(one)
    cluster.feed([*events[:10]])
    drain(one)
    cluster.feed([*events[10:300]])
    one.step()
    assert len(one._collector) == 290  # it is too soon after the batch before
    two = cluster.worker("two")
    one.step()
    assert len(one._consumer.assignment()) == 2
    collected = one._collector.take(0.0)
    assert set(collected.partition.tolist()) == one._consumer.assignment()
    one._collector.put_back(collected)
    drain(one, two)
    check_exactly_once(cluster, 300)


def commit_after(action: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``action`` happen before the next commit."""
    commit, due = consumers.worker.commit, [action]

    def late(*args: Any) -> None:
        while due:
            due.pop()()
        commit(*args)

    monkeypatch.setattr("consumers.worker.commit", late)


def test_a_member_that_was_expelled_commits_nothing(
    cluster: Cluster, events: list[EventRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = cluster.worker("one")
    drain(one)
    cluster.feed([*events[:300]])
    commit_after(lambda: cluster.broker.expel(one._consumer), monkeypatch)
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


def test_a_decision_that_is_aborted_is_made_again(
    cluster: Cluster, events: list[EventRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = cluster.worker()
    commit, refused = consumers.worker.commit, []

    def refuse_a_decision(producer: Any, consumer: Any, transaction: Transaction) -> None:
        if isinstance(transaction, DecisionTransaction) and not refused:
            refused.append(transaction.decision)
            cluster.broker.refuse_commits = 1
        commit(producer, consumer, transaction)

    monkeypatch.setattr("consumers.worker.commit", refuse_a_decision)
    cluster.feed([*events])
    drain(worker)
    assert len(refused) == 1
    assert worker.model.clusters.labels
    check_exactly_once(cluster, len(events))


def test_profiles_after_an_abort_are_those_before_it(
    cluster: Cluster, events: list[EventRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = cluster.worker()
    cluster.feed([*events[:200]])
    drain(worker)
    before = worker.profiles.rows[: len(worker.profiles)].tobytes()
    settle, seen = worker._processor.settle, []

    def settle_and_look(*args: Any) -> Any:
        following = settle(*args)
        seen.append(worker.profiles.rows[: len(worker.profiles)].tobytes())
        return following

    monkeypatch.setattr(worker._processor, "settle", settle_and_look)
    cluster.feed([*events[200:400]])
    cluster.broker.refuse_commits = 1
    drain(worker)
    assert seen[0] == before != seen[1]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_commit_that_fails_stops_the_worker_with_its_state_as_of_the_last_one(
    cluster: Cluster, events: list[EventRecord], error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = cluster.worker()
    cluster.feed([*events[:200]])
    drain(worker)
    before = worker.profiles.rows[: len(worker.profiles)].tobytes()

    def fail(*args: object) -> None:
        raise error("as a test wants it")

    monkeypatch.setattr("consumers.worker.commit", fail)
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
