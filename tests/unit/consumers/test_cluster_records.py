"""What is said of clusters on their topic."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import orjson
import pytest
from jsonschema import Draft202012Validator

from consumers.cluster_records import cluster_records, drift_record, given_up
from stream.catalogue import Catalogue
from stream.clustering.drift import DriftEvent
from stream.clustering.hierarchy import Hierarchy
from stream.clustering.numbering import match_clusters
from stream.clustering.shared import Named
from stream.config import Settings
from stream.entries import Labelled, Seeded, TookOver
from stream.hashing import HashIndex
from stream.model import Model

SCHEMA = Path(__file__).parents[3] / "docs" / "schemas" / "cluster.schema.json"
VALIDATOR = Draft202012Validator(json.loads(SCHEMA.read_text()))
IDS = np.arange(2)
NAMED = Named(IDS, ["a", "b"], Hierarchy(IDS, IDS[None], next_id=2))


@pytest.fixture
def model() -> Model:
    """Two clusters, of 30 users and of 10, as they were 500 events ago."""
    model = Model(Settings(), HashIndex(), 4)
    model.clock = 100
    weights = np.array([30.0, 10.0])
    model.fold(
        0,
        Seeded(
            0, np.zeros(4, np.float32), np.eye(4, 2, dtype=np.float32), np.eye(2, dtype=np.float32), weights
        ),
    )
    assert model.clusters.kmeans is not None
    model.clusters.kmeans.errors[:] = weights * 0.25
    model.clock = 600
    return model


def read(model: Model) -> dict[int, dict[str, object]]:
    found = [orjson.loads(v) for v in cluster_records(NAMED, model, Catalogue(model.index, 4)).values()]
    for one in found:
        VALIDATOR.validate(one)
    return {one["cluster_id"]: one for one in found}


def test_a_generation_goes_on_with_ids_and_gives_others_up(model: Model) -> None:
    users = np.array([0] * 9 + [1] * 4), np.array([7] * 9 + [5] * 1 + [6] * 3)
    found = match_clusters(*users, living=IDS, known=np.array([5, 6, 7]), largest=20)
    records = {key: orjson.loads(value) for key, value in given_up(found, model).items()}
    assert records.keys() == {b"5"}
    VALIDATOR.validate(records[b"5"])
    assert records[b"5"]["heir"] == 6
    model.fold(1, TookOver(1, found))
    assert read(model).keys() == {6, 7}


def test_size_share_spread_and_age(model: Model) -> None:
    first = read(model)[0]
    wanted = {"size": 30.0, "share": 0.75, "spread": 0.5, "age": 500}
    assert {name: first[name] for name in wanted} == wanted
    assert "growth" not in first


def test_growth_is_since_the_labelling_before(model: Model) -> None:
    model.fold(1, Labelled(1, NAMED))
    assert model.clusters.kmeans is not None
    model.clusters.kmeans.weights[:] = 20.0, 20.0
    found = read(model)
    assert [found[i]["growth"] for i in (0, 1)] == [-0.25, 0.25]


@pytest.mark.parametrize("kind", ["drift", "settled"])
def test_drift_is_told(model: Model, kind: str) -> None:
    told = orjson.loads(drift_record(DriftEvent(kind, 8.0, 0.41234), model))
    VALIDATOR.validate(told)
    assert told == {"status": kind, "pace": 8.0, "error": 0.4123, "events": 600, "model_version": 0}
