"""How widely lists reach, and what their places come from."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stream.evaluation.past import Asked, Targets
from stream.evaluation.scores import AMONG, Lists

Sources = npt.NDArray[np.uint8]


class Spread:
    """Notes which items lists hold, and which sources the items of fresh lists come from."""

    def __init__(self, first: int = 0) -> None:
        self.first = first
        self._items: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
        self._listed: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self._hits: defaultdict[str, Counter[int]] = defaultdict(Counter)

    def add(self, asked: Asked, targets: Targets, lists: Lists, sources: tuple[Sources, Sources]) -> None:
        """Take in a batch; ``sources`` (m, k) each are those of the ``fresh`` lists."""
        counted = asked.step >= self.first
        for name, both in lists.items():
            for among, made in zip(AMONG, both, strict=True):
                self._items[name, among].update(np.unique(made[counted]).tolist())
        wanted = counted[targets.place]
        for among, made, source in zip(AMONG, lists["fresh"], sources, strict=True):
            asking = wanted & targets.new if among == "new" else wanted
            place, item = targets.place[asking], targets.item[asking]
            there = (np.bincount(place, minlength=len(made)) > 0)[:, None] & (made != 0)
            self._listed[among].update(source[there].tolist())
            self._hits[among].update(source[place][made[place] == item[:, None]].tolist())

    def coverage(self, items: int) -> dict[str, dict[str, float]]:
        """Share of ``items`` that were in any list, by what made it."""
        found: dict[str, dict[str, float]] = {}
        for (name, among), listed in sorted(self._items.items()):
            found.setdefault(name, {})[among] = len(listed - {0}) / max(items, 1)
        return found

    def sources(self, names: Sequence[str]) -> dict[str, dict[str, dict[str, float]]]:
        """By source the share of the fresh lists' places, the share of their hits, and hits per place.

        ``names`` are those of the sources by number. An item goes to the source that speaks loudest for it.
        """
        found: dict[str, dict[str, dict[str, float]]] = {}
        for among in AMONG:
            listed, hits = (_by_name(count[among], names) for count in (self._listed, self._hits))
            found[among] = {
                name: {
                    "places": listed[name] / max(listed.total(), 1),
                    "hits": hits[name] / max(hits.total(), 1),
                    "precision": hits[name] / max(listed[name], 1),
                }
                for name in sorted({*names} | set(listed))
            }
        return found


def _by_name(counts: Counter[int], names: Sequence[str]) -> Counter[str]:
    """Several numbers may have one name."""
    found: Counter[str] = Counter()
    for number, n in sorted(counts.items()):
        found[names[number]] += n
    return found
