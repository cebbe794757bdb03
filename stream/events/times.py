"""Event time: from seconds, milliseconds or ISO 8601 to milliseconds since the Unix epoch.

Numbers are told apart by their size when the unit is ``auto``. From 1973-03-03 to the year 5138 seconds lie
in [10^8, 10^11) and milliseconds in [10^11, 10^14): the two ranges do not meet, and no time of a real log
lies outside both. Any other number (a counter, microseconds, nanoseconds) is refused, not guessed at.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import numpy as np
import numpy.typing as npt

from stream.events.schema import Time

Unit = Literal["auto", "s", "ms", "iso"]
Times = npt.NDArray[np.int64]

NO_TIME = -(2**63)  # nothing was given
BAD_TIME = -(2**63) + 1  # something was given that is no time

SECONDS_FROM, MILLIS_FROM, END = 10**8, 10**11, 10**14


def read_times(raw: Sequence[Time | None], unit: Unit) -> Times:
    """Read n times: ms, int64 (n,), ``NO_TIME`` and ``BAD_TIME`` where there is none.

    Examples
    --------
    >>> read_times([1_736_150_400, 1_736_150_400_000], "auto")
    array([1736150400000, 1736150400000])
    >>> read_times(["2025-01-06T09:00:00+01:00", "1736150400.25"], "auto")
    array([1736150400000, 1736150400250])
    """
    if set(map(type, raw)) == {int}:
        try:
            return _from_numbers(np.array(raw, np.int64), unit)
        except OverflowError:  # one of them has more than 64 bits; below each is looked at on its own
            pass
    return np.array([read_time(x, unit) for x in raw], np.int64)


def read_time(raw: Time | None, unit: Unit) -> int:
    """Read one time: ms, ``NO_TIME`` or ``BAD_TIME``. Without a zone it is UTC; before 1970 it is bad."""
    if raw is None or raw == "":
        return NO_TIME
    if isinstance(raw, str):
        if "-" in raw or ":" in raw:
            return _from_iso(raw) if unit in ("auto", "iso") else BAD_TIME
        try:
            raw = float(raw)
        except ValueError:
            return BAD_TIME
    seconds, millis = _ranges(unit)
    if seconds[0] <= raw < seconds[1]:
        return round(raw * 1000)
    return round(raw) if millis[0] <= raw < millis[1] else BAD_TIME


def describe(unit: Unit) -> str:
    """Say what is taken as a time, to whoever sent something else."""
    return {
        "auto": "seconds (9 to 11 digits), milliseconds (12 to 14 digits) or ISO 8601, from 1973 on",
        "s": "seconds since 1970",
        "ms": "milliseconds since 1970",
        "iso": "ISO 8601, such as 2025-01-06T08:00:00Z",
    }[unit]


def _ranges(unit: Unit) -> tuple[tuple[int, int], tuple[int, int]]:
    """Give half-open ranges of numbers that are seconds, and that are milliseconds."""
    return {
        "auto": ((SECONDS_FROM, MILLIS_FROM), (MILLIS_FROM, END)),
        "s": ((0, MILLIS_FROM), (0, 0)),
        "ms": ((0, 0), (0, END)),
        "iso": ((0, 0), (0, 0)),
    }[unit]


def _from_numbers(numbers: npt.NDArray[np.int64], unit: Unit) -> Times:
    seconds, millis = _ranges(unit)
    is_seconds = (seconds[0] <= numbers) & (numbers < seconds[1])
    is_millis = (millis[0] <= numbers) & (numbers < millis[1])
    scaled = np.where(is_seconds, numbers, 0) * 1000  # zero elsewhere, or a huge number would overflow
    return np.where(is_seconds, scaled, np.where(is_millis, numbers, BAD_TIME))


def _from_iso(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return BAD_TIME
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    millis = round(moment.timestamp() * 1000)
    return millis if millis >= 0 else BAD_TIME
