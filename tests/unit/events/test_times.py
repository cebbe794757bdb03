from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.events.times import BAD_TIME, NO_TIME, read_time, read_times

MS = 1_736_150_400_000  # 2025-01-06T08:00:00Z
UNITS = ("auto", "s", "ms", "iso")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (MS, MS),
        (MS // 1000, MS),
        (MS / 1000 + 0.25, MS + 250),
        (str(MS), MS),
        (str(MS // 1000), MS),
        ("2025-01-06T08:00:00Z", MS),
        ("2025-01-06T08:00:00", MS),
        ("2025-01-06 10:00:00.250+02:00", MS + 250),
        ("2025-01-06", MS - 8 * 3_600_000),
        (10**8, 10**11),
        (10**11 - 1, (10**11 - 1) * 1000),
        (10**11, 10**11),
        (10**14 - 1, 10**14 - 1),
        (None, NO_TIME),
        ("", NO_TIME),
    ],
)
def test_auto_reads(raw: object, expected: int) -> None:
    assert read_time(raw, "auto") == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "raw",
    [
        0,
        17,
        10**8 - 1,
        10**14,
        MS * 1000,
        MS * 10**6,
        -MS,
        10**400,
        "yesterday",
        "nan",
        "inf",
        "1e999",
        "20250106",
        "1969-01-01",
        "2025-13-01T00:00:00",
    ],
)
def test_auto_refuses_what_it_cannot_tell(raw: object) -> None:
    assert read_time(raw, "auto") == BAD_TIME  # type: ignore[arg-type]


def test_units_are_taken_at_their_word() -> None:
    assert read_time(1_000, "s") == 1_000_000
    assert read_time(1_000, "ms") == 1_000
    assert read_time("2025-01-06T08:00:00Z", "iso") == MS
    assert read_time(MS, "iso") == BAD_TIME
    assert read_time("2025-01-06T08:00:00Z", "ms") == BAD_TIME
    assert read_time(MS, "s") == BAD_TIME  # milliseconds in a field of seconds


@given(
    st.lists(st.one_of(st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.text(), st.none())),
    st.sampled_from(UNITS),
)
def test_a_column_is_read_as_one_by_one(raw: list[object], unit: str) -> None:
    expected = [read_time(x, unit) for x in raw]  # type: ignore[arg-type]
    assert read_times(raw, unit).tolist() == expected  # type: ignore[arg-type]


@given(st.lists(st.integers(-(2**63), 2**64)), st.sampled_from(UNITS))
def test_a_column_of_numbers_is_read_as_one_by_one(raw: list[int], unit: str) -> None:
    assert read_times(raw, unit).tolist() == [read_time(x, unit) for x in raw]  # type: ignore[arg-type]


@given(st.datetimes(datetime(1974, 1, 1), datetime(2200, 1, 1)))
def test_every_way_to_write_a_moment_is_the_same(moment: datetime) -> None:
    moment = moment.replace(tzinfo=UTC, microsecond=0)
    seconds = int(moment.timestamp())
    written = [seconds, seconds * 1000, float(seconds), str(seconds), moment.isoformat()]
    assert np.unique(read_times(written, "auto")).tolist() == [seconds * 1000]  # type: ignore[arg-type]
