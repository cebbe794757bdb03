"""Clusters watched over a log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from stream.clustering import quality
from stream.config import DAY_MS, Settings
from stream.entries import Seeded
from stream.evaluation import clusters
from stream.evaluation.clusters import ClusterWatch
from stream.hashing import HashIndex, hash_texts
from stream.model import Model
from stream.profiles.layout import RowLayout

USERS = 40


@dataclass
class Profiles:
    """As much of a table as is looked at."""

    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


@pytest.fixture
def model() -> Model:
    model = Model(Settings(), HashIndex(), 2)
    eye = np.eye(2, dtype=np.float32)
    model.fold(0, Seeded(0, np.zeros(2, np.float32), eye, eye, np.ones(2)))
    return model


@pytest.fixture
def profiles() -> Profiles:
    """Users of two personas, at the two centres; none has done anything since day 0."""
    rows = np.zeros(
        USERS, RowLayout(dimensions=2, history=1, event_ids=1, list_length=1, encoder=1, generation=1).dtype
    )
    rows["user"] = hash_texts([f"u{n}" for n in range(USERS)])
    rows["vector"], rows["taste"], rows["events"] = np.eye(2)[np.arange(USERS) % 2], 1, 5
    rows["cluster"] = -1
    return Profiles(rows)


def look(watch: ClusterWatch, profiles: Profiles, model: Model, day: int) -> dict[str, Any]:
    watch.note(USERS, day * DAY_MS)
    watch.look(profiles, model)  # type: ignore[arg-type]
    return watch.history[-1]


def test_users_who_are_moved_while_idle_count_by_the_day(model: Model, profiles: Profiles) -> None:
    watch = ClusterWatch(1e6, seed=0)
    assert look(watch, profiles, model, day=0)["churn_per_day"] == 0
    profiles.rows["vector"][:10] = profiles.rows["vector"][:10][:, ::-1]  # as if the centres had moved
    profiles.rows["vector"][10:20] = profiles.rows["vector"][10:20][:, ::-1]
    profiles.rows["events"][10:20] += 1  # these did something
    entry = look(watch, profiles, model, day=4)
    assert entry["churn"] == pytest.approx(10 / 30)
    assert entry["churn_per_day"] == pytest.approx(10 / 30 / 4)
    assert look(watch, profiles, model, day=5)["churn_per_day"] == 0


def test_batch_k_means_is_run_once_a_look(
    model: Model, profiles: Profiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []

    def counted(*args: Any) -> Any:
        runs.append(args)
        return quality.batch_centres(*args)

    monkeypatch.setattr(clusters, "batch_centres", counted)
    truth = {f"u{n}": [(0, f"persona {n % 2}")] for n in range(USERS)}
    entry = look(ClusterWatch(1e6, 0, truth), profiles, model, day=0)
    assert len(runs) == 1
    assert entry["adjusted_rand"] == entry["adjusted_rand_batch"] == 1
    assert entry["against_batch"] == 1
