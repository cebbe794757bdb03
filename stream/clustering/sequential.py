"""River's mode of ``StreamingKMeans``: one point at a time, each pulls its nearest centre."""

from __future__ import annotations

import random
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.clustering import kernels
from stream.clustering.assign import NOT_FINITE, check_rows
from stream.clustering.features import FeatureIndex


def _finite(row: int) -> int:
    if row < 0:
        raise ValueError(NOT_FINITE)
    return row


class SequentialCentres:
    """Sequential k-means as in ``river.cluster.KMeans`` on arrays: same draws, assignments and centres.

    Coordinates of the starting centres are drawn when a feature is first learnt. River draws them when it
    predicts, too; here a prediction leaves no trace, which gives the same centres as long as what is
    predicted is learnt.

    Parameters
    ----------
    n_clusters, halflife, mu, sigma, p, seed
        As in ``river.cluster.KMeans``.
    """

    def __init__(self, n_clusters: int, halflife: float, mu: float, sigma: float, p: float, seed: int | None):
        self.halflife = halflife
        self.mu, self.sigma, self.p = mu, sigma, p
        self.features = FeatureIndex()
        self.centres = np.zeros((n_clusters, 0), np.float64)
        self._rng = random.Random(seed)  # noqa: S311 - River's own generator, for its own draws

    def learn_one(self, x: Mapping[Any, float]) -> int:
        """Move the centre nearest to ``x``; its row."""
        dense = self.features.dense(x)
        if dense is not None:
            return _finite(
                kernels.step(self.centres, dense, self.features.all_present, self.p, self.halflife)
            )
        self._grow(self.features.unknown(x))
        vector, present = self.features.vector(x)
        return _finite(kernels.step(self.centres, vector, present, self.p, self.halflife))

    def predict_one(self, x: Mapping[Any, float]) -> int:
        """Row of the nearest centre."""
        unknown = self.features.unknown(x)
        if unknown:
            return self._peek(unknown).predict_one(x)
        return _finite(kernels.nearest_minkowski(self.centres, self.features.vector(x)[0], self.p))

    def learn_many(self, X: npt.NDArray[Any]) -> None:
        """Learn the rows of ``X`` (n, d) in order; features are the columns' numbers."""
        check_rows(X)
        self._grow(self.features.unknown(dict.fromkeys(range(X.shape[1]))))
        kernels.step_many(self.centres, self._columns(X), self.p, self.halflife)

    def predict_many(self, X: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Rows of the nearest centres, int64 (n,)."""
        check_rows(X)
        unknown = self.features.unknown(dict.fromkeys(range(X.shape[1])))
        if unknown:
            return self._peek(unknown).predict_many(X)
        rows: npt.NDArray[np.int64] = kernels.nearest_minkowski_many(self.centres, self._columns(X), self.p)
        return rows

    def _columns(self, X: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        out = np.zeros((len(X), len(self.features)), np.float64)
        for column, name in enumerate(self.features.names):
            if isinstance(name, int) and name < X.shape[1]:
                out[:, column] = X[:, name]
        return out

    def _peek(self, unknown: list[Hashable]) -> SequentialCentres:
        """Give what this would be after drawing coordinates for ``unknown``, and leave this as it is."""
        other = SequentialCentres(len(self.centres), self.halflife, self.mu, self.sigma, self.p, None)
        other._rng.setstate(self._rng.getstate())
        other.features = FeatureIndex(list(self.features.names))
        other.centres = self.centres
        other._grow(unknown)
        return other

    def _grow(self, unknown: list[Hashable]) -> None:
        if unknown:
            k = len(self.centres)
            drawn = np.array([[self._rng.gauss(self.mu, self.sigma) for _ in unknown] for _ in range(k)])
            self.centres = np.hstack([self.centres, drawn])
            self.features.add(unknown)

    def start_from(self, centres: npt.NDArray[np.float64]) -> None:
        """Go on from ``centres`` (k, d) of the features 0 .. d-1."""
        self.centres = centres.copy()
        self.features = FeatureIndex(list(range(centres.shape[1])))

    def state(self) -> dict[str, Any]:
        """Arrays and scalars that ``restore`` rebuilds this from."""
        _, words, spare = self._rng.getstate()
        return {
            "centres": self.centres.copy(),
            "generator": np.array(words, np.uint32),
            "spare": float("nan") if spare is None else spare,
        }

    def restore(self, state: Mapping[str, Any], names: list[Hashable]) -> None:
        """Take over what ``state`` gave, with the features' ``names`` in order."""
        self.centres = np.array(state["centres"], np.float64)
        self.features = FeatureIndex(names)
        spare = float(state["spare"])
        words = tuple(int(word) for word in state["generator"])
        self._rng.setstate((3, words, None if np.isnan(spare) else spare))
