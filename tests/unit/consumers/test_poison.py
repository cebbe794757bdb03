"""Records at fault are found, whatever else is in their batch; what is nobody's fault stops the work."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.poison import Poison, Rows, Sifter
from stream.broker.interface import Records
from stream.clock import ManualClock
from stream.errors import BrokerUnavailable, EncoderError, ProcessingFailed


def batch(n: int, first: int = 0) -> Records:
    zeros = np.zeros(n, np.int64)
    return Records("t", zeros.astype(np.int32), np.arange(first, first + n), zeros, [None] * n, [b"v"] * n)


class Table:
    """Stands for profiles: open after an attempt that went well; each may be undone, and none left open."""

    def __init__(self, fails: Callable[[list[int]], Exception | None]) -> None:
        self.open = False
        self.attempts = 0
        self._fails = fails

    def attempt(self, rows: Rows, refused: Mapping[int, str]) -> tuple[list[int], dict[int, str]]:
        assert not self.open
        self.attempts += 1
        if (error := self._fails(rows.tolist())) is not None:
            raise error
        self.open = True
        return rows.tolist(), dict(refused)

    def undo(self) -> None:
        assert self.open
        self.open = False


def sifter(limit: int = 100, clock: ManualClock | None = None) -> Sifter:
    return Sifter(Poison(limit, 60.0, clock or ManualClock()))


@given(st.integers(1, 40), st.sets(st.integers(0, 39)))
def test_exactly_the_records_at_fault_are_refused(n: int, poison: set[int]) -> None:
    table = Table(lambda rows: ValueError("bad") if poison & set(rows) else None)
    rows, refused = sifter().sift(batch(n), table.attempt, table.undo)
    assert table.open
    assert refused.keys() == {p for p in poison if p < n}
    assert rows == [row for row in range(n) if row not in poison]
    assert set(refused.values()) <= {"ValueError: bad"}


def test_a_failure_that_does_not_repeat_refuses_nothing() -> None:
    failures = [ValueError("once")]
    table = Table(lambda _: failures.pop() if failures else None)
    assert table.attempts == 0
    assert sifter().sift(batch(5), table.attempt, table.undo) == ([0, 1, 2, 3, 4], {})
    assert table.attempts == 2


def test_a_record_that_fails_only_after_another_is_found() -> None:
    table = Table(lambda rows: ValueError("both") if {3, 7} <= set(rows) else None)
    _, refused = sifter().sift(batch(16), table.attempt, table.undo)
    assert refused.keys() == {7}


def test_finding_one_takes_few_attempts() -> None:
    table = Table(lambda rows: ValueError("bad") if 1_234 in rows else None)
    sifter().sift(batch(2_048), table.attempt, table.undo)
    assert table.attempts <= 2 + 11 + 1


@pytest.mark.parametrize(
    "error",
    [
        BrokerUnavailable("away"),
        EncoderError("cannot be loaded"),
        MemoryError(),
        OSError(28, "No space left on device"),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_what_no_record_is_to_blame_for_is_raised_at_once(error: Exception) -> None:
    table = Table(lambda _: error)
    with pytest.raises(type(error)):
        sifter().sift(batch(8), table.attempt, table.undo)
    assert table.attempts == 1
    # Also where it happens only while the record at fault is sought.
    table = Table(lambda rows: ValueError("bad") if len(rows) == 8 else error)
    with pytest.raises(type(error)):
        sifter().sift(batch(8), table.attempt, table.undo)


def test_too_many_within_the_window_stop_the_work() -> None:
    clock = ManualClock()
    table = Table(lambda rows: ValueError("bad") if 0 in rows else None)
    sift = sifter(limit=2, clock=clock)

    def one(first: int) -> None:
        sift.sift(batch(4, first), table.attempt, table.undo)
        table.undo()

    one(0)
    one(10)
    one(10)  # again, after an abort: the same record
    clock.sleep(61)
    one(20)
    one(30)
    with pytest.raises(
        ProcessingFailed, match=r"3 records within 60 s.*offset 40 of partition 0.*max_poison"
    ):
        one(40)
    assert not table.open


def test_where_everything_fails_the_work_stops() -> None:
    table = Table(lambda rows: ValueError("bad") if rows else None)
    with pytest.raises(ProcessingFailed):
        sifter(limit=3).sift(batch(50), table.attempt, table.undo)
    assert not table.open


def test_a_limit_of_zero_stops_at_the_first() -> None:
    table = Table(lambda rows: ValueError("bad") if 2 in rows else None)
    with pytest.raises(ProcessingFailed):
        sifter(limit=0).sift(batch(5), table.attempt, table.undo)
