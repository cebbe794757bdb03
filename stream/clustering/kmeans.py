"""``StreamingKMeans``: k-means for streams, in River's interface and on arrays."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from river import base

from stream.clustering.assign import as_rows
from stream.clustering.device import on_device
from stream.clustering.features import FeatureIndex
from stream.clustering.sequential import SequentialCentres
from stream.clustering.stats import ClusterStats
from stream.clustering.weighted import Ids, WeightedCentres
from stream.errors import FormatError

__all__ = ["ClusterStats", "StreamingKMeans"]


class StreamingKMeans(base.Clusterer):
    """Incremental k-means, one point or one array at a time.

    Without ``half_life`` it is ``river.cluster.KMeans`` to rounding: each point pulls the nearest centre by
    ``halflife`` of the way. With it, the production mode: a centre is the mean of its points, of which those
    ``half_life`` events ago count half; batches merge, ids are permanent, and the answer is None until the
    first centres stand.

    Parameters
    ----------
    n_clusters
        Number of clusters.
    halflife, mu, sigma, p
        River's mode: share of the way that a centre moves, mean and deviation of the normal distribution that
        starting centres are drawn from, power of the Minkowski distance.
    seed
        Of the starting centres. In the production mode None is 0.
    half_life
        Production mode: events after which a point counts half.
    spherical
        Production mode: compare by angle, as suits vectors of text.
    warm_up
        Production mode: points per cluster to wait for before seeding; fewer give centres of chance.

    References
    ----------
    Sculley, D. (2010). Web-scale k-means clustering. WWW.
    Dhillon, I. and Modha, D. (2001). Concept decompositions for large sparse text data using clustering.

    Examples
    --------
    >>> from river import stream
    >>> X = [[1, 2], [1, 4], [1, 0], [-4, 2], [-4, 4], [-4, 0]]
    >>> model = StreamingKMeans(n_clusters=2, halflife=0.1, sigma=3, seed=42)
    >>> for x, _ in stream.iter_array(X):
    ...     model.learn_one(x)
    >>> model.predict_one({0: 0, 1: 0}), model.predict_one({0: 4, 1: 4})
    (0, 1)

    >>> model = StreamingKMeans(n_clusters=2, half_life=100, warm_up=3, seed=1)
    >>> model.predict_many(np.array(X)) is None
    True
    >>> model.learn_many(np.array(X))
    >>> model.predict_many(np.array([[0, 2], [-3, 1]]))
    array([1, 0])
    """

    def __init__(
        self,
        n_clusters: int = 5,
        halflife: float = 0.5,
        mu: float = 0,
        sigma: float = 1,
        p: float = 2,
        seed: int | None = None,
        half_life: float | None = None,
        spherical: bool = False,
        warm_up: int = 8,
    ):
        self.n_clusters = n_clusters
        self.halflife = halflife
        self.mu = mu
        self.sigma = sigma
        self.p = p
        self.seed = seed
        self.half_life = half_life
        self.spherical = spherical
        self.warm_up = warm_up
        self._features = FeatureIndex()
        self._weighted: WeightedCentres | None = None
        self._sequential: SequentialCentres | None = None
        if half_life is None:
            self._sequential = SequentialCentres(n_clusters, halflife, mu, sigma, p, seed)
        else:
            self._weighted = WeightedCentres(n_clusters, half_life, spherical, seed, warm_up)

    @classmethod
    def _unit_test_params(cls) -> Iterator[dict[str, Any]]:
        yield {"n_clusters": 5}
        yield {"n_clusters": 5, "half_life": 100.0, "seed": 1}

    @property
    def _mutable_attributes(self) -> set[str]:
        return {"halflife", "half_life"}

    def mutate(self, new_attrs: dict[str, Any]) -> None:
        """Change ``halflife`` or ``half_life`` while running."""
        super().mutate(new_attrs)
        if self._sequential:
            self._sequential.halflife = self.halflife
        elif self._weighted and self.half_life:
            self._weighted.half_life = self.half_life

    @property
    def weighted(self) -> WeightedCentres:
        """The production mode's centres.

        Raises
        ------
        ValueError
            In River's mode, whose steps do not merge.
        """
        if self._weighted is None:
            raise ValueError(
                "River's mode learns one point at a time; give half_life for what merges and has weights"
            )
        return self._weighted

    def learn_one(self, x: Mapping[Any, float]) -> None:
        """Learn one point."""
        self.learn_predict_one(x)

    def predict_one(self, x: Mapping[Any, float]) -> int | None:  # type: ignore[override]
        """Cluster of a point; in the production mode None before there are any."""
        if self._sequential:
            return self._sequential.predict_one(x)
        return self.weighted.predict_one(self._features.vector(x)[0])

    def learn_predict_one(self, x: Mapping[Any, float]) -> int | None:
        """Learn one point; the cluster it was counted to, None if there were none yet."""
        if self._sequential:
            return self._sequential.learn_one(x)
        vector = self._features.dense(x)
        if vector is None:
            self._widen(self._features.unknown(x))
            vector = self._features.vector(x)[0]
        return self.weighted.learn_one(vector)

    def _widen(self, unknown: list[Hashable]) -> None:
        if unknown:
            self._features.add(unknown)
            self.weighted.widen(len(self._features))

    def learn_many(self, X: Any, weights: npt.ArrayLike | None = None) -> None:
        """Learn the rows of ``X`` (n, d), float32 for no copy, counting ``weights`` (n,) or 1 each.

        The features are 0 .. d-1. River's mode takes the rows in order, one by one.
        """
        if self._sequential is None:
            points = X if on_device(X) else as_rows(X)
            self._number_features(points.shape[1])
            self.weighted.learn_many(points, weights)
        elif weights is None:
            self._sequential.learn_many(np.asarray(X))
        else:
            raise ValueError("River's mode has no weights; give half_life for the production mode")

    def _number_features(self, d: int) -> None:
        if not len(self._features):
            self._features.add(list(range(d)))

    def predict_many(self, X: Any, current: Ids | None = None, margin: float = 0.0) -> Ids | None:
        """Clusters of the rows of ``X`` (n, d), int64 (n,), or None; see ``WeightedCentres.predict_many``."""
        if self._sequential:
            return self._sequential.predict_many(np.asarray(X))
        return self.weighted.predict_many(X, current, margin)

    def accumulate(
        self, X: Any, weights: npt.ArrayLike | None = None, ids: Ids | None = None
    ) -> ClusterStats:
        """Sum up what ``X`` says of the clusters, changing nothing; see ``WeightedCentres.accumulate``."""
        return self.weighted.accumulate(X, weights, ids)

    def fold(
        self, stats: ClusterStats, lineage: Mapping[int, int] | None = None, elapsed: float | None = None
    ) -> float:
        """Learn ``stats``; see ``WeightedCentres.fold``."""
        return self.weighted.fold(stats, lineage, elapsed)

    def seed_with(self, centres: npt.ArrayLike, ids: npt.ArrayLike | None = None) -> None:
        """Start from ``centres`` (k, d) of features 0 .. d-1; see ``WeightedCentres.seed_with``."""
        if self._sequential:
            self._sequential.start_from(np.asarray(centres, np.float64))
            return
        self._number_features(np.shape(centres)[1])
        self.weighted.seed_with(centres, ids)

    @property
    def centres(self) -> npt.NDArray[Any]:
        """Centres (k, d): float32, of unit length if spherical; float64 in River's mode."""
        return self._sequential.centres if self._sequential else self.weighted.centres

    @property
    def centers(self) -> dict[int, dict[Any, float]]:
        """Centres as River names and shapes them: cluster -> feature -> coordinate."""
        names = self._sequential.features.names if self._sequential else self._features.names
        return {
            int(i): dict(zip(names, centre.tolist(), strict=True))
            for i, centre in zip(self.ids, self.centres, strict=True)
        }

    @property
    def ids(self) -> Ids:
        """Permanent ids of the clusters, int64 (k,), ascending."""
        return np.arange(self.n_clusters) if self._sequential else self.weighted.ids

    @property
    def next_id(self) -> int:
        """The id that the next new cluster gets."""
        return self.weighted.next_id

    @property
    def weights(self) -> npt.NDArray[np.float64]:
        """Decayed weight of each cluster (k,)."""
        return self.weighted.weights

    @property
    def errors(self) -> npt.NDArray[np.float64]:
        """Decayed weighted squared distances of each cluster (k,)."""
        return self.weighted.errors

    def state(self) -> dict[str, Any]:
        """All of it as arrays, numbers and strings: what ``from_state`` takes, whatever it was stored in."""
        inner = self._sequential or self.weighted
        features = self._sequential.features if self._sequential else self._features
        return {
            "format": 1,
            "parameters": json.dumps(self._get_params()),
            "features": json.dumps(features.names),
            **inner.state(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> StreamingKMeans:
        """Make a model that answers as the one that gave ``state``.

        Raises
        ------
        FormatError
            If it is of another format.
        """
        if int(state.get("format", 0)) != 1:
            raise FormatError(
                f"state of StreamingKMeans has format {state.get('format')!r}, not 1; start a new generation"
            )
        model = cls(**json.loads(str(state["parameters"])))
        names = json.loads(str(state["features"]))
        if model._sequential:
            model._sequential.restore(state, names)
        else:
            model._features = FeatureIndex(names)
            model.weighted.restore(state)
        return model
