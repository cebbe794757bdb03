"""Models of what goes with what, made by the learner off every hot path: EASE and item-kNN."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg.lapack import spotrf, spotri

from stream.config_lists import ItemModelSettings
from stream.recommending.takings import Gram, Taken, gram_of

# EASE's L2 penalty is this, and the mean of the diagonal on top: as if that many users had taken each item and nothing
# else. Relative to the data it suits thin and thick logs; without the constant a young log learns accidents by heart.
LEAST_PENALTY = 20.0
# As if so many more users had taken each item, and none of them another: two who took the same two rare items are
# otherwise the closest of all pairs.
SHRINK = 10.0
# Fewer items give no model worth its name.
FEWEST_ITEMS = 20
# Events until the first fit, and between two of a young log's.
SOONEST = 1_000
# Events that are new, as a share of those that the models know, at which they are made again.
GROWTH = 0.25
BLOCK = 256  # rows sorted at once: bounds what sorting takes on top of the weights

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ItemModel:
    """Per item its ``W`` strongest neighbours, as they stand in a decision; rows as in ``ItemModels.items``."""

    name: str
    ids: npt.NDArray[np.int16]  # (n, W) rows, strongest first, -1 for none
    scores: npt.NDArray[np.float16]  # (n, W) what having the item says for its neighbour, or against it


@dataclass(frozen=True, slots=True)
class ItemModels:
    """All that one fit gives."""

    clock: int  # the model's, up to which events went in
    items: npt.NDArray[np.uint64]  # (n,) hashes
    models: list[ItemModel]


@dataclass(frozen=True, slots=True)
class NeighbourLists:
    """An item model by item rows: a user's score of an item is the sum of what each item they had says for it.

    ``place`` has no entry for rows that came later; they have no neighbours.
    """

    place: npt.NDArray[np.int32]  # (rows,) where an item's neighbours are, -1 for none
    ids: npt.NDArray[np.int32]  # (n, W) item rows, strongest first, -1 for none
    scores: Floats  # (n, W)

    @classmethod
    def none(cls) -> NeighbourLists:
        """Before the first fit."""
        return cls(np.empty(0, np.int32), np.empty((0, 1), np.int32), np.empty((0, 1), np.float32))

    @classmethod
    def of(cls, model: ItemModel, rows: npt.NDArray[np.int64], size: int) -> NeighbourLists:
        """``rows`` (n,) are those of the model's items, of an index of ``size`` items."""
        place = np.full(size, -1, np.int32)
        place[rows] = np.arange(len(rows))
        known = np.append(rows, -1).astype(np.int32)  # and -1 finds the last
        return cls(place, known[model.ids], model.scores.astype(np.float32))


MODELS = ("ease", "item-knn")


def is_due(clock: int, fitted: int, every: int) -> bool:
    """Whether models that know the log up to ``fitted`` are to be made again, by the clock of events.

    Examples
    --------
    >>> every = 20_000
    >>> is_due(999, 0, every), is_due(1_000, 0, every), is_due(10_000, 8_000, every), is_due(120_000, 100_000, every)
    (False, True, True, True)
    """
    return clock - fitted >= min(every, max(SOONEST, fitted * GROWTH))


def fit_item_models(taken: Taken, settings: ItemModelSettings) -> ItemModels:
    """Make all models anew.

    With n items the cost is about n^3 floating-point operations and 12 n^2 bytes, none of it kept.
    """
    gram = gram_of(taken, settings.items, settings.half_life)
    if len(gram.items) < FEWEST_ITEMS:
        return ItemModels(taken.now, gram.items[:0], [])
    models = [_strongest("item-knn", shrunk_cosine(gram), settings.neighbours)]
    models.append(_strongest("ease", ease(gram), settings.neighbours))
    return ItemModels(taken.now, gram.items, models)


def ease(gram: Gram) -> Floats:
    """EASE in closed form (Steck, 2019), float32 (n, n): row h is what having item h says for each other.

    Of all B with an empty diagonal the one that minimises |X - X B|^2 + L2 |B|^2: with P the inverse of the penalised
    Gram matrix, B_hj = -P_hj / P_jj.
    """
    n = len(gram.items)
    taken = gram.counts.diagonal()
    penalty = np.float32(LEAST_PENALTY + taken.mean())
    while True:
        penalised = gram.counts.copy()
        penalised[np.diag_indices(n)] += penalty
        factor, failed = spotrf(penalised.T, lower=1, overwrite_a=1)
        if not failed:
            break
        # Decayed and bounded counts are not quite the Gram matrix of anything.
        penalty *= 2
    inverse, _ = spotri(factor, lower=1, overwrite_c=1)
    inverse += np.tril(inverse, -1).T
    weights: Floats = inverse.T  # the same, being symmetric, and its rows lie together
    weights /= -weights.diagonal()
    np.fill_diagonal(weights, 0)
    return weights


def shrunk_cosine(gram: Gram) -> Floats:
    """Cosine of the items' columns of users, shrunk towards 0 where few took them; float32 (n, n)."""
    length = np.sqrt(gram.counts.diagonal() + np.float32(SHRINK))
    cosine: Floats = gram.counts / length[:, None] / length
    np.fill_diagonal(cosine, 0)
    return cosine


def _strongest(name: str, weights: Floats, most: int) -> ItemModel:
    """Keep the ``most`` strongest of each row, for or against; equal ones in the order of columns."""
    width = min(most, weights.shape[1])
    ids = np.empty((len(weights), width), np.int16)
    scores = np.empty((len(weights), width), np.float16)
    for start in range(0, len(weights), BLOCK):
        block = weights[start : start + BLOCK]
        strength = np.abs(block)
        kept = np.sort(np.argpartition(-strength, width - 1, axis=1)[:, :width], axis=1)
        order = np.argsort(-np.take_along_axis(strength, kept, 1), axis=1, kind="stable")
        kept = np.take_along_axis(kept, order, 1)
        scores[start : start + BLOCK] = found = np.take_along_axis(block, kept, 1)
        ids[start : start + BLOCK] = np.where(found != 0, kept, -1)
    return ItemModel(name, ids, scores)


def by_rows(models: Sequence[ItemModel], rows: npt.NDArray[np.int64], size: int) -> dict[str, NeighbourLists]:
    """The models for scoring; those that could not be made say nothing."""
    made = {model.name: NeighbourLists.of(model, rows, size) for model in models}
    return {name: made.get(name, NeighbourLists.none()) for name in MODELS}
