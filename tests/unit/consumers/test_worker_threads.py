"""The poll loop while the other thread works, stands still, or fails: on a broker in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from consumers.committing import BatchTransaction
from consumers.worker import Worker
from stream.errors import EncoderError, ProcessingFailed
from stream.events.dead_letters import parse_dead_letter
from stream.events.schema import EventRecord
from stream.pipeline import Pipeline
from tests.unit.consumers.cluster import Cluster, check_exactly_once, drain


class Gate:
    """Holds the processing thread within the pipeline, until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._open, self.reached = threading.Event(), threading.Event()
        take_in = Pipeline.take_in

        def held(pipeline: Pipeline, *args: Any) -> Any:
            self.reached.set()
            assert self._open.wait(30)
            return take_in(pipeline, *args)

        monkeypatch.setattr(Pipeline, "take_in", held)

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    made = Gate(monkeypatch)
    yield made
    made.open()


def step_until_held(worker: Worker, gate: Gate) -> None:
    while not gate.reached.is_set():
        worker.step()


def test_the_loop_polls_on_and_the_queue_is_bounded_while_a_batch_takes_long(
    cluster: Cluster, events: list[EventRecord], gate: Gate
) -> None:
    worker = cluster.worker(micro_batch=50)
    cluster.feed([*events[:600]])
    step_until_held(worker, gate)
    polls: list[int] = []
    poll = worker._consumer.poll

    def counted(*args: Any) -> Any:
        polls.append(1)
        return poll(*args)

    worker._consumer.poll = counted  # type: ignore[method-assign]
    for _ in range(60):
        assert worker.step()
    assert len(polls) == 60
    assert len(worker._collector) == 100
    assert worker._held == worker._consumer.assignment()
    gate.open()
    drain(worker)
    assert not worker._held
    check_exactly_once(cluster, 600)


def test_a_batch_under_way_is_committed_before_its_partition_goes(
    cluster: Cluster, events: list[EventRecord], gate: Gate
) -> None:
    one = cluster.worker("one")
    cluster.feed([*events[:100]])
    step_until_held(one, gate)
    two = cluster.worker("two")
    threading.Timer(0.1, gate.open).start()
    one.step()  # in which the partition is revoked
    assert len(one._consumer.assignment()) == 2
    assert sum(len(delta.offsets) > 0 for delta in cluster.deltas()) == 1
    drain(one, two)
    check_exactly_once(cluster, 100)
    assert len(two.profiles) > 0


@pytest.mark.parametrize("lost", [False, True])
def test_the_result_of_a_partition_that_went_is_dropped(
    cluster: Cluster, events: list[EventRecord], gate: Gate, lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.worker.REVOKE_S", 0.05)
    one = cluster.worker("one")
    cluster.feed([*events[:200]])
    step_until_held(one, gate)
    two = cluster.worker("two")
    if lost:
        cluster.broker.expel(one._consumer)
    one.step()
    assert one._batch is not None
    gate.open()
    drain(one, two)
    assert not one.profiles._open
    # What stayed here was put back, and processed before all that came after it.
    check_exactly_once(cluster, 200)


def test_a_partition_that_came_back_meanwhile_has_another_epoch(
    cluster: Cluster, events: list[EventRecord], gate: Gate
) -> None:
    one = cluster.worker("one")
    cluster.feed([*events[:100]])
    step_until_held(one, gate)
    cluster.broker.expel(one._consumer)
    one._consumer.poll(1, 0.0)  # loses all, and gets all
    assert one._consumer.assignment() == {0, 1, 2}
    settled: list[bool] = []
    settle = one._processor.settle

    def noted(transaction: Any, committed: bool, decide: bool) -> Any:
        if isinstance(transaction, BatchTransaction):
            settled.append(committed)
        return settle(transaction, committed, decide)

    one._processor.settle = noted  # type: ignore[method-assign]
    gate.open()
    drain(one)
    assert settled[0] is False
    assert all(settled[1:])
    check_exactly_once(cluster, 100)


def test_an_error_of_the_other_thread_stops_the_loop(
    cluster: Cluster, events: list[EventRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = cluster.worker()
    drain(worker)

    def fail(*args: object) -> None:
        raise EncoderError("as a test wants it")

    monkeypatch.setattr(worker._processor.pipeline.encoder, "encode", fail)
    before = worker.profiles.rows.tobytes()
    cluster.feed([b'{"user_id": "u", "action": "search", "text": "t", "timestamp": 1736150400000}'])
    with pytest.raises(EncoderError, match="as a test wants it"):
        worker.run(threading.Event(), idle_s=5.0)
    assert worker.profiles.rows.tobytes() == before
    assert not worker.profiles._open
    assert not len(cluster.read(cluster.topics.dead_letters.name))


def poisonous(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the pipeline fail on events whose user is ``poison-`` something."""
    take_in = Pipeline.take_in

    def failing(pipeline: Pipeline, decoded: Any, *args: Any) -> Any:
        outcome = take_in(pipeline, decoded, *args)  # profiles have changed by now
        if any(user.startswith("poison") for user in decoded.events.user_id):
            raise ZeroDivisionError("as a test wants it")
        return outcome

    monkeypatch.setattr(Pipeline, "take_in", failing)


def poison(n: int) -> bytes:
    return b'{"user_id": "poison-%d", "action": "view", "item_id": "i", "timestamp": 1736150400000}' % n


def test_records_that_make_processing_fail_are_dead_letters_and_all_others_are_lists(
    cluster: Cluster, events: list[EventRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    poisonous(monkeypatch)
    bad = [poison(n) for n in range(3)]
    cluster.feed([*events[:100], bad[0], *events[100:130], bad[1], b"{", bad[2], *events[130:200]])
    worker = cluster.worker()
    drain(worker)
    check_exactly_once(cluster, 204)
    dead = [parse_dead_letter(v or b"") for v in cluster.read(cluster.topics.dead_letters.name).values]
    failed = [letter for letter in dead if letter.reason == "processing_failed"]
    assert sorted(letter.value or b"" for letter in failed) == bad
    assert {letter.detail for letter in failed} == {"ZeroDivisionError: as a test wants it"}
    counts = worker.model.counts
    assert counts["dead.processing_failed"] == 3
    assert counts["records"] == 204 == counts["events"] + 4
    assert not any(made["user_id"].startswith("poison") for _, made in cluster.lists())


def test_too_many_of_them_stop_the_worker_and_none_of_their_batch_is_written(
    cluster: Cluster, events: list[EventRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    poisonous(monkeypatch)
    worker = cluster.worker(max_poison=2)
    cluster.feed([*events[:50], *(poison(n) for n in range(3))])
    with pytest.raises(ProcessingFailed, match="3 records within 600 s"):
        drain(worker)
    assert not worker.profiles._open
    assert not len(cluster.read(cluster.topics.dead_letters.name))
    worker.close()
    # A human has looked, and lets them pass.
    drain(cluster.worker(max_poison=3))
    check_exactly_once(cluster, 53)
