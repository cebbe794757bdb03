"""StreamingKMeans: River's mode equals River, the production mode equals sums written plainly."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import checks, cluster, preprocessing

from stream.clustering import StreamingKMeans, merge_stats
from stream.errors import FormatError, NotReady


def points(rng: random.Random, names: list, n: int, share: float) -> list[dict]:
    return [{name: rng.gauss(0, 2) for name in names if rng.random() < share} for _ in range(n)]


@pytest.mark.parametrize("share", [1.0, 0.5])
@pytest.mark.parametrize("names", [list(range(3)), [f"f{i}" for i in range(30)]], ids=["int", "str"])
@pytest.mark.parametrize(
    "params", [{}, {"sigma": 3, "halflife": 0.1}, {"p": 1, "mu": 2}, {"p": 3, "halflife": 0.9}], ids=str
)
@pytest.mark.parametrize("seed", [0, 1, 42])
def test_equals_river(seed: int, params: dict, names: list, share: float) -> None:
    theirs = cluster.KMeans(n_clusters=4, seed=seed, **params)
    ours = StreamingKMeans(n_clusters=4, seed=seed, **params)
    for x in points(random.Random(seed), names, 100, share):
        assert ours.predict_one(x) == theirs.predict_one(x)
        assert ours.learn_predict_one(x) == theirs.learn_predict_one(x)
    for row, centre in theirs.centers.items():
        assert ours.centers[row] == pytest.approx(dict(centre), abs=1e-9)


@pytest.mark.parametrize("index", range(2))
def test_rivers_own_checks(index: int) -> None:
    params = list(StreamingKMeans._unit_test_params())[index]
    checks.check_estimator(StreamingKMeans(**params))


def test_in_a_river_pipeline() -> None:
    rng = random.Random(3)
    ours = preprocessing.StandardScaler() | StreamingKMeans(n_clusters=3, seed=3)
    theirs = preprocessing.StandardScaler() | cluster.KMeans(n_clusters=3, seed=3)
    for x in points(rng, ["a", "b"], 50, 1.0):
        ours.learn_one(x)
        theirs.learn_one(x)
        assert ours.predict_one(x) == theirs.predict_one(x)


def test_rivers_mode_learns_arrays_in_order() -> None:
    X = np.random.default_rng(1).normal(size=(50, 4))
    many, one = (StreamingKMeans(n_clusters=3, seed=5) for _ in range(2))
    many.learn_many(X)
    for x in X:
        one.learn_one(dict(enumerate(x.tolist())))
    np.testing.assert_allclose(many.centres, one.centres, atol=1e-12)
    assert many.predict_many(X).tolist() == [one.predict_one(dict(enumerate(x.tolist()))) for x in X]


def production(k: int = 3, **params) -> StreamingKMeans:
    return StreamingKMeans(n_clusters=k, **{"half_life": 100.0, "seed": 1, **params})


def plain_stats(X, centres, weights, spherical):
    """Statistics by the definition, in float64, one row at a time."""
    k, d = centres.shape
    weight, sums, error = np.zeros(k), np.zeros((k, d)), np.zeros(k)
    for x, w in zip(X.astype(np.float64), weights, strict=True):
        if spherical:
            x = x / (np.linalg.norm(x) or 1)
        distances = ((centres - x) ** 2).sum(axis=1)
        row = int(np.argmin(distances))
        weight[row] += w
        sums[row] += w * x
        error[row] += w * distances[row]
    return weight, sums, error


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(0, 40),
    d=st.integers(1, 9),
    k=st.integers(1, 6),
    spherical=st.booleans(),
    seed=st.integers(0, 999),
)
def test_accumulate_equals_the_definition(n: int, d: int, k: int, spherical: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, weights = rng.normal(size=(n, d)).astype(np.float32), rng.uniform(0.1, 3, n).astype(np.float32)
    model = production(k, spherical=spherical)
    model.seed_with(rng.normal(size=(k, d)))
    stats = model.accumulate(X, weights)
    weight, sums, error = plain_stats(X, model.centres, weights, spherical)
    touched = weight > 0
    assert stats.ids.tolist() == np.flatnonzero(touched).tolist()
    np.testing.assert_allclose(stats.weight, weight[touched], rtol=1e-6)
    np.testing.assert_allclose(stats.sums, sums[touched], atol=1e-4)
    np.testing.assert_allclose(stats.error, error[touched], atol=1e-4)


def test_fold_is_the_decayed_weighted_mean() -> None:
    model = production(k=1, half_life=2.0)
    model.seed_with([[0.0]])
    model.learn_many(np.array([[1.0], [3.0]]))
    model.learn_many(np.array([[8.0], [8.0]]))  # two events later the first two count half
    assert model.centres[0, 0] == pytest.approx((0.5 * 4 + 16) / 3)
    assert model.weights[0] == pytest.approx(3.0)
    assert model.errors[0] == pytest.approx(0.5 * (1 + 9) + 2 * (8 - 2) ** 2)


def test_decay_may_be_by_time() -> None:
    model = production(k=1, half_life=60_000.0)
    model.seed_with([[0.0]])
    model.fold(model.accumulate(np.array([[1.0]])), elapsed=0)
    model.fold(model.accumulate(np.array([[4.0]])), elapsed=60_000)
    assert model.centres[0, 0] == pytest.approx((0.5 * 1 + 4) / 1.5)


def test_pace_fades_the_past_faster() -> None:
    slow, fast = production(k=1), production(k=1)
    fast.weighted.pace = 8.0
    for model in (slow, fast):
        model.seed_with([[0.0]])
        model.learn_many(np.zeros((100, 1)))
        model.learn_many(np.ones((100, 1)))
    assert fast.centres[0, 0] > slow.centres[0, 0]


def test_weights_do_not_overflow_over_many_half_lives() -> None:
    model = production(k=1, half_life=1.0)
    model.seed_with([[0.0, 1.0]])
    for _ in range(500):
        model.learn_many(np.ones((100, 2)))
    assert np.isfinite(model.weights).all()
    np.testing.assert_allclose(model.centres, 1)


def test_accumulate_changes_nothing_and_parts_merge() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5)).astype(np.float32)
    model = production(spherical=True)
    model.seed_with(rng.normal(size=(3, 5)))
    before = model.state()
    whole = model.accumulate(X)
    parts = merge_stats([model.accumulate(X[:70]), model.accumulate(X[70:])])
    np.testing.assert_array_equal(whole.ids, parts.ids)
    for name in ("weight", "sums", "error"):
        np.testing.assert_allclose(getattr(whole, name), getattr(parts, name), rtol=1e-4, atol=1e-4)
    for name, value in model.state().items():
        np.testing.assert_array_equal(value, before[name])


def test_statistics_of_clusters_that_are_gone() -> None:
    old, new = production(), production()
    centres = np.array([[0.0, 0], [10, 0], [20, 0]])
    old.seed_with(centres)
    new.seed_with(centres[:2])
    stats = old.accumulate(np.array([[1.0, 0], [21, 0]]))
    assert new.fold(stats) == 1.0
    assert new.weights.tolist() == [1.0, 0.0]
    assert new.fold(stats, lineage={2: 1}) == 0.0
    assert new.weights[1] == 1.0


def test_counting_to_given_clusters() -> None:
    model = production(k=2)
    model.seed_with([[0.0, 0], [10, 0]])
    stats = model.accumulate(np.array([[1.0, 0], [1, 0]]), ids=np.array([0, 1]))
    np.testing.assert_allclose(stats.error, [1, 81])
    with pytest.raises(ValueError, match="lineage"):
        model.accumulate(np.array([[1.0, 0]]), ids=np.array([7]))


def test_one_by_one_equals_batches_of_one() -> None:
    X = np.random.default_rng(2).normal(size=(120, 6)).astype(np.float32)
    for spherical in (False, True):
        one, many = production(spherical=spherical), production(spherical=spherical)
        for x in X:
            one.learn_one(dict(enumerate(x.tolist())))
            many.learn_many(x[None])
        np.testing.assert_allclose(one.centres, many.centres, atol=1e-5)
        np.testing.assert_allclose(one.weights, many.weights, rtol=1e-9)
        assert [one.predict_one(dict(enumerate(x.tolist()))) for x in X] == many.predict_many(X).tolist()


def test_features_may_appear_late() -> None:
    model = production(k=2, warm_up=1)
    model.learn_one({"a": 0.0})
    model.learn_one({"a": 10.0})
    model.learn_one({"a": 10.0, "b": 4.0})
    assert model.centres.shape == (2, 2)
    assert model.predict_one({"a": 9.0}) == model.predict_one({"a": 9.0, "c": 1.0})


def test_a_user_stays_unless_another_centre_is_clearly_nearer() -> None:
    model = production(k=2)
    model.seed_with([[0.0], [10.0]])
    X, current = np.array([[5.2], [5.2], [9.0], [1.0]]), np.array([0, -1, 0, 99])
    assert model.predict_many(X).tolist() == [1, 1, 1, 0]
    assert model.predict_many(X, current, margin=0.2).tolist() == [0, 1, 1, 0]
    assert model.predict_many(X, current, margin=0.0).tolist() == [1, 1, 1, 0]


@pytest.mark.parametrize(
    "params", [{"seed": 3}, {"half_life": 50.0, "spherical": True, "warm_up": 5}], ids=str
)
def test_state_survives_a_file_without_pickle(params: dict) -> None:
    rng = random.Random(0)
    xs = points(rng, ["a", "b", "c"], 60, 0.7)
    for learnt in (0, 4, 40):  # before, during and after warming up
        model = StreamingKMeans(n_clusters=3, **params)
        for x in xs[:learnt]:
            model.learn_one(x)
        file = io.BytesIO()
        np.savez(file, **model.state())
        file.seek(0)
        with np.load(file, allow_pickle=False) as state:
            again = StreamingKMeans.from_state(state)
        for x in xs[learnt:]:
            assert model.predict_one(x) == again.predict_one(x)
            assert model.learn_predict_one(x) == again.learn_predict_one(x)
        np.testing.assert_array_equal(model.centres, again.centres)


def test_state_of_another_format_is_refused() -> None:
    with pytest.raises(FormatError, match="format"):
        StreamingKMeans.from_state({"format": 2})


def test_ids_are_never_reused() -> None:
    model = production(k=2)
    model.seed_with([[0.0], [1.0]])
    model.seed_with([[0.0], [1.0]])
    assert model.ids.tolist() == [2, 3]
    assert model.next_id == 4
    with pytest.raises(ValueError, match="never reused"):
        model.seed_with([[0.0], [1.0]], ids=[3, 5])


def test_errors_say_what_is_wrong() -> None:
    model = production()
    with pytest.raises(NotReady, match="seed"):
        model.accumulate(np.zeros((1, 2)))
    model.seed_with(np.eye(3))
    with pytest.raises(ValueError, match="dimensions"):
        model.learn_many(np.zeros((1, 2)))
    with pytest.raises(ValueError, match="negative"):
        model.learn_many(np.zeros((1, 3)), weights=[-1.0])
    with pytest.raises(ValueError, match="half_life"):
        StreamingKMeans().accumulate(np.zeros((1, 2)))
    with pytest.raises(ValueError, match="above 0"):
        production(half_life=0.0)


def test_half_life_is_mutable_in_rivers_way() -> None:
    model = production(k=1)
    model.mutate({"half_life": 1.0})
    assert model.weighted.half_life == 1.0
    with pytest.raises(ValueError, match="mutable"):
        model.mutate({"n_clusters": 3})
