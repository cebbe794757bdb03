from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from river import cluster

from stream.clustering.adapters import RiverClusterer
from stream.clustering.objects import dump, load
from stream.errors import ConfigError, FormatError

NAMES = ["CluStream", "DBSTREAM", "DenStream", "KMeans", "STREAMKMeans"]


def blobs(n: int = 800, k: int = 4, d: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    X = np.eye(d)[truth] + 0.08 * rng.normal(size=(n, d))
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32), truth


@pytest.mark.parametrize("name", ["DBSTREAM", "DenStream", "KMeans", "STREAMKMeans"])
def test_answers_as_river_does(name: str) -> None:
    X, _ = blobs()
    model = RiverClusterer(name, k=4, seed=1)
    model.learn_many(X)
    theirs = copy.deepcopy(model.model)
    rivers = [theirs.predict_one(dict(enumerate(x.tolist()))) for x in X[:100]]
    ours = model.predict_many(X[:100])
    assert ours is not None
    # Other names for the same: each of River's labels goes with one id.
    assert len(set(zip(rivers, ours.tolist(), strict=True))) == len(set(rivers)) == len(set(ours.tolist()))


@pytest.mark.parametrize("name", NAMES)
def test_ids_last_while_centres_stay(name: str) -> None:
    X, _ = blobs(2000)
    model = RiverClusterer(name, k=4, seed=1)
    model.learn_many(X[:1000])
    before = model.predict_many(X[:200])
    for start in range(1000, 2000, 250):
        model.learn_many(X[start : start + 250])
    after = model.predict_many(X[:200])
    assert before is not None
    assert after is not None
    if name not in ("CluStream", "STREAMKMeans"):  # they build their centres anew, and may build others
        assert np.mean(before == after) > 0.95


@pytest.mark.parametrize("name", ["CluStream", "DenStream", "KMeans", "STREAMKMeans"])
def test_looking_for_clusters_leaves_what_river_learnt_alone(name: str) -> None:
    X, _ = blobs(1000)
    model = RiverClusterer(name, k=4, seed=1, parameters={"epsilon": 0.05} if name == "DenStream" else None)
    alone = copy.deepcopy(model.model)
    for start in range(0, 1000, 100):
        model.learn_many(X[start : start + 100])
        model.predict_many(X)
    for x in X:
        alone.learn_one(dict(enumerate(x.tolist())))
    assert dump(model.model) == dump(alone)


@pytest.mark.parametrize("name", NAMES)
def test_stored_as_text_and_back(name: str) -> None:
    X, _ = blobs()
    for learnt in (0, 30, 500):
        model = RiverClusterer(name, k=4, seed=1)
        if learnt:
            model.learn_many(X[:learnt])
        again = load(json.loads(json.dumps(dump(model.model))))
        assert dump(again) == dump(model.model)
        for x in X[learnt : learnt + 200]:
            point = dict(enumerate(x.tolist()))
            again.learn_one(point)
            model.model.learn_one(point)
        assert dump(again) == dump(model.model)


def test_objects_that_are_shared_stay_shared() -> None:
    model = cluster.KMeans(n_clusters=2, seed=1)
    model.learn_one({"a": 1.0})
    again = load(dump(model))
    assert again.centers[0].default_factory.func.__self__ is again._rng
    assert again.centers[1]["new"] == model.centers[1]["new"]


def test_only_listed_classes_are_stored_or_made() -> None:
    model = cluster.KMeans()
    model.extra = object()
    with pytest.raises(FormatError, match="object"):
        dump(model)
    for text in ['[["object", "Popen", []]]', "[]", "{", '[["class", 1]]', "7"]:
        with pytest.raises(FormatError):
            load(text)


def test_unknown_names_say_what_is_allowed() -> None:
    with pytest.raises(ConfigError, match="DBSTREAM, DenStream"):
        RiverClusterer("kmeans")
    with pytest.raises(ConfigError, match="do not suit"):
        RiverClusterer("DBSTREAM", parameters={"radius": 1})


def test_users_stay_while_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    model = RiverClusterer("KMeans", k=2, seed=1)
    model.learn_many(np.repeat(np.eye(2), 50, axis=0))
    ids, centres = model.ids.copy(), model.centres.copy()
    monkeypatch.setattr(model, "_found", lambda: np.zeros((0, 2), np.float32))
    model.learn_many(np.eye(2))
    np.testing.assert_array_equal(model.ids, ids)
    np.testing.assert_array_equal(model.centres, centres)
