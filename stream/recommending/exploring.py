"""Exploration: some lists give their last place to a new item, to find out whether anybody wants it.

What is never shown is never taken, and so never learnt. A bandit decides which new item is tried: Thompson sampling
(Thompson, 1933; Chapelle and Li, 2011) on how often each was shown here, and taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.hashing import hash_bytes, mix

EXPLORATION = "exploration"  # how lists call it; no source of candidates
VARIANTS = ("plain", "explore")  # of lists, by whether they were drawn to try something
# Items tried at the same time: fewer starve the others of the catalogue, more take long to tell apart.
ARMS = 64
# An item that so many users have taken makes its own way.
KNOWN_TAKINGS = 5
# An item that was tried so often is known for what it is.
ENOUGH_TRIALS = 200.0
# As if each item had been tried so often, and taken so often, before: places of a list are met by some per cent.
PRIOR_TAKEN, PRIOR_PASSED = 1.0, 30.0
# Draws by which the chance of each arm is found; the error of a chance of 1/64 is then 0.4%.
DRAWS = 1_024
# Items whose trials are remembered; of more, those tried longest ago are forgotten, and are new again.
REMEMBERED = 4_096

Floats64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trials:
    """What a batch tried, and what was taken of what had been tried: hashes of items, once for each time."""

    shown: npt.NDArray[np.uint64]
    taken: npt.NDArray[np.uint64]

    @classmethod
    def none(cls) -> Trials:
        """Nothing."""
        return cls(np.empty(0, np.uint64), np.empty(0, np.uint64))


class TrialCounts:
    """How often items were tried and taken, over all workers: part of the model.

    Examples
    --------
    >>> counts = TrialCounts()
    >>> counts.fold(Trials(np.array([7, 7], np.uint64), np.array([7], np.uint64)))
    >>> counts.of(np.array([7, 8], np.uint64)).tolist()
    [[2.0, 1.0], [0.0, 0.0]]
    """

    def __init__(self) -> None:
        self._counts: dict[int, tuple[float, float]] = {}  # the one tried last comes last

    def fold(self, trials: Trials) -> None:
        """Take in what a delta carries."""
        for item in trials.shown.tolist():
            shown, taken = self._counts.pop(item, (0.0, 0.0))
            self._counts[item] = shown + 1, taken
        for item in trials.taken.tolist():
            if item in self._counts:
                shown, taken = self._counts[item]
                self._counts[item] = shown, taken + 1
        while len(self._counts) > REMEMBERED:
            del self._counts[next(iter(self._counts))]

    def of(self, items: npt.NDArray[np.uint64]) -> Floats64:
        """How often each was tried, and taken, float64 (n, 2)."""
        return np.array([self._counts.get(item, (0.0, 0.0)) for item in items.tolist()]).reshape(-1, 2)


@dataclass(frozen=True, slots=True)
class Arms:
    """The new items that may be tried now."""

    row: npt.NDArray[np.int32]  # (a,) of the item
    chance: Floats64  # (a,) of being the one that is tried; sums to 1


@dataclass(frozen=True, slots=True)
class Drawn:
    """What m lists are to try."""

    explores: npt.NDArray[np.bool_]  # (m,) whether the list was drawn to try something, if it can
    arm: npt.NDArray[np.int64]  # (m,) what it tries, -1 for nothing


def arms_among(
    new: npt.NDArray[np.int64], keys: npt.NDArray[np.uint64], counts: TrialCounts, seed: int
) -> Arms:
    """Arms of the ``new`` items (n,), by row, that were tried least; ``keys`` (rows,) are hashes.

    The chance of each is the probability that it is the best of them, given what is
    known: a Beta distribution per item.
    """
    tried = counts.of(keys[new])
    untested = tried[:, 0] < ENOUGH_TRIALS
    new, tried = new[untested], tried[untested]
    least = np.lexsort((keys[new], tried[:, 0]))[:ARMS]
    new, tried = new[least], tried[least]
    if not len(new):
        return Arms(np.empty(0, np.int32), np.empty(0))
    taken = np.minimum(tried[:, 1], tried[:, 0])
    rng = np.random.default_rng(seed)
    draws = rng.beta(PRIOR_TAKEN + taken, PRIOR_PASSED + tried[:, 0] - taken, (DRAWS, len(new)))
    wins = np.bincount(draws.argmax(axis=1), minlength=len(new))
    return Arms(new.astype(np.int32), wins / DRAWS)


def draw(
    arms: Arms,
    share: float,
    user: npt.NDArray[np.uint64],
    offset: npt.NDArray[np.int64],
    barred: npt.NDArray[np.int32],
    seed: int,
) -> Drawn:
    """Draw by lots that depend on the user and the event alone: the same log gives the same lists.

    ``barred`` int32 (m, b) are item rows that a list cannot try: what it holds, and what the user has had.
    """
    salt = offset.astype(np.uint64) + np.uint64(hash_bytes(seed.to_bytes(8, "little")))
    first = mix(user, salt)
    second = mix(first, salt)
    explores = _uniform(first) < share
    arm = np.full(len(user), -1, np.int64)
    if not len(arms.row):
        return Drawn(explores, arm)
    chosen = np.searchsorted(np.cumsum(arms.chance), _uniform(second), side="right")
    chosen = np.minimum(chosen, len(arms.row) - 1)
    free = ~(barred == arms.row[chosen][:, None]).any(axis=1)
    arm[explores & free] = chosen[explores & free]
    return Drawn(explores, arm)


def _uniform(hashes: npt.NDArray[np.uint64]) -> Floats64:
    """Numbers in [0, 1) from hashes."""
    return (hashes >> np.uint64(11)) / float(1 << 53)
