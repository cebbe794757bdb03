"""How lists were met: recall and NDCG, over all steps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from stream.evaluation.lists import places
from stream.evaluation.past import Asked, Hashes, Targets

AMONG = ("all", "new")

# By what made them, two lists for each step: of all items, and of items new to the user.
Lists = Mapping[str, tuple[Hashes, Hashes]]
Scores = dict[str, float]


def score(step: npt.NDArray[np.int64], place: npt.NDArray[np.int16], k: int) -> Scores:
    """Means over steps of ``recall@k``, ``ndcg@k`` and ``hit_rate@k``, and how many ``steps``.

    ``place`` (t,) is where each target of its ``step`` (t,) was in a list of ``k``, from 0, or negative.
    Recall is hits / min(targets, k); NDCG has gain 1.

    Examples
    --------
    >>> score(np.array([4, 4]), np.array([0, -1], np.int16), k=20)["recall@20"]
    0.5
    """
    names = (f"recall@{k}", f"ndcg@{k}", f"hit_rate@{k}")
    if not len(step):
        return dict.fromkeys(names, 0.0) | {"steps": 0}
    numbers, step = np.unique(step, return_inverse=True)
    n = len(numbers)
    hit = place >= 0
    discount = 1 / np.log2(np.arange(2, k + 2))
    targets = np.minimum(np.bincount(step, minlength=n), k)
    hits = np.bincount(step[hit], minlength=n)
    gains = np.bincount(step[hit], discount[place[hit]], minlength=n)
    found = (hits / targets, gains / np.cumsum(discount)[targets - 1], hits > 0)
    return {name: float(x.mean()) for name, x in zip(names, found, strict=True)} | {"steps": n}


class Scoreboard:
    """Collects where targets stood in lists of ``k``; steps before the one numbered ``teach`` only teach."""

    def __init__(self, k: int, teach: int = 0) -> None:
        self.k, self.teach = k, teach
        self._step: list[npt.NDArray[np.int64]] = []
        self._new: list[npt.NDArray[np.bool_]] = []
        self._places: dict[tuple[str, str], list[npt.NDArray[np.int16]]] = {}

    def add(self, asked: Asked, targets: Targets, lists: Lists) -> None:
        """Take in a batch."""
        counted = asked.step[targets.place] >= self.teach
        at, item = targets.place[counted], targets.item[counted]
        self._step.append(asked.step[at])
        self._new.append(targets.new[counted])
        for name, both in lists.items():
            for among, made in zip(AMONG, both, strict=True):
                self._places.setdefault((name, among), []).append(places(made, at, item))

    def by_protocol(self) -> dict[str, dict[str, Scores | dict[str, Scores]]]:
        """Scores of ``fresh`` and ``live`` lists, over ``all`` and ``new`` targets, with ``popular`` at the same steps.

        ``live`` counts the steps of users who had a list, ``new`` those with a target that was new.
        """
        found: dict[str, dict[str, Scores | dict[str, Scores]]] = {}
        for protocol in ("fresh", "live"):
            found[protocol] = {
                **self._scores(protocol, protocol),
                "popular": self._scores("popular", protocol),
            }
        return found

    def _scores(self, name: str, protocol: str) -> dict[str, Scores]:
        return {among: self._score(name, among, protocol) for among in AMONG}

    def _score(self, name: str, among: str, protocol: str) -> Scores:
        """Score the lists of ``name`` where there was one of ``protocol``."""
        if not self._step:
            return score(np.empty(0, np.int64), np.empty(0, np.int16), self.k)
        counted = np.concatenate(self._places[protocol, "all"]) > -2
        if among == "new":
            counted &= np.concatenate(self._new)
        place = np.concatenate(self._places[name, among])
        return score(np.concatenate(self._step)[counted], place[counted], self.k)
