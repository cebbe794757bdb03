"""Workers that die, and commits that are aborted, on the real Kafka: nothing lost, nothing twice."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from producers.synthetic import SyntheticLog
from stream.errors import BrokerUnavailable, TransactionAborted
from stream.events.schema import EventRecord
from tests.kafka.processes import PATIENCE, until

# Where a worker can die in a commit, in its order, and after it.
STEPS = [
    "recommendations",
    "profiles",
    "dead-letters",
    "send_offsets",
    "model-updates",
    "commit",
    "committed",
]


def with_poison(events: list[EventRecord]) -> list[EventRecord | bytes]:
    """``events`` with a dead letter after every 50 of them."""
    fed: list[EventRecord | bytes] = []
    for start in range(0, len(events), 50):
        fed += [*events[start : start + 50], b"{"]
    return fed


def check_like_uninterrupted(shoal: Any) -> None:
    """What changed hands is what a worker makes of the same log that is never disturbed."""
    shoal.check_exactly_once()
    # A new generation reads the log again, with topics and groups of its own.
    undisturbed = shoal.worker("undisturbed", kafka={"generation": 2})
    shoal.settle(undisturbed)
    shoal.check_profiles_equal(shoal.profiles(), shoal.profiles(generation=2))


def test_another_worker_goes_on_after_one_died_in_an_open_transaction(
    service: Callable[..., Any], log: SyntheticLog, events: list[EventRecord]
) -> None:
    shoal = service(partitions=2, kafka={"transaction_timeout_ms": 5_000})
    shoal.load(log.items)
    shoal.feed(events[:1_000])
    # Nobody of its name comes back: what it left open holds back every reader of that log until the timeout.
    doomed = shoal.process("one", die_at=("commit", 4))
    assert doomed.wait() == -signal.SIGKILL, doomed.said()
    survivor = shoal.thread("two")
    shoal.feed(events[1_000:1_500])
    shoal.wait()
    survivor.stop()
    shoal.check_exactly_once()
    assert survivor.table == shoal.profiles() != {}


def test_a_survivor_that_holds_partitions_works_on_while_the_model_log_is_held_back(
    service: Callable[..., Any], log: SyntheticLog, events: list[EventRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.processing.OWN_DELTA_S", 0.1)
    shoal = service(partitions=2, worker={"micro_batch": 20}, kafka={"transaction_timeout_ms": 5_000})
    shoal.load(log.items)
    survivor = shoal.thread("two")
    shoal.until(lambda: len(survivor.partitions()) == 2, "partitions")
    shoal.feed(events[:600])
    shoal.wait()
    doomed = shoal.process("one", die_at=("commit", 1))
    shoal.until(lambda: len(survivor.partitions()) == 1, "a partition to be given up")
    shoal.feed(events[600:700])
    assert doomed.wait() == -signal.SIGKILL, doomed.said()
    before, decided = survivor.commits, survivor.worker.model.decisions
    version = survivor.worker.model.version
    shoal.feed(events[700:1_000])
    shoal.until(lambda: survivor.commits >= before + 3, "commits beside the dead transaction", patience=3)
    held = survivor.worker.model.version == version
    shoal.wait()
    survivor.stop()
    assert held
    shoal.check_exactly_once()
    # It has not written its decisions again and again while it could not read them.
    sequences = [entry.sequence for entry in shoal.entries() if hasattr(entry, "sequence")]
    assert sequences == sorted(set(sequences))
    assert survivor.worker.model.decisions >= decided


class Aborting:
    """A transactional producer that aborts at a step of the n-th transaction, and later at the next one."""

    def __init__(self, inner: Any, steps: list[str]) -> None:
        self._inner, self._steps = inner, steps
        self._transactions = 0

    def begin(self) -> None:
        self._transactions += 1
        self._inner.begin()

    def send(self, topic: str, *columns: Any) -> None:
        self._reach(topic.rsplit(".", 1)[-1])
        self._inner.send(topic, *columns)

    def send_offsets(self, *columns: Any) -> None:
        self._reach("send_offsets")
        self._inner.send_offsets(*columns)

    def commit(self) -> None:
        self._reach("commit")
        self._inner.commit()

    def close(self) -> None:
        self._inner.close()

    def _reach(self, step: str) -> None:
        # Every other transaction, so that there is something between to be undone; those with clusters are few.
        due = self._transactions % 2 == 0 or step == "clusters"
        if self._steps and step == self._steps[0] and due:
            self._steps.pop(0)
            self._inner.abort()
            raise TransactionAborted(f"aborted at {step}")


def test_aborts_at_each_step_of_a_commit_lose_and_double_nothing(
    service: Callable[..., Any], log: SyntheticLog, events: list[EventRecord]
) -> None:
    shoal = service(partitions=3)
    shoal.load(log.items)
    shoal.feed(with_poison(events))
    worker = shoal.worker()
    steps = ["clusters", *STEPS[:-1], "commit", "profiles"]
    worker._producer = Aborting(worker._producer, steps)
    shoal.settle(worker)
    assert not steps
    assert shoal.table(worker) == shoal.profiles()
    check_like_uninterrupted(shoal)


class Unanswered:
    """A librdkafka producer that answers some commits with a timeout, though the broker has them, or has not."""

    def __init__(self, inner: Any, ways: list[str], end: Callable[[], int]) -> None:
        self._inner, self._ways, self._end = inner, ways, end

    def commit_transaction(self, timeout: float) -> None:
        way = self._ways.pop(0) if self._ways else "answered"
        if way == "committed":
            self._inner.flush(PATIENCE)
            before = self._end()
            with pytest.raises(KafkaException, match="_TIMED_OUT"):
                self._inner.commit_transaction(0)  # it goes on in librdkafka's own thread
            until(lambda: self._end() > before, "the commit to take effect, though nobody was told")
        if way != "answered":
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "nobody answers", False, True))
        self._inner.commit_transaction(timeout)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@pytest.mark.parametrize("way", ["committed", "not committed"])
def test_a_commit_whose_outcome_is_unknown_is_asked_for_again_or_ends_the_worker(
    service: Callable[..., Any],
    log: SyntheticLog,
    events: list[EventRecord],
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    shoal = service(partitions=2)
    shoal.load(log.items)
    shoal.feed(events[:300])
    worker = shoal.worker()

    def end() -> int:  # of the model log, where the end of a transaction takes an offset
        return int(shoal.broker.offsets(shoal.topics.model_updates.name)[0][1])

    ways = ["answered", way, "answered", way]
    unanswered = Unanswered(worker._producer._producer, ways, end)
    worker._producer._producer = unanswered
    shoal.settle(worker)
    assert not ways
    shoal.check_exactly_once()
    assert shoal.table(worker) == shoal.profiles()
    # Nobody answers until patience is at its end.
    monkeypatch.setattr("stream.broker.kafka_producer.OUTCOME_PATIENCE", 0.0)
    before = len(shoal.entries())
    shoal.feed(events[300:400])
    ways += [way]
    with pytest.raises(BrokerUnavailable, match="not known here, so this process has to end"):
        shoal.settle(worker)
    worker.close()
    successor = shoal.worker()  # ends what is open
    assert (len(shoal.entries()) > before) == (way == "committed")
    shoal.feed(events[400:500])
    shoal.settle(successor)
    check_like_uninterrupted(shoal)
    assert shoal.table(successor) == shoal.profiles()


def test_workers_that_come_and_go_lose_and_double_nothing(
    service: Callable[..., Any], log: SyntheticLog, events: list[EventRecord]
) -> None:
    shoal = service(partitions=4, worker={"micro_batch": 40})
    shoal.load(log.items)
    workers = [shoal.thread("w0")]
    for n, start in enumerate(range(0, 3_000, 500)):
        shoal.feed(with_poison(events[start : start + 500]))
        if n in (1, 2, 4):
            workers.append(shoal.thread(f"w{n}"))
        if n in (3, 5):
            workers.pop(0).stop()
        time.sleep(0.3)
    shoal.wait()
    taken = [worker.commits for worker in workers]
    for worker in workers:
        worker.stop()
    assert all(taken)
    check_like_uninterrupted(shoal)
