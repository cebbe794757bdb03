"""How far a worker's model is behind the end of the model log: noted after each look at the log, said now and then."""

from __future__ import annotations

import structlog

from stream.clock import Clock

log = structlog.get_logger()

# Rarely enough for a log that people read, often enough to see when it began.
SAY_EVERY_S = 60.0


class ModelLag:
    """The lag in offsets of the log, and in time. Belongs to the processing thread.

    Examples
    --------
    >>> from stream.clock import ManualClock
    >>> lag = ModelLag(clock := ManualClock())
    >>> lag.note(3, version=7)
    >>> clock.sleep(2)
    >>> lag.note(5, version=7)
    >>> lag.offsets, lag.ms
    (5, 2000)
    >>> lag.note(0, version=12)
    >>> lag.offsets, lag.ms
    (0, 0)
    """

    def __init__(self, clock: Clock) -> None:
        self.offsets = (
            0  # records of the log, open transactions and their ends included, that are not folded yet
        )
        self.ms = 0  # since the model was last seen at the end of the log; 0 where it is there
        self._clock = clock
        self._current_at = self._said_at = clock.monotonic()

    def note(self, offsets: int, version: int) -> None:
        """Hear that the model of ``version`` is ``offsets`` behind now."""
        now = self._clock.monotonic()
        if not offsets:
            self._current_at = now
        self.offsets, self.ms = offsets, round((now - self._current_at) * 1000)
        if now - self._said_at >= SAY_EVERY_S:
            self._said_at = now
            log.info("model", version=version, lag=self.offsets, lag_ms=self.ms)
