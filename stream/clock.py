"""Time as a dependency: whatever needs the wall clock is handed one."""

import time
from typing import Protocol


class Clock(Protocol):
    """What a border may ask of time. Nothing in the pipeline holds a clock: its time is the events' own."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        time.sleep(seconds)


class ManualClock:
    """A clock that moves only when told to.

    Examples
    --------
    >>> clock = ManualClock(start_ms=1_000)
    >>> clock.sleep(2.5)
    >>> clock.now_ms(), clock.monotonic()
    (3500, 2.5)
    """

    def __init__(self, start_ms: int = 0) -> None:
        self._start_ms = start_ms
        self._elapsed = 0.0

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return self._start_ms + round(self._elapsed * 1000)

    def monotonic(self) -> float:
        """Seconds since this clock was made."""
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass at once."""
        self._elapsed += seconds
