"""Noticing that users have changed, and adapting faster until the clusters have followed."""

from __future__ import annotations

from dataclasses import dataclass

from river import drift


@dataclass(frozen=True, slots=True)
class DriftEvent:
    """A decision about how fast the past fades."""

    kind: str  # 'drift' or 'settled'
    pace: float  # the half-life is divided by it from now on
    error: float  # mean squared distance to the centres of the batch that told


class DriftDetector:
    """ADWIN (Bifet and Gavaldà, 2007) on the mean quantisation error of what is folded.

    It holds the learner's memory of late errors, nothing of the model: what it says becomes a decision in the
    log, and a learner that starts anew needs some 30 deltas before it can see a drift.

    Parameters
    ----------
    delta
        Chance of a false alarm at a check. Larger alarms for noise, smaller notices late.
    pace
        How many times as fast the past fades during a drift. With 8 centres follow within an eighth of the
        half-life; far above it they are made of a handful of points.
    settle
        Errors in a row without a further alarm after which the drift is over; about the window that ADWIN
        keeps.

    Examples
    --------
    >>> detector = DriftDetector()
    >>> [detector.update(0.2 + 0.01 * (i % 3)) for i in range(100)] == [None] * 100
    True
    >>> [event.kind for i in range(100) if (event := detector.update(0.6 + 0.01 * (i % 3)))]
    ['drift', 'settled']
    """

    def __init__(self, delta: float = 0.002, pace: float = 8.0, settle: int = 32) -> None:
        self.pace, self.settle = pace, settle
        self.delta = delta
        self._start()

    def _start(self) -> None:
        self.forget()
        self._calm = -1  # errors since the last alarm; -1: no drift

    def forget(self) -> None:
        """Forget all errors so far: after a drift, or in a new space, another level is the normal one."""
        # Checked at each error: they come one a delta, and River's default of every 32 would be late.
        self._adwin = drift.ADWIN(delta=self.delta, clock=1)  # type: ignore[no-untyped-call]
        self._unit = 0.0

    @property
    def drifting(self) -> bool:
        """Whether there was an alarm, and no calm since."""
        return self._calm >= 0

    def resume(self) -> None:
        """Take over within a drift that another has noticed: it will be settled from here."""
        self._calm = 0

    def update(self, error: float) -> DriftEvent | None:
        """Take in a batch's mean squared distance to its centres, at most 4 for unit vectors."""
        # ADWIN's bound is for values between 0 and 1. Means of batches vary far less, so the first is the
        # unit: else a doubled error is noticed as late as a biased coin.
        self._unit = self._unit or error or 1.0
        before = self._adwin.estimation
        self._adwin.update(error / self._unit)  # type: ignore[no-untyped-call]
        # An error that falls is the clusters getting better, which asks for nothing.
        if self._adwin.drift_detected and self._adwin.estimation > before:
            started = self._calm < 0
            self._calm = 0
            return DriftEvent("drift", self.pace, error) if started else None
        if self._calm < 0:
            return None
        self._calm += 1
        if self._calm < self.settle:
            return None
        self._start()
        return DriftEvent("settled", 1.0, error)
