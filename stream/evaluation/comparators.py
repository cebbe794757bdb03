"""What lists are measured against: other ways to make them, behind the same protocol and at the same steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from stream.errors import ConfigError
from stream.evaluation.lists import padded, without
from stream.evaluation.past import Asked, Hashes, Targets
from stream.evaluation.scores import POPULAR
from stream.hashing import HashIndex

# Half-life of popularity, as a share of the log's time: short enough to follow fashion, long enough to count. It is to
# popularity's advantage that the log's length is known.
POPULAR_SHARE = 1 / 12


class Comparator(Protocol):
    """Makes lists of ``k`` from what came before the batch, and from what each user has had before the step."""

    def lists(self, asked: Asked, k: int) -> tuple[Hashes, Hashes]:
        """Lists for m steps, uint64 (m, k) each, 0 where there are no more: of all items, and of new ones only."""

    def learn(self, asked: Asked, targets: Targets) -> None:
        """Take in a batch."""


class Popular:
    """What was wanted most, with decay in time; the same for everybody."""

    def __init__(self, span_ms: int) -> None:
        self._half_life = max(span_ms * POPULAR_SHARE, 1.0)
        self._start: int | None = None
        self.index = HashIndex()  # rows of the items that were ever wanted
        self.counts = np.zeros(0)  # by row

    def chart(self) -> Hashes:
        """All items, the most popular first; equals by their hashes."""
        keys = self.index.keys
        return keys[np.lexsort((keys, -self.counts))]

    def lists(self, asked: Asked, k: int) -> tuple[Hashes, Hashes]:
        """See ``Comparator``."""
        longest = max((len(items) for items in asked.had), default=0)
        chart = self.chart()[: k + longest]
        everybody = padded([chart] * len(asked.had), k)
        return everybody[:, :k], without(everybody, asked.had)[:, :k]

    def learn(self, asked: Asked, targets: Targets) -> None:
        """See ``Comparator``."""
        if not len(targets.item):
            return
        rows = self.index.insert(targets.item)
        self.counts = np.pad(self.counts, (0, len(self.index) - len(self.counts)))
        np.add.at(self.counts, rows, self._weights(asked.time[targets.place]))

    def _weights(self, time: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Newer counts weigh more, where older ones keep their weight (forward decay): at most 2^12 times."""
        if self._start is None:
            self._start = int(time[0])
        return np.exp2((time - self._start) / self._half_life)


class Repeats:
    """What the user has had, the last first and of equals the popular first; then what is popular."""

    def __init__(self, span_ms: int) -> None:
        self._popular = Popular(span_ms)

    def lists(self, asked: Asked, k: int) -> tuple[Hashes, Hashes]:
        """See ``Comparator``."""
        _, new = self._popular.lists(asked, k)
        every = [
            np.concatenate([self._own(items, times)[:k], rest])[:k]
            for items, times, rest in zip(asked.had, asked.had_at, new, strict=True)
        ]
        return padded(every, k), new

    def learn(self, asked: Asked, targets: Targets) -> None:
        """See ``Comparator``."""
        self._popular.learn(asked, targets)

    def _own(self, items: Hashes, times: npt.NDArray[np.int64]) -> Hashes:
        rows = self._popular.index.find(items)
        counts = np.append(self._popular.counts, 0)[rows]  # -1, for one that was never wanted, finds the last
        return items[np.lexsort((items, -counts, -times))]


# Made with the log's time in ms.
SIMPLE: dict[str, Callable[[int], Comparator]] = {POPULAR: Popular, "repeats": Repeats}
REFITTED = ("item-knn", "bm25", "als")
COMPARATORS = (*SIMPLE, *REFITTED)


def make_comparators(names: Iterable[str], span_ms: int, fits: Iterable[int]) -> dict[str, Comparator]:
    """Make those called ``names``, in this order; batch models are fitted anew at the steps ``fits``.

    Raises ConfigError for a name that is none, or one whose library is not installed.
    """
    made: dict[str, Comparator] = {}
    for name in names:
        if name in SIMPLE:
            made[name] = SIMPLE[name](span_ms)
        elif name in REFITTED:
            made[name] = _refitted(name, span_ms, list(fits))
        else:
            raise ConfigError(f"there is no comparator {name!r}: take some of {', '.join(COMPARATORS)}")
    return made


def _refitted(name: str, span_ms: int, fits: list[int]) -> Comparator:
    try:
        from stream.evaluation.refitted import Refitted
    except ModuleNotFoundError as error:
        if error.name != "implicit":
            raise
        raise ConfigError(
            f"the comparator {name!r} needs the library implicit: pip install 'shoal[compare]'"
        ) from error
    return Refitted(name, Popular(span_ms), fits)
