"""Other clusterers of River behind Shoal's interface.

They take one point at a time and do not merge, so they learn where the model is folded, from the sample that
each delta carries. Their own labels may change with every reclustering: here a cluster keeps its id as long
as its centre is found again. What each costs at 64 dimensions stands in docs/decisions/0004-clustering.md.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from river import cluster
from scipy.optimize import linear_sum_assignment

from stream.clustering.assign import NOT_FINITE, Floats, as_rows, assign
from stream.clustering.objects import dump, load
from stream.errors import ConfigError

Ids = npt.NDArray[np.int64]
# Of the way from a centre to its nearest neighbour. A centre that is found again this close is the same
# cluster; beyond half the way it could as well be the neighbour.
SAME = 0.5


def _parameters(name: str, k: int, seed: int) -> dict[str, Any]:
    """Choose what suits vectors of unit length, whose distances lie between 0 and 2."""
    known: dict[str, dict[str, Any]] = {
        # Starting centres within the sphere: River's N(0, 1) per dimension lie far outside, and the first
        # winner takes all.
        "KMeans": {"n_clusters": k, "halflife": 0.02, "sigma": 0.1, "seed": seed},
        "STREAMKMeans": {"n_clusters": k, "chunk_size": 20 * k, "halflife": 0.2, "sigma": 0.1, "seed": seed},
        "CluStream": {
            "n_macro_clusters": k, "max_micro_clusters": 5 * k, "time_window": 100 * k, "time_gap": 20 * k,
            "halflife": 0.3, "sigma": 0.1, "seed": seed,
        },
        "DBSTREAM": {
            "clustering_threshold": 0.9, "fading_factor": 0.001, "cleanup_interval": 100, "minimum_weight":
            3.0,
        },
        "DenStream": {
            "decaying_factor": 0.01, "beta": 0.5, "mu": 4.0, "epsilon": 0.1, "n_samples_init": 200,
            "stream_speed": 100,
        },
    }  # fmt: skip
    if name not in known:
        raise ConfigError(f"clustering.algorithm is {name!r}; allowed are {', '.join(sorted(known))}")
    return known[name]


class RiverClusterer:
    """A clusterer of River, by name: KMeans, STREAMKMeans, CluStream, DBSTREAM or DenStream.

    Parameters
    ----------
    name
        Of the class in ``river.cluster``.
    k, seed
        Wanted clusters and seed, for those that take them: DBSTREAM and DenStream find their own number and
        draw nothing.
    parameters
        Of the class, over those chosen here.

    Raises
    ------
    ConfigError
        If River has no such clusterer, or it has no such parameter.

    Examples
    --------
    >>> model = RiverClusterer("KMeans", k=2, seed=1)
    >>> model.predict_many(np.eye(2)) is None
    True
    >>> model.learn_many(np.repeat(np.eye(2), 50, axis=0))
    >>> len(set(model.predict_many(np.eye(2)).tolist()))
    2
    """

    def __init__(
        self, name: str, k: int = 16, seed: int = 0, parameters: Mapping[str, Any] | None = None
    ) -> None:
        self.name, self.k, self.seed = name, k, seed
        chosen = {**_parameters(name, k, seed), **(parameters or {})}
        try:
            self.model: Any = getattr(cluster, name)(**chosen)
        except (TypeError, ValueError, ArithmeticError) as error:
            raise ConfigError(f"clustering.parameters do not suit River's {name}: {error}") from error
        self.next_id = 0
        self.learnt = 0
        self.dimensions = 0
        self.ids: Ids = np.zeros(0, np.int64)  # (k,) ascending
        self.centres: Floats = np.zeros((0, 0), np.float32)  # (k, d)

    def learn_many(self, X: Any) -> None:
        """Learn the rows of ``X`` (n, d) in order, then see which clusters there are."""
        points = self._points(X)
        for point in points.tolist():
            self.model.learn_one(dict(enumerate(point)))
        self.learnt += len(points)
        found = self._found()
        # Density may be nowhere high enough for a moment: users stay where they were.
        if len(found):
            self._recognise(found)

    def _points(self, X: Any) -> Floats:
        points = as_rows(X)
        if not np.isfinite(points).all():
            raise ValueError(NOT_FINITE)
        if self.learnt and points.shape[1] != self.dimensions:
            raise ValueError(f"vectors have {points.shape[1]} dimensions, those learnt {self.dimensions}")
        self.dimensions = points.shape[1]
        return points

    def _found(self) -> Floats:
        """Centres of the clusters as River has them, (k, d); none before it is ready."""
        d = self.dimensions
        model = self.model
        if self.name == "KMeans":
            found = model.centers if self.learnt else {}
        elif self.name == "CluStream":
            found = model.centers
        elif self.name == "DenStream":
            # It clusters when asked to predict, and in doing so adds to the sums of what it has learnt: ask a
            # copy.
            model = copy.deepcopy(model)
            found = model.centers if model.initialized and model.predict_one({}) is not None else {}
        elif self.name == "STREAMKMeans":
            found = model.centers if self.learnt >= model.chunk_size else {}
        else:
            found = model.centers
        rows = [[centre.get(j, 0.0) for j in range(d)] for centre in found.values()]
        return np.array(rows, np.float32).reshape(len(rows), d)

    def _recognise(self, found: Floats) -> None:
        """Give each centre ``found`` (k, d) the id of the one before that it is, or a new one."""
        ids = np.full(len(found), -1, np.int64)
        if len(self.ids) and len(found):
            away = _distances(self.centres, found)
            between = _distances(self.centres, self.centres)
            np.fill_diagonal(between, np.inf)
            old, new = linear_sum_assignment(away)
            same = away[old, new] <= SAME * between.min(axis=1)[old]
            ids[new[same]] = self.ids[old[same]]
        born = np.flatnonzero(ids < 0)
        ids[born] = self.next_id + np.arange(len(born))
        self.next_id += len(born)
        order = np.argsort(ids)
        self.ids, self.centres = ids[order], found[order]

    def predict_many(self, X: Any) -> Ids | None:
        """Ids of the nearest centres, int64 (n,); None before there are any."""
        points = as_rows(X)
        return self.ids[assign(points, self.centres)[0]] if len(self.ids) else None

    def state(self) -> dict[str, Any]:
        """Arrays, numbers and strings that ``from_state`` takes."""
        scalars = {"k": self.k, "seed": self.seed, "next_id": self.next_id, "learnt": self.learnt}
        return {
            "name": self.name,
            "scalars": json.dumps({**scalars, "dimensions": self.dimensions}),
            "model": dump(self.model),
            "ids": self.ids.copy(),
            "centres": self.centres.copy(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> RiverClusterer:
        """Make a clusterer that goes on as the one that gave ``state``. Raises FormatError."""
        scalars = json.loads(str(state["scalars"]))
        made = cls(str(state["name"]), scalars["k"], scalars["seed"])
        made.model = load(str(state["model"]))
        made.next_id, made.learnt, made.dimensions = (
            scalars["next_id"],
            scalars["learnt"],
            scalars["dimensions"],
        )
        made.ids, made.centres = np.array(state["ids"], np.int64), np.array(state["centres"], np.float32)
        return made


def _distances(A: Floats, B: Floats) -> Floats:
    return np.asarray(np.linalg.norm(A[:, None] - B[None], axis=2))
