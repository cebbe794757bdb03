"""How lists were met: recall and NDCG, over all steps or some of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.evaluation.lists import places
from stream.evaluation.past import Asked, Hashes, Targets

AMONG = ("all", "new")
PROTOCOLS = ("fresh", "live")
POPULAR = "popular"

# By what made them, two lists for each step: of all items, and of items new to the user.
Lists = Mapping[str, tuple[Hashes, Hashes]]
Mask = npt.NDArray[np.bool_]
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
    """Collects where the targets of steps from the one numbered ``first`` on stood in lists of ``k``."""

    def __init__(self, k: int, first: int = 0) -> None:
        self.k, self.first = k, first
        self._columns: defaultdict[str, list[npt.NDArray[Any]]] = defaultdict(list)
        self._places: defaultdict[tuple[str, str], list[npt.NDArray[np.int16]]] = defaultdict(list)

    def add(self, asked: Asked, targets: Targets, lists: Lists) -> None:
        """Take in a batch: ``fresh`` and ``live`` lists, and those of comparators."""
        counted = asked.step[targets.place] >= self.first
        at, item = targets.place[counted], targets.item[counted]
        columns = {
            "step": asked.step[at],
            "time": asked.time[at],
            "earlier": asked.rows["events"][at],
            "new": targets.new[counted],
            "age": targets.age[counted],
        }
        for name, column in columns.items():
            self._columns[name].append(column)
        for name, both in lists.items():
            for among, made in zip(AMONG, both, strict=True):
                self._places[name, among].append(places(made, at, item))

    def column(self, name: str) -> npt.NDArray[Any]:
        """Give a column of all targets (t,).

        ``step``: its number; ``time``: of that, in ms; ``earlier``: events of its user before it; ``new``: whether
        the item is new to the user; ``age``: events of the log since the item first came.
        """
        parts = self._columns[name]
        return _joined(parts, np.zeros(0, np.bool_ if name == "new" else np.int64))

    def scores(self, among_targets: Mask | None = None) -> dict[str, Any]:
        """Scores of ``fresh`` and ``live`` lists, over ``all`` and ``new`` targets, with ``popular`` at the same steps.

        Those of all ``comparators`` are at the steps of ``fresh``. ``live`` counts the steps of users who had a
        list, ``new`` those with a target that was new.
        """
        found: dict[str, Any] = {
            protocol: {
                **self._scores(protocol, protocol, among_targets),
                POPULAR: self._scores(POPULAR, protocol, among_targets),
            }
            for protocol in PROTOCOLS
        }
        comparators = sorted({name for name, _ in self._places} - set(PROTOCOLS))
        found["comparators"] = {name: self._scores(name, "fresh", among_targets) for name in comparators}
        return found

    def _scores(self, name: str, protocol: str, mask: Mask | None) -> dict[str, Scores]:
        """Score the lists of ``name`` where there was one of ``protocol``."""
        step = self.column("step")
        counted = self._place(protocol, "all") > -2
        if mask is not None:
            counted = counted & mask
        masks = {"all": counted, "new": counted & self.column("new")}
        return {
            among: score(step[masks[among]], self._place(name, among)[masks[among]], self.k)
            for among in AMONG
        }

    def _place(self, name: str, among: str) -> npt.NDArray[np.int16]:
        return _joined(self._places[name, among], np.zeros(0, np.int16))


def _joined(parts: list[npt.NDArray[Any]], nothing: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """All of ``parts``, which become one."""
    parts[:] = [np.concatenate([nothing, *parts])]
    return parts[0]
