"""Who is who when centres have been found anew: clusters keep their ids, are born, split, merge or retire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from stream.clustering.assign import Floats, assign
from stream.clustering.lineage import LineageEvent
from stream.clustering.weighted import Ids, WeightedCentres


@dataclass(frozen=True, slots=True)
class Succession:
    """Clusters that take the place of all there were."""

    ids: Ids  # (k,) ascending
    means: Floats  # (k, d)
    sizes: npt.NDArray[np.float64]  # (k,) of the sample
    errors: npt.NDArray[np.float64]  # (k,) summed over the sample
    gone: Ids  # (g,)
    events: list[LineageEvent]


def succeed(old: WeightedCentres, sample: Floats, found: Floats, dead: float) -> Succession:
    """Say what the clusters ``old`` become when ``found`` (k, d) follow, by where the ``sample`` (m, d) goes.

    A cluster lives on where the largest part of its users are, unless more of another's are there. One that weighs
    ``dead`` times the mean or less retires, of the others those that are close to another merge as twins.
    """
    k, (rows, away) = len(found), assign(sample, found)
    before, distances = assign(sample, old.centres)
    shared = np.zeros((len(old.ids), k))
    np.add.at(shared, (before, rows), 1)
    ids = _kept(old, shared)
    born = np.flatnonzero(ids < 0)
    ids[born] = old.next_id + np.arange(len(born))
    events: list[LineageEvent] = []
    parents = old.ids[shared.argmax(axis=0)]
    for n in born.tolist():
        parent, split = int(parents[n]), bool((ids == parents[n]).any())
        if split:
            events.append(LineageEvent(parent, "split", "wide"))
        events.append(LineageEvent(int(ids[n]), "born", "wide" if split else "refit", parents=(parent,)))
    lost = np.flatnonzero(~np.isin(old.ids, ids))
    heirs = ids[_heirs(old, shared, found)]
    for o in lost.tolist():
        reason = _reason(old, o, float(distances.mean()), dead)
        kind: Literal["retired", "merged"] = "retired" if reason == "dead" else "merged"
        events.append(LineageEvent(int(old.ids[o]), kind, reason, heir=int(heirs[o])))
    sizes = np.bincount(rows, minlength=k).astype(np.float64)
    errors = np.bincount(rows, away, k).astype(np.float64)
    order = np.argsort(ids)
    means = _means(sample, rows, found)
    return Succession(ids[order], means[order], sizes[order], errors[order], old.ids[lost], events)


def _kept(old: WeightedCentres, shared: npt.NDArray[np.float64]) -> Ids:
    """Ids of the clusters found, -1 where none of the old ones goes on."""
    ids = np.full(shared.shape[1], -1, np.int64)
    for o, n in zip(*linear_sum_assignment(-shared), strict=True):
        if shared[o, n] and shared[o, n] == shared[o].max():
            ids[n] = old.ids[o]
    return ids


def _heirs(old: WeightedCentres, shared: npt.NDArray[np.float64], found: Floats) -> Ids:
    """Rows of ``found`` that take over from each of the old, where none of the sample is in it the nearest."""
    return np.where(shared.any(axis=1), shared.argmax(axis=1), assign(old.centres, found)[0])


def _means(X: Floats, rows: Ids, centres: Floats) -> Floats:
    """Means of the rows of each centre; of one that has none, itself."""
    sums = np.zeros(centres.shape, np.float64)
    np.add.at(sums, rows, X)
    sizes = np.bincount(rows, minlength=len(centres))[:, None]
    return np.where(sizes > 0, sums / np.maximum(sizes, 1), centres).astype(np.float32)


def _reason(old: WeightedCentres, row: int, error: float, dead: float) -> str:
    if old.weights[row] <= dead * old.weights.mean():
        return "dead"
    away = ((old.centres - old.centres[row]) ** 2).sum(axis=1)
    away[row] = np.inf
    return "twin" if away.min() < error else "spare"
