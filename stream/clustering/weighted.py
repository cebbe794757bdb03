"""Production mode of ``StreamingKMeans``: mini-batches, weights that fade with a half-life, permanent ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.clustering import kernels
from stream.clustering.assign import (
    NOT_FINITE,
    Floats,
    as_rows,
    assign,
    assign_sticky,
    squared_lengths,
    unit_rows,
)
from stream.clustering.device import assign_there, on_device, sums_there
from stream.clustering.seeding import seed_centres
from stream.clustering.stats import ClusterStats
from stream.errors import NotReady

Ids = npt.NDArray[np.int64]
PARTS = ("ids", "means", "centres", "weights", "errors")  # one row a cluster


class WeightedCentres:
    """Mini-batch k-means (Sculley, 2010) in which centres are means of points, older ones counting less.

    Everything older than ``half_life`` counts half. Decay scales all clusters alike, so it is applied once a
    fold, and nothing grows without bound.

    Parameters
    ----------
    n_clusters
        How many centres are seeded.
    half_life
        In events, or in whatever unit ``elapsed`` is given to ``fold``.
    spherical
        Compare by angle: centres have unit length, points count as if they had.
    seed, warm_up
        ``learn_many`` seeds by k-means++ on its first ``warm_up * n_clusters`` points, unless ``seed_with``
        came first.
    """

    def __init__(self, n_clusters: int, half_life: float, spherical: bool, seed: int | None, warm_up: int):
        if n_clusters < 1 or half_life <= 0 or warm_up < 1:
            raise ValueError(
                "n_clusters and warm_up must be 1 or more and half_life above 0, "
                f"not {n_clusters}, {warm_up} and {half_life}"
            )
        self.n_clusters, self.half_life = n_clusters, half_life
        self.spherical, self.seed, self.warm_up = spherical, seed, warm_up
        self.pace = 1.0  # how many times as fast as half_life says the past fades; drift raises it
        self.next_id = 0
        self.waiting = np.zeros((0, 0), np.float32)  # points kept until there are enough to seed from
        self._place(np.zeros((0, 0), np.float32), np.zeros(0, np.int64))

    def _place(self, centres: Floats, ids: Ids) -> None:
        self.ids = ids  # (k,) ascending
        self.means = centres.copy()  # (k, d) means of the points; centres are these, or their directions
        self.centres = centres.copy()
        self.weights = np.zeros(len(ids), np.float64)  # (k,) decayed
        self.errors = np.zeros(len(ids), np.float64)  # (k,) decayed weighted squared distances

    @property
    def ready(self) -> bool:
        """Whether there are centres."""
        return len(self.ids) > 0

    def seed_with(self, centres: npt.ArrayLike, ids: npt.ArrayLike | None = None) -> None:
        """Start from ``centres`` (k, d), with no weight yet; ``ids`` (k,) ascending, or the next free ones.

        Raises
        ------
        ValueError
            If an id was used before, or they do not ascend.
        """
        rows = as_rows(centres)
        if self.spherical:
            rows = unit_rows(rows)
        new = np.arange(self.next_id, self.next_id + len(rows)) if ids is None else np.asarray(ids, np.int64)
        if len(new) != len(rows) or (np.diff(new) <= 0).any() or (len(new) and new[0] < self.next_id):
            raise ValueError(
                f"ids must ascend from {self.next_id} or above, one a centre: ids are never reused"
            )
        self._place(rows, new)
        self.next_id = int(new[-1]) + 1 if len(new) else self.next_id
        self.waiting = np.zeros((0, rows.shape[1]), np.float32)

    def accumulate(
        self, X: Any, weights: npt.ArrayLike | None = None, ids: Ids | None = None
    ) -> ClusterStats:
        """Sum up what ``X`` (n, d), counting ``weights`` (n,) or 1 a row, says of the clusters; pure.

        Parameters
        ----------
        ids
            Clusters the rows are counted to, (n,), all alive; by default the nearest.

        Raises
        ------
        NotReady
            Before there are centres.
        ValueError
            If shapes do not fit, a row is not finite, or a weight is negative or not finite.
        """
        count = _weights(weights, len(X))
        if on_device(X) and ids is None:
            self._check(X)
            weight, sums, error = sums_there(X, self.centres, count, self.spherical)
        else:
            weight, sums, error = self._sums(self._points(X), count, ids)
        touched = np.flatnonzero(weight)
        return ClusterStats(self.ids[touched], weight[touched], sums[touched], error[touched])

    def _sums(
        self, points: Floats, count: Floats, ids: Ids | None
    ) -> tuple[npt.NDArray[np.float64], Floats, npt.NDArray[np.float64]]:
        if ids is None:
            rows, distances = assign(points, self.centres, self.spherical)
        else:
            rows = self.rows_of(ids)
            distances = self._distances(points, rows)
        k, d = self.centres.shape
        weight, sums, error = np.zeros(k), np.zeros((k, d), np.float32), np.zeros(k)
        kernels.add_rows(points, count, rows, distances, self.spherical, weight, sums, error)
        return weight, sums, error

    def _points(self, X: Any) -> Floats:
        points = as_rows(X)
        self._check(points)
        return points

    def _check(self, points: Any) -> None:
        if not self.ready:
            raise NotReady("the clusters have no centres yet; seed them first")
        d = self.centres.shape[1]
        if points.shape[1] != d:
            raise ValueError(f"vectors have {points.shape[1]} dimensions, the centres {d}")

    def _distances(self, X: Floats, rows: Ids) -> Floats:
        if (rows < 0).any():
            raise ValueError(
                "a point is counted to a cluster that does not exist; map ids through the lineage first"
            )
        scaled = unit_rows(X) if self.spherical else X
        return np.asarray(((scaled - self.centres[rows]) ** 2).sum(axis=1), np.float32)

    def fold(
        self, stats: ClusterStats, lineage: Mapping[int, int] | None = None, elapsed: float | None = None
    ) -> float:
        """Learn ``stats``; the weight left out, as its cluster is gone and ``lineage`` names no heir.

        Parameters
        ----------
        lineage
            Cluster that took over from one that is gone.
        elapsed
            What the past fades by, in the unit of ``half_life``; by default the weight of ``stats``: events.
        """
        total = float(stats.weight.sum())
        fade = 0.5 ** (self.pace * (total if elapsed is None else elapsed) / self.half_life)
        self.weights *= fade
        self.errors *= fade
        rows = self.rows_of(stats.ids)
        if lineage and (rows < 0).any():
            rows = self.rows_of(np.array([lineage.get(int(i), int(i)) for i in stats.ids], np.int64))
        known = np.flatnonzero(rows >= 0)
        kernels.fold_rows(
            self.means, self.centres, self.weights, self.errors, rows[known],
            stats.sums[known], stats.weight[known], stats.error[known], self.spherical,
        )  # fmt: skip
        return total - float(stats.weight[known].sum())

    def rows_of(self, ids: npt.ArrayLike) -> Ids:
        """Rows of ``ids`` (n,), -1 where there is no such cluster."""
        wanted = np.asarray(ids, np.int64)
        rows = np.searchsorted(self.ids, wanted)
        rows[rows == len(self.ids)] = 0
        if not self.ready:
            return np.full(len(wanted), -1, np.int64)
        return np.where(self.ids[rows] == wanted, rows, -1).astype(np.int64)

    def learn_many(self, X: Any, weights: npt.ArrayLike | None = None) -> None:
        """Learn the rows of ``X`` (n, d), or keep them until there are enough to seed from.

        Rows that are waited for count one each.
        """
        if self.ready:
            self.fold(self.accumulate(X, weights))
        else:
            self._wait(as_rows(X))

    def learn_one(self, x: npt.NDArray[np.float64]) -> int | None:
        """Learn the point ``x`` (d,) as ``learn_many`` would: its cluster, or None before there is one."""
        if not self.ready:
            self._wait(x[None].astype(np.float32))
            return None
        fade = 0.5 ** (self.pace / self.half_life)
        row = kernels.learn_one(
            x.astype(np.float32), self.means, self.centres, self.weights, self.errors, fade, self.spherical
        )
        if row < 0:
            raise ValueError(NOT_FINITE)
        return int(self.ids[row])

    def predict_one(self, x: npt.NDArray[np.float64]) -> int | None:
        """Id of the cluster nearest to ``x`` (d,); None before there are any."""
        if not self.ready:
            return None
        point = x.astype(np.float32)
        row, distance = kernels.nearest_one(point, self.centres, kernels.unit_scale(point, self.spherical))
        if not np.isfinite(distance):
            raise ValueError(NOT_FINITE)
        return int(self.ids[row])

    def _wait(self, X: Floats) -> None:
        squared_lengths(X)  # refuses what is not finite, before it is among the others
        points = np.vstack([self.waiting, X]) if len(self.waiting) else X.copy()
        self.waiting = points
        if len(points) >= self.warm_up * self.n_clusters:
            self.seed_with(seed_centres(points, self.n_clusters, self.seed or 0, spherical=self.spherical))
            self.fold(self.accumulate(points))

    def predict_many(self, X: Any, current: Ids | None = None, margin: float = 0.0) -> Ids | None:
        """Ids of the nearest clusters, int64 (n,); None before there are any.

        Parameters
        ----------
        current
            Clusters the rows are in now, (n,), -1 for none. They stay unless another centre is clearly
            nearer: see ``assign_sticky``.
        """
        if not self.ready:
            return None
        if on_device(X) and current is None:
            self._check(X)
            found: Ids = self.ids[assign_there(X, self.centres, self.spherical)[1].cpu().numpy()]
            return found
        points = self._points(X)
        if current is None:
            return self.ids[assign(points, self.centres, self.spherical)[0]]
        return self.ids[assign_sticky(points, self.centres, self.rows_of(current), margin, self.spherical)]

    def reshape(self, gone: Ids, ids: Ids, means: Floats, weights: Any, errors: Any) -> None:
        """Take clusters ``gone`` out; put ``ids`` (p,) with means (p, d), weights and errors in, or in place.

        Raises
        ------
        ValueError
            If a new id was used before.
        """
        new = ids[self.rows_of(ids) < 0]
        if len(new) and new.min() < self.next_id:
            raise ValueError(f"ids are never reused; the next is {self.next_id}, not {new.min()}")
        stay = ~np.isin(self.ids, np.concatenate([gone, ids]))
        order = np.argsort(np.concatenate([self.ids[stay], ids]), kind="stable")
        centres = unit_rows(means) if self.spherical else means
        for name, value in zip(PARTS, (ids, means, centres, weights, errors), strict=True):
            setattr(self, name, np.concatenate([getattr(self, name)[stay], value])[order])
        self.next_id = max(self.next_id, int(ids.max()) + 1 if len(ids) else 0)

    def widen(self, dimensions: int) -> None:
        """Give every vector further coordinates, all 0, so that it has ``dimensions``."""
        for name in ("means", "centres", "waiting"):
            array = getattr(self, name)
            setattr(self, name, np.pad(array, ((0, 0), (0, dimensions - array.shape[1]))))

    def state(self) -> dict[str, Any]:
        """Arrays and scalars that ``restore`` rebuilds this from."""
        arrays = {
            name: getattr(self, name).copy()
            for name in ("ids", "means", "centres", "weights", "errors", "waiting")
        }
        return {**arrays, "next_id": self.next_id, "pace": self.pace}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what ``state`` gave."""
        self.ids = np.array(state["ids"], np.int64)
        for name in ("means", "centres", "waiting"):
            setattr(self, name, np.array(state[name], np.float32))
        for name in ("weights", "errors"):
            setattr(self, name, np.array(state[name], np.float64))
        self.next_id, self.pace = int(state["next_id"]), float(state["pace"])


def _weights(weights: npt.ArrayLike | None, n: int) -> Floats:
    if weights is None:
        return np.zeros(0, np.float32)
    count = np.ascontiguousarray(weights, np.float32)
    # `not >=` is true of NaN, too.
    if count.shape != (n,) or not (count >= 0).all() or not np.isfinite(count).all():
        raise ValueError(f"weights must be {n} finite numbers, none of them negative")
    return count
