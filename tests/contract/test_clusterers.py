"""What every clusterer holds to; who is excused from what stands in EXCUSED, with the reason."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from stream.clustering import StreamingKMeans
from stream.clustering.adapters import RiverClusterer

K, D = 4, 6
MAKERS: dict[str, Callable[[], Any]] = {
    "streaming": lambda: StreamingKMeans(n_clusters=K, half_life=500.0, seed=1),
    "spherical": lambda: StreamingKMeans(n_clusters=K, half_life=500.0, spherical=True, seed=1),
    "river mode": lambda: StreamingKMeans(n_clusters=K, halflife=0.05, sigma=0.1, seed=1),
    "KMeans": lambda: RiverClusterer("KMeans", k=K, seed=1),
    "STREAMKMeans": lambda: RiverClusterer("STREAMKMeans", k=K, seed=1),
    "CluStream": lambda: RiverClusterer("CluStream", k=K, seed=1),
    "DBSTREAM": lambda: RiverClusterer("DBSTREAM", k=K, seed=1),
    "DenStream": lambda: RiverClusterer("DenStream", k=K, seed=1),
}
EXCUSED = {
    (
        "test_none_before_ready",
        "river mode",
    ): "River's KMeans draws its starting centres and answers from the first",
    (
        "test_batch_equals_one_by_one",
        "streaming",
    ): "a batch is assigned to the centres before it: what makes it merge",
    (
        "test_batch_equals_one_by_one",
        "spherical",
    ): "a batch is assigned to the centres before it: what makes it merge",
    (
        "test_separates_what_is_apart",
        "river mode",
    ): "it starts anywhere and its first winner may take all, as River's",
    ("test_separates_what_is_apart", "KMeans"): "it starts anywhere and its first winner may take all",
    (
        "test_separates_what_is_apart",
        "STREAMKMeans",
    ): "made of KMeans, that of each chunk from the same start",
    ("test_separates_what_is_apart", "CluStream"): "its macro-clusters are made by KMeans",
}


@pytest.fixture(params=list(MAKERS))
def make(request: pytest.FixtureRequest) -> Callable[[], Any]:
    reason = EXCUSED.get((request.function.__name__, request.param))
    if reason:
        pytest.skip(f"{request.param}: {reason}")
    return MAKERS[request.param]


def blobs(n: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, K, n)
    X = np.eye(D)[truth] + 0.08 * rng.normal(size=(n, D))
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32), truth


def stored(model: Any) -> dict[str, Any]:
    """The state after a file that holds no pickle."""
    file = io.BytesIO()
    np.savez(file, **model.state())
    file.seek(0)
    with np.load(file, allow_pickle=False) as state:
        return dict(state)


def same_state(a: Any, b: Any) -> bool:
    one, other = stored(a), stored(b)
    return one.keys() == other.keys() and all(
        np.array_equal(one[k], other[k], equal_nan=one[k].dtype.kind == "f") for k in one
    )


def test_none_before_ready(make) -> None:
    model = make()
    assert model.predict_many(np.eye(D, dtype=np.float32)) is None
    assert len(model.ids) == 0


def test_predict_is_pure(make) -> None:
    X, _ = blobs()
    model = make()
    model.learn_many(X[:400])
    before = copy.deepcopy(model)
    first = model.predict_many(X)
    np.testing.assert_array_equal(first, model.predict_many(X))
    assert same_state(model, before)


def test_input_is_neither_changed_nor_kept(make) -> None:
    X, _ = blobs()
    mine, theirs = X.copy(), X.copy()
    one, other = make(), make()
    for start in range(0, 600, 15):
        one.learn_many(mine[start : start + 15])
        mine[start : start + 15] = 1e9
        other.learn_many(theirs[start : start + 15])
    np.testing.assert_array_equal(theirs, X)
    assert same_state(one, other)


def test_read_only_input_is_taken(make) -> None:
    X, _ = blobs()
    X.flags.writeable = False
    model = make()
    model.learn_many(X)
    model.predict_many(X)


def test_seeded(make) -> None:
    X, _ = blobs()
    one, other = make(), make()
    for model in (one, other):
        model.learn_many(X[:300])
        model.learn_many(X[300:])
    assert same_state(one, other)


def test_bounded_memory(make) -> None:
    sizes = []
    model = make()
    for seed in range(8):
        model.learn_many(blobs(500, seed)[0])
        sizes.append(sum(np.asarray(value).nbytes for value in model.state().values()))
    assert sizes[-1] <= 1.2 * max(sizes[:4])


def test_save_and_load(make) -> None:
    X, _ = blobs()
    for learnt in (10, 200, 500):
        model = make()
        model.learn_many(X[:learnt])
        again = type(model).from_state(stored(model))
        np.testing.assert_array_equal(model.predict_many(X), again.predict_many(X))
        for each in (model, again):
            each.learn_many(X[learnt:])
        np.testing.assert_array_equal(model.predict_many(X), again.predict_many(X))
        assert same_state(model, again)


def test_batch_equals_one_by_one(make) -> None:
    X, _ = blobs(300)
    many, one = make(), make()
    many.learn_many(X)
    for x in X:
        one.learn_many(x[None])
    np.testing.assert_allclose(np.sort(many.centres, axis=0), np.sort(one.centres, axis=0), atol=1e-6)


def test_ids_are_permanent_and_never_reused(make) -> None:
    model, seen, gone = make(), set(), set()
    for seed in range(10):
        X, _ = blobs(200, seed)
        model.learn_many(X if seed % 2 else -X[:, ::-1].copy())
        ids = set(model.ids.tolist())
        assert list(model.ids) == sorted(ids)
        assert not ids & gone
        assert all(new > max(seen, default=-1) for new in ids - seen)
        gone |= seen - ids
        seen |= ids
        assert len(model.centres) == len(model.ids)


def test_predictions_are_ids(make) -> None:
    X, _ = blobs()
    model = make()
    model.learn_many(X)
    found = model.predict_many(X)
    assert found.dtype == np.int64
    assert np.isin(found, model.ids).all()


def test_separates_what_is_apart(make) -> None:
    X, truth = blobs()
    model = make()
    model.learn_many(X)
    found = model.predict_many(X)
    assert len(set(zip(found.tolist(), truth.tolist(), strict=True))) == len(set(truth.tolist()))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_and_not_learnt(make, bad: float) -> None:
    X, _ = blobs()
    for learnt in (3, 500):
        model = make()
        model.learn_many(X[:learnt])
        before = copy.deepcopy(model)
        poisoned = X[:5].copy()
        poisoned[2, 1] = bad
        with pytest.raises(ValueError, match="NaN"):
            model.learn_many(poisoned)
        assert same_state(model, before)


def test_zeros_and_duplicates(make) -> None:
    model = make()
    model.learn_many(np.zeros((50, D), np.float32))
    model.learn_many(np.repeat(np.eye(D, dtype=np.float32)[:1], 300, axis=0))
    assert np.isfinite(model.centres).all()
    found = model.predict_many(np.eye(D, dtype=np.float32)[:1])
    assert found is None or found.shape == (1,)


def test_one_point_and_none(make) -> None:
    model = make()
    model.learn_many(np.zeros((0, D), np.float32))
    model.learn_many(np.eye(D, dtype=np.float32)[:1])
    found = model.predict_many(np.zeros((0, D), np.float32))
    assert found is None or found.shape == (0,)


def test_fewer_points_than_clusters(make) -> None:
    model = make()
    for _ in range(100):
        model.learn_many(np.eye(D, dtype=np.float32)[:2])
    found = model.predict_many(np.eye(D, dtype=np.float32)[:2])
    assert found is not None
    assert len(np.unique(model.ids)) == len(model.ids) <= K


def test_shape_is_checked(make) -> None:
    X, _ = blobs()
    model = make()
    model.learn_many(X)
    with pytest.raises(ValueError, match="shape"):
        model.learn_many(X[0])
