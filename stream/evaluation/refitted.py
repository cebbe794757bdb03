"""Batch models of the library implicit, fitted now and then, as by a nightly job; histories are always fresh."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender
from scipy.sparse import csr_matrix

from stream.evaluation.comparators import Popular
from stream.evaluation.past import Asked, Hashes, Targets
from stream.hashing import HashIndex

# As the peers were measured: neighbours kept per item; factors, ridge and sweeps of alternating least squares.
NEIGHBOURS = 200
FACTORS, REGULARIZATION, ITERATIONS = 128, 0.05, 12
# Popularity decides among items of which a model says nothing, or the same.
TIE = 1e-9

Scores = npt.NDArray[np.float64]


class Refitted:
    """One model on the binary matrix of users and items; before its first fit, and for newcomers, popularity."""

    def __init__(self, name: str, popular: Popular, fits: list[int]) -> None:
        self._name, self._popular, self._fits = name, popular, sorted(fits)
        self._users = HashIndex()
        self._pairs: dict[tuple[int, int], None] = {}  # rows of users and items, in the popular's index
        self._model: Any = None

    def lists(self, asked: Asked, k: int) -> tuple[Hashes, Hashes]:
        """See ``Comparator``."""
        if self._fits and asked.step.min() >= self._fits[0]:
            self._fits = [at for at in self._fits if at > asked.step.min()]
            self._fit()
        keys = self._popular.index.keys
        scores = TIE * self._popular.counts / max(self._popular.counts.max(initial=0), 1)
        table = np.tile(scores, (len(asked.had), 1))
        had = [self._popular.index.find(items) for items in asked.had]
        had = [rows[rows >= 0] for rows in had]
        if self._model is not None:
            modelled = self._scores(had)
            table[:, : modelled.shape[1]] += modelled
        every = _top(table, keys, k)
        for scores, rows in zip(table, had, strict=True):
            scores[rows] = -np.inf
        return every, _top(table, keys, k)

    def learn(self, asked: Asked, targets: Targets) -> None:
        """See ``Comparator``."""
        self._popular.learn(asked, targets)
        users = self._users.insert(asked.user[targets.place])
        items = self._popular.index.find(targets.item)
        self._pairs.update(dict.fromkeys(zip(users.tolist(), items.tolist(), strict=True)))

    def _fit(self) -> None:
        if not self._pairs:
            return
        rows, columns = np.array(list(self._pairs)).T
        shape = (len(self._users), len(self._popular.index))
        taken = csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it converts the matrix, and gives advice on threads
            self._model = self._new_model()
            self._model.fit(taken, show_progress=False)

    def _new_model(self) -> Any:
        if self._name == "als":
            return AlternatingLeastSquares(
                factors=FACTORS, regularization=REGULARIZATION, iterations=ITERATIONS, random_state=1
            )
        return {"item-knn": CosineRecommender, "bm25": BM25Recommender}[self._name](K=NEIGHBOURS)

    def _scores(self, had: list[npt.NDArray[np.int64]]) -> Scores:
        """What the model says of the items that it knows to m users who ``had`` these rows, (m, items)."""
        similarity = None if self._name == "als" else self._model.similarity
        items = len(self._model.item_factors) if similarity is None else similarity.shape[0]
        known = [rows[rows < items] for rows in had]
        bounds = np.cumsum([0] + [len(rows) for rows in known])
        columns = np.concatenate(known)
        taken = csr_matrix((np.ones(len(columns), np.float32), columns, bounds), (len(had), items))
        if similarity is not None:
            return np.asarray((taken @ similarity).todense())
        factors = self._model.recalculate_user(np.arange(len(had)), taken)
        return np.asarray(factors @ self._model.item_factors.T, np.float64)


def _top(scores: Scores, keys: Hashes, k: int) -> Hashes:
    """The ``k`` best of ``scores`` (m, items) by their hashes, uint64 (m, k); what has -inf is left out."""
    if scores.shape[1] > k:
        best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    else:
        best = np.tile(np.arange(scores.shape[1]), (len(scores), 1))
    found = np.take_along_axis(scores, best, axis=1)
    order = np.lexsort((keys[best], -found), axis=1)
    best, found = np.take_along_axis(best, order, axis=1), np.take_along_axis(found, order, axis=1)
    out = np.zeros((len(scores), k), np.uint64)
    out[:, : best.shape[1]] = np.where(np.isfinite(found), keys[best], 0)
    return out
