"""EASE and item-kNN: known answers, dense references, and what the lists keep of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from stream.config_lists import ItemModelSettings
from stream.recommending.item_models import (
    FEWEST_ITEMS,
    LEAST_PENALTY,
    MODELS,
    SHRINK,
    ItemModel,
    NeighbourLists,
    by_rows,
    ease,
    fit_item_models,
    shrunk_cosine,
)
from stream.recommending.takings import Gram, Taken

SETTINGS = ItemModelSettings(items=64, neighbours=4)


def gram_of_users(x: npt.NDArray[np.float64]) -> Gram:
    return Gram(np.arange(1, x.shape[1] + 1, dtype=np.uint64), (x.T @ x).astype(np.float32))


def some_users(users: int = 300, items: int = 40, seed: int = 0) -> npt.NDArray[np.float64]:
    return (np.random.default_rng(seed).random((users, items)) < 0.2).astype(np.float64)


def couples(users: int, items: int) -> Taken:
    """Everybody takes one item of an even number and the one after it, and a third at random."""
    rng = np.random.default_rng(1)
    pair = rng.integers(0, items // 2, users)
    other = rng.integers(0, items, users)
    item = np.stack([2 * pair, 2 * pair + 1, other], axis=1) + 10
    user = np.repeat(np.arange(1, users + 1), 3)
    return Taken(user.astype(np.uint64), item.ravel().astype(np.uint64), np.zeros(3 * users, np.int64), 0)


def test_ease_is_the_minimum_of_its_loss() -> None:
    """Column by column: ridge regression on all other items."""
    x = some_users()
    weights = ease(gram_of_users(x))
    penalty = LEAST_PENALTY + np.mean(np.sum(x * x, axis=0))
    for j in range(x.shape[1]):
        others = np.delete(x, j, axis=1)
        ridge = np.linalg.solve(others.T @ others + penalty * np.eye(others.shape[1]), others.T @ x[:, j])
        np.testing.assert_allclose(np.delete(weights[:, j], j), ridge, atol=2e-5)
    assert (weights.diagonal() == 0).all()


def test_ease_bears_counts_that_are_no_gram_matrix() -> None:
    impossible = np.full((3, 3), 900, np.float32) - 899 * np.eye(3, dtype=np.float32)
    weights = ease(Gram(np.arange(3, dtype=np.uint64), impossible))
    assert np.isfinite(weights).all()


def test_the_cosine_is_shrunk() -> None:
    x = some_users()
    cosine = shrunk_cosine(gram_of_users(x))
    a, b = x[:, 3], x[:, 8]
    assert cosine[3, 8] == pytest.approx(a @ b / np.sqrt((a.sum() + SHRINK) * (b.sum() + SHRINK)), rel=1e-5)
    assert (cosine.diagonal() == 0).all()


@pytest.mark.parametrize("name", MODELS)
def test_who_goes_with_whom_is_found(name: str) -> None:
    fit = fit_item_models(couples(2_000, 40), SETTINGS)
    model = {model.name: model for model in fit.models}[name]
    partner = ((fit.items - np.uint64(10)) ^ np.uint64(1)) + np.uint64(10)
    assert fit.items[model.ids[:, 0]].tolist() == partner.tolist()
    assert (model.scores[:, 0] > 5 * np.abs(model.scores[:, 1])).all()


def test_the_same_takings_give_the_same_bytes() -> None:
    one, other = (fit_item_models(couples(500, 40), SETTINGS) for _ in range(2))
    assert one.items.tobytes() == other.items.tobytes()
    for a, b in zip(one.models, other.models, strict=True):
        assert (a.name, a.ids.tobytes(), a.scores.tobytes()) == (b.name, b.ids.tobytes(), b.scores.tobytes())


def test_the_strongest_are_kept_for_and_against() -> None:
    fit = fit_item_models(couples(500, 40), ItemModelSettings(items=64, neighbours=5))
    whole = fit_item_models(couples(500, 40), ItemModelSettings(items=64, neighbours=40))
    for short, full in zip(fit.models, whole.models, strict=True):
        assert short.ids.shape == (40, 5)
        strength = np.abs(full.scores.astype(np.float32))
        assert (np.diff(strength, axis=1) <= 0).all()
        np.testing.assert_array_equal(short.scores, full.scores[:, :5])
    assert (whole.models[1].scores < 0).any()


def test_of_few_items_no_model_is_made() -> None:
    fit = fit_item_models(couples(100, FEWEST_ITEMS - 2), SETTINGS)
    assert fit.models == []
    assert len(fit.items) == 0
    assert all(len(lists.place) == 0 for lists in by_rows([], np.empty(0, np.int64), 0).values())


def test_lists_stand_by_the_rows_of_the_process() -> None:
    model = ItemModel(
        "ease", np.array([[1, 2], [0, -1], [1, 0]], np.int16), np.array([[3, 1], [2, 0], [5, 4]], np.float16)
    )
    lists = NeighbourLists.of(model, np.array([7, 2, 4]), size=9)
    assert lists.place.tolist() == [-1, -1, 1, -1, 2, -1, -1, 0, -1]
    assert lists.ids[lists.place[7]].tolist() == [2, 4]
    assert lists.ids[lists.place[2]].tolist() == [7, -1]
    assert lists.scores[lists.place[4]].tolist() == [5, 4]
