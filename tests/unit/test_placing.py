"""What is seen of users who take other things than their cluster does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stream import placing
from stream.config import Settings
from stream.entries import Seeded
from stream.hashing import HashIndex
from stream.model import Model
from stream.placing import Placed, distances_of_taken
from stream.profiles.update import Touched

EYE = np.eye(2, dtype=np.float32)


@pytest.fixture
def model() -> Model:
    model = Model(Settings(), HashIndex(), 2)
    model.fold(0, Seeded(0, np.zeros(2, np.float32), EYE, EYE, np.ones(2)))
    return model


def watched(make_batch: Any, model: Model, rows: list[int], weights: list[float]) -> list[float]:
    """Two users, of cluster 1 and of none, take what lies at ``rows`` of EYE in turns."""
    n = len(rows)
    events = make_batch(["ann", "bob"] * (n // 2), range(n), ["item"] * n, weights)
    slot = np.arange(n) % 2
    touched = Touched(np.arange(2), np.zeros(2, np.int32), slot, np.array([n - 2, n - 1]))
    before = Placed(EYE, EYE, np.array([1, -1]), np.ones(2, np.float32))
    return distances_of_taken(events, touched, before, np.array(rows), EYE, model).tolist()


def test_distances_are_from_the_centre_of_who_took_it(make_batch: Any, model: Model) -> None:
    found = watched(make_batch, model, [1, 0, 0, 0, -1, 0, 0, 0], [1.0] * 6 + [-1.0, 1.0])
    assert found == pytest.approx([0.0, 2.0])


def test_nothing_is_watched_before_there_are_clusters(make_batch: Any) -> None:
    assert watched(make_batch, Model(Settings(), HashIndex(), 2), [0, 0], [1.0, 1.0]) == []


def test_of_a_large_batch_some_are_watched_from_all_over_it(
    make_batch: Any, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placing, "WATCHED", 4)
    found = watched(make_batch, model, [1] * 10 + [0] * 10, [1.0] * 20)
    assert found == pytest.approx([0.0, 0.0, 2.0, 2.0])
