"""Work beside the loop: one piece at a time, with rests, and its errors come back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from stream.background import REST, InThread
from stream.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def background(clock: ManualClock) -> Iterator[InThread[int]]:
    made: InThread[int] = InThread(clock, "test")
    yield made
    made.close()


def wait(background: InThread[int]) -> int | None:
    for _ in range(1_000):
        if (result := background.result()) is not None:
            return result
        time.sleep(0.001)
    return None


def test_the_result_comes_once_and_the_loop_never_waits_for_it(background: InThread[int]) -> None:
    go_on = threading.Event()
    background.start(lambda: 7 if go_on.wait(10) else 0)
    assert background.result() is None
    assert not background.ready
    go_on.set()
    assert wait(background) == 7
    assert background.result() is None


def test_it_rests_in_proportion_to_what_it_worked(background: InThread[int], clock: ManualClock) -> None:
    background.start(lambda: 7)
    clock.sleep(2.0)
    assert wait(background) == 7
    clock.sleep(2.0 * REST - 0.01)
    assert not background.ready
    clock.sleep(0.02)
    assert background.ready


def test_an_error_reaches_whoever_asks_for_the_result(background: InThread[int]) -> None:
    def fails() -> int:
        raise ValueError("too bad")

    background.start(fails)
    with pytest.raises(ValueError, match="too bad"):
        wait(background)
