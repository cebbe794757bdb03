"""One thread, one job at a time, and nothing it raises is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from consumers.lane import Lane


@pytest.fixture
def lane() -> Iterator[Lane[int]]:
    made: Lane[int] = Lane("tested")
    yield made
    made.close()


def test_jobs_run_in_another_thread_and_always_in_the_same(lane: Lane[int]) -> None:
    threads = []
    for _ in range(3):
        lane.start(threading.get_ident)
        assert lane.wait(10)
        threads.append(lane.result())
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()


def test_it_is_busy_until_the_result_is_taken(lane: Lane[int]) -> None:
    go = threading.Event()
    assert not lane.busy
    lane.start(lambda: int(go.wait(10)))
    assert not lane.wait(0.01)
    assert lane.busy
    go.set()
    assert lane.wait(10)
    assert lane.busy
    assert lane.result() == 1
    assert not lane.busy


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_what_a_job_raises_comes_out_once_and_the_next_job_runs(
    lane: Lane[int], error: type[BaseException]
) -> None:
    def fail() -> int:
        raise error("as a test wants it")

    lane.start(fail)
    assert lane.wait(10)
    with pytest.raises(error, match="as a test wants it"):
        lane.result()
    lane.start(lambda: 5)
    assert lane.wait(10)
    assert lane.result() == 5
