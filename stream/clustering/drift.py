"""Noticing that users have changed, and adapting faster until the clusters have followed."""

from __future__ import annotations

from dataclasses import dataclass

from river import drift

USUAL = (
    8  # first errors, whose mean is the usual one; of fewer it is off, and with it how far errors may rise
)
# Share of the usual error that may be added or taken off; what lies beyond counts as that. Means over 64 events vary by
# some 7 %. Narrower, all that is seen is above or below; wider, a change is noticed late.
RANGE = 0.25


@dataclass(frozen=True, slots=True)
class DriftEvent:
    """A decision about how fast the past fades."""

    kind: str  # 'drift' or 'settled'
    pace: float  # the half-life is divided by it from now on
    error: float  # mean squared distance to the centres of the batch that told


class DriftDetector:
    """ADWIN (Bifet and Gavaldà, 2007) on the quantisation error of what users take, in means over some events.

    It holds the learner's memory of late errors, nothing of the model: what it says becomes a decision in the
    log, and a learner that starts anew needs some 30 errors before it can see a drift.

    Parameters
    ----------
    delta
        Chance of a false alarm at a check, by a bound that is far from tight: .02 gave none on steady generated logs
        and noticed an abrupt change of three users in ten 3,000 events earlier than River's .002. Larger alarms for
        noise, smaller notices late.
    pace
        How many times as fast the past fades during a drift. With 8 centres follow within an eighth of the
        half-life; far above it they are made of a handful of points.
    settle
        Errors in a row without a further alarm after which the drift is over; about the window that ADWIN
        keeps.

    ADWIN's bound is for values that may be anywhere between 0 and 1. Errors lie within a few per cent of each other, so
    ``RANGE`` about the usual one is spread over that: else a rise by a half is noticed as late as a biased coin.

    Examples
    --------
    >>> detector = DriftDetector()
    >>> [detector.update(0.2 + 0.01 * (i % 3)) for i in range(100)] == [None] * 100
    True
    >>> [event.kind for i in range(100) if (event := detector.update(0.6 + 0.01 * (i % 3)))]
    ['drift', 'settled']
    """

    def __init__(self, delta: float = 0.02, pace: float = 8.0, settle: int = 32) -> None:
        self.pace, self.settle = pace, settle
        self.delta = delta
        self._start()

    def _start(self) -> None:
        self.forget()
        self._calm = -1  # errors since the last alarm; -1: no drift

    def forget(self) -> None:
        """Forget all errors so far: after a drift, or in a new space, another level is the normal one."""
        # Checked at each error: each stands for many events, and River's default of every 32 would be late.
        self._adwin = drift.ADWIN(delta=self.delta, clock=1)  # type: ignore[no-untyped-call]
        self._first: list[float] = []

    @property
    def drifting(self) -> bool:
        """Whether there was an alarm, and no calm since."""
        return self._calm >= 0

    def resume(self) -> None:
        """Take over within a drift that another has noticed: it will be settled from here."""
        self._calm = 0

    def update(self, error: float) -> DriftEvent | None:
        """Take in the mean squared distance of some events to their users' centres, at most 4 for unit vectors."""
        if self._risen(error):
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

    def _risen(self, error: float) -> bool:
        """Whether errors are above those before, for sure; ones that fall are the clusters getting better."""
        if len(self._first) < USUAL:
            self._first.append(error)
            return False
        usual = sum(self._first) / USUAL or 1.0
        before = self._adwin.estimation
        self._adwin.update(min(max(0.5 + (error / usual - 1) / (2 * RANGE), 0.0), 1.0))  # type: ignore[no-untyped-call]
        if not self._adwin.drift_detected:
            return False
        risen = bool(self._adwin.estimation > before)
        self.forget()
        return risen
