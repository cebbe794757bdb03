"""When a batch is due, and what is in it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from consumers import collecting
from consumers.collecting import Collector
from stream.broker.interface import Records


def records(partition: int, first: int, n: int, size: int = 1) -> Records:
    return Records(
        "t",
        np.full(n, partition, np.int32),
        np.arange(first, first + n),
        np.zeros(n, np.int64),
        [None] * n,
        [b"x" * size] * n,
    )


@pytest.fixture
def collector() -> Collector:
    return Collector("t", most=10, linger_s=2.0)


def test_an_event_after_a_silence_is_due_at_once(collector: Collector) -> None:
    assert collector.due_in(100.0) == math.inf
    collector.add(records(0, 0, 1))
    assert collector.due_in(100.0) == 0
    assert len(collector.take(100.0)) == 1
    assert collector.due_in(100.0) == math.inf


def test_the_next_batch_is_due_a_linger_after_the_one_before(collector: Collector) -> None:
    collector.add(records(0, 0, 1))
    collector.take(100.0)
    collector.add(records(0, 1, 1))
    assert collector.due_in(100.5) == pytest.approx(1.5)
    assert collector.due_in(102.0) == 0


def test_a_full_batch_is_due_whatever_the_time(collector: Collector) -> None:
    collector.pace(100.0)
    collector.add(records(0, 0, 9))
    assert (collector.due_in(100.0), collector.room()) == (2.0, 1)
    collector.add(records(0, 9, 1))
    assert (collector.due_in(100.0), collector.room()) == (0.0, 1)
    collector.add(records(0, 10, 5))
    assert collector.take(100.0).offset.tolist() == list(range(10))
    assert collector.due_in(100.0) == 2.0
    assert len(collector) == 5


def test_a_batch_closes_on_bytes(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "BATCH_BYTES", 100)
    collector.pace(0.0)
    collector.add(records(0, 0, 2, size=40))
    assert collector.due_in(0.0) > 0
    collector.add(records(0, 2, 2, size=40))
    assert collector.due_in(0.0) == 0
    assert [len(collector.take(0.0)) for _ in range(2)] == [2, 2]
    collector.add(records(0, 4, 2, size=1_000))
    assert [len(collector.take(0.0)) for _ in range(2)] == [1, 1], "one record at least"


def test_it_is_full_with_two_batches_or_their_bytes(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector.add(records(0, 0, 19))
    assert not collector.is_full()
    collector.add(records(0, 19, 1))
    assert collector.is_full()
    collector.take(0.0)
    assert not collector.is_full()
    monkeypatch.setattr(collecting, "BATCH_BYTES", 100)
    collector.add(records(1, 0, 1, size=200))
    assert collector.is_full()


def test_what_is_put_back_comes_first(collector: Collector) -> None:
    collector.add(records(0, 0, 3))
    batch = collector.take(0.0)
    collector.add(records(0, 3, 2))
    collector.put_back(batch)
    assert collector.take(0.0).offset.tolist() == [0, 1, 2, 3, 4]


def test_what_is_discarded_is_gone(collector: Collector) -> None:
    collector.add(records(0, 0, 2, size=3))
    collector.add(records(1, 7, 2, size=5))
    collector.discard([0])
    assert len(collector) == 2
    assert collector.take(0.0).partition.tolist() == [1, 1]
    collector.discard([1])
    assert collector.due_in(0.0) == math.inf
