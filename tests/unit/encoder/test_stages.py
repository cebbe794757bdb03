"""Stages in threads: order, bounds, errors, and that nothing is left running."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from stream.encoder.stages import ahead


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) == before


def test_results_come_in_order_through_several_stages() -> None:
    numbers = ahead(ahead(range(200), lambda x: x * 2), lambda x: x + 1)
    assert list(numbers) == [2 * x + 1 for x in range(200)]
    assert list(ahead([], str)) == []


def test_a_stage_is_not_further_ahead_than_its_queue() -> None:
    begun: list[int] = []
    results = ahead(range(100), lambda x: begun.append(x) or x, depth=3)
    assert next(results) == 0
    time.sleep(0.05)
    assert len(begun) <= 1 + 3 + 1  # given, waiting, and one in the stage's hand
    results.close()


def test_stages_work_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=10)

    def first(x: int) -> int:
        if x == 1:
            meeting.wait()
        return x

    for x in ahead(range(3), first):
        if x == 0:
            meeting.wait()


@pytest.mark.parametrize("stage", [0, 1])
def test_an_error_comes_out_behind_the_results_before_it(stage: int) -> None:
    def work(x: int) -> int:
        if x == 3:
            raise ValueError("three")
        return x

    stages = [work, lambda x: x]
    results = ahead(ahead(range(10), stages[stage]), stages[1 - stage])
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)


def test_an_error_of_the_consumer_ends_all_stages() -> None:
    def consume() -> None:
        for x in ahead(ahead(range(1_000), lambda x: x), lambda x: x):
            if x == 5:
                raise RuntimeError

    with pytest.raises(RuntimeError):
        consume()
