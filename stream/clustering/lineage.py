"""What becomes of clusters: events of their lives, and who took over from those that are gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

# Gone clusters that are remembered. Deltas against older ones are dropped and users of older ones assigned
# anew; at a life-cycle step per minute this is a week.
REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class LineageEvent:
    """One step in the life of a cluster."""

    cluster: int
    kind: Literal["born", "split", "merged", "retired"]
    reason: str  # 'k', 'wide', 'dead', 'twin', 'spare' (of more use elsewhere), 'refit', 'found', 'lost' (by River's)
    parents: tuple[int, ...] = ()  # of one that was born
    heir: int | None = None  # of one that is gone


class Lineage(Mapping[int, int]):
    """Gone cluster -> the living one that took over, through as many steps as it takes.

    Examples
    --------
    >>> lineage = Lineage()
    >>> lineage.fold([LineageEvent(1, "merged", "twin", heir=2)])
    >>> lineage.fold([LineageEvent(2, "merged", "twin", heir=5)])
    >>> lineage.resolve(np.array([1, 2, 3]))
    array([5, 5, 3])
    """

    def __init__(self, heirs: Mapping[int, int] | None = None) -> None:
        self._heirs = dict(heirs or {})

    def __getitem__(self, cluster: int) -> int:
        return self._heirs[cluster]

    def __iter__(self) -> Iterator[int]:
        return iter(self._heirs)

    def __len__(self) -> int:
        return len(self._heirs)

    def fold(self, events: Iterable[LineageEvent]) -> None:
        """Take in what happened."""
        for event in events:
            if event.heir is None:
                continue
            for gone, heir in self._heirs.items():
                if heir == event.cluster:
                    self._heirs[gone] = event.heir
            self._heirs[event.cluster] = event.heir
        while len(self._heirs) > REMEMBERED:
            del self._heirs[next(iter(self._heirs))]

    def resolve(self, clusters: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Living clusters for ``clusters`` (n,); those that are not gone stand for themselves."""
        if not self._heirs:
            return clusters
        distinct, inverse = np.unique(clusters, return_inverse=True)
        return np.array([self._heirs.get(int(c), int(c)) for c in distinct], np.int64)[inverse]

    def state(self) -> npt.NDArray[np.int64]:
        """Pairs (gone, heir), int64 (n, 2), oldest first."""
        return np.array(list(self._heirs.items()), np.int64).reshape(-1, 2)

    @classmethod
    def from_state(cls, pairs: npt.NDArray[np.int64]) -> Lineage:
        """Make the lineage that gave ``state``."""
        return cls({int(gone): int(heir) for gone, heir in pairs})
