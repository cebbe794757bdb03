"""What lists are measured against: simple ways to make them, behind the same protocol."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from stream.evaluation.lists import without
from stream.evaluation.past import Asked, Hashes, Targets
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
        self._index = HashIndex()
        self._counts = np.zeros(0)
        self._start: int | None = None

    def chart(self) -> Hashes:
        """All items, the most popular first; equals by their hashes."""
        keys = self._index.keys
        return keys[np.lexsort((keys, -self._counts))]

    def lists(self, asked: Asked, k: int) -> tuple[Hashes, Hashes]:
        """See ``Comparator``."""
        longest = max((len(items) for items in asked.had), default=0)
        chart = self.chart()[: k + longest]
        chart = np.pad(chart, (0, max(k - len(chart), 0)))
        everybody = np.tile(chart, (len(asked.had), 1))
        return everybody[:, :k], without(everybody, asked.had)[:, :k]

    def learn(self, asked: Asked, targets: Targets) -> None:
        """See ``Comparator``."""
        if not len(targets.item):
            return
        rows = self._index.insert(targets.item)
        self._counts = np.pad(self._counts, (0, len(self._index) - len(self._counts)))
        np.add.at(self._counts, rows, self._weights(asked.time[targets.place]))

    def _weights(self, time: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Newer counts weigh more, where older ones keep their weight (forward decay): at most 2^12 times."""
        if self._start is None:
            self._start = int(time[0])
        return np.exp2((time - self._start) / self._half_life)
