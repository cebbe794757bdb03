"""The learner's decisions: when each is due, and that they follow from the model alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pytest

from stream.background import AtOnce
from stream.catalogue import Catalogue
from stream.clustering.drift import DriftEvent
from stream.clustering.reprojecting import STALE, captured
from stream.config import Settings
from stream.entries import (
    Labelled,
    Paced,
    Refitted,
    Reprojected,
    Reviewed,
    Schooled,
    Seeded,
    Trained,
    decode_entry,
    encode_entry,
)
from stream.events.schema import ItemRecord
from stream.hashing import HashIndex, hash_texts
from stream.learner import SEED_ANYWAY_AFTER, TRAIN_FIRST, Learner
from stream.model import Model
from stream.recommending.features import SITUATION
from stream.recommending.item_models import SOONEST, ItemModels
from stream.recommending.ranker import SampledLists
from stream.recommending.sequences import SequenceModel
from stream.steps import CONTEXTS, Steps

T = TypeVar("T")
DIMENSIONS, K, PER_CLUSTER = 8, 3, 4
SETTINGS = Settings.model_validate(
    {
        "clustering": {"k": K, "seed_users_per_cluster": PER_CLUSTER, "dimensions": 4},
        "worker": {"learn_every": 100},
    }
)


@pytest.fixture
def model() -> Model:
    return Model(SETTINGS, HashIndex(), DIMENSIONS)


@pytest.fixture
def learner(model: Model) -> Learner:
    catalogue = Catalogue(model.index, DIMENSIONS)
    catalogue.upsert([ItemRecord(item_id=word, title=f"{word} thing") for word in ("wool", "film", "chess")])
    return Learner(SETTINGS, catalogue)


def sample(model: Model, users: int) -> None:
    """Users round three directions, in turn."""
    rng = np.random.default_rng(0)
    vectors = np.eye(K, DIMENSIONS)[np.arange(users) % K] + rng.normal(scale=0.05, size=(users, DIMENSIONS))
    model.sample.fold(np.arange(1, users + 1, dtype=np.uint64), vectors.astype(np.float16))


def take(model: Model, cluster: int, item: str, times: int) -> None:
    rows = model.index.insert(hash_texts([item] * times))
    ones = np.ones(times, np.float32)
    every = np.ones(times, np.int32)
    steps = replace(
        Steps.none(), size=every, flags=every.astype(np.uint8), gap=ones, cluster=every * np.int32(cluster),
        keys=np.zeros((times, CONTEXTS), np.uint64), window_size=np.zeros(times, np.uint8),
    )  # fmt: skip
    window = np.empty(0, np.int64)
    model.items.count(rows, ones, np.ones(times, np.bool_), steps, window, model.index, clock=0)


def test_nothing_is_decided_of_nothing(model: Model, learner: Learner) -> None:
    assert learner.decide(model) is None


def test_centres_are_chosen_once_there_are_users_enough(model: Model, learner: Learner) -> None:
    sample(model, K * PER_CLUSTER - 1)
    assert learner.decide(model) is None
    sample(model, K * PER_CLUSTER)
    decision = learner.decide(model)
    assert isinstance(decision, Seeded)
    assert decision.weights.tolist() == [PER_CLUSTER] * K
    assert (np.linalg.norm(decision.centres, axis=1) <= 1 + 1e-5).all()
    again = Learner(SETTINGS, learner.catalogue).decide(model)
    assert again is not None
    assert encode_entry(again) == encode_entry(decision)


def test_a_log_with_few_users_gets_fewer_clusters_in_the_end(model: Model, learner: Learner) -> None:
    sample(model, 2 * PER_CLUSTER)
    model.clock = SEED_ANYWAY_AFTER - 1
    assert learner.decide(model) is None
    model.clock = SEED_ANYWAY_AFTER
    decision = learner.decide(model)
    assert isinstance(decision, Seeded)
    assert len(decision.centres) == 2


def test_clusters_are_named_once_they_stand_and_reviewed_when_it_is_time(
    model: Model, learner: Learner
) -> None:
    sample(model, 30)
    model.clock = 30
    seeded = learner.decide(model)
    assert isinstance(seeded, Seeded)
    model.fold(0, seeded)
    for cluster, item in enumerate(("wool", "film", "chess")):
        take(model, cluster, item, 5)
    take(model, 0, "without entry", 9)
    labelled = learner.decide(model)
    assert isinstance(labelled, Labelled)
    assert labelled.named.ids.tolist() == [0, 1, 2]
    assert labelled.named.labels == ["wool", "film", "chess"]
    model.fold(1, labelled)
    assert learner.decide(model) is None
    model.clock += SETTINGS.worker.learn_every
    reviewed = learner.decide(model)
    assert isinstance(reviewed, Reviewed)
    model.fold(2, reviewed)
    assert isinstance(learner.decide(model), Labelled)


def test_clusters_of_users_who_took_no_item_have_no_name(model: Model, learner: Learner) -> None:
    sample(model, 30)
    seeded = learner.decide(model)
    assert seeded is not None
    model.fold(0, seeded)
    labelled = learner.decide(model)
    assert isinstance(labelled, Labelled)
    assert labelled.named.labels == [""] * K
    model.fold(1, labelled)
    assert learner.decide(model) is None


def test_the_ranker_is_trained_when_there_are_lists_enough(model: Model, learner: Learner) -> None:
    features = len(model.ranker.linear)

    def lists(n: int) -> SampledLists:
        x = np.zeros((2 * n, features), np.float16)
        x[::2, 0] = 1  # the first column tells what is taken
        situation = np.zeros((n, SITUATION), np.float16)
        return SampledLists(np.full(n, 2, np.int32), situation, x, np.tile([True, False], n))

    model.lists.fold(lists(TRAIN_FIRST - 1))
    assert learner.decide(model) is None
    model.lists.fold(lists(1))
    trained = learner.decide(model)
    assert isinstance(trained, Trained)
    assert trained.lists == TRAIN_FIRST
    assert trained.ranker.linear[0] > model.ranker.linear[0]
    assert trained.ranker.glance[0] > model.ranker.glance[0]
    assert trained.ranker.steps > 0
    assert model.ranker.steps == 0
    model.fold(0, trained)
    assert learner.decide(model) is None


def seeded(model: Model, learner: Learner) -> None:
    """Clusters stand and have names."""
    sample(model, 60)
    for offset, kind in enumerate((Seeded, Labelled)):
        decision = learner.decide(model)
        assert decision is not None
        assert isinstance(decision, kind)
        model.fold(offset, decision)


def test_a_stale_space_is_replaced_and_users_stay_where_they_are(model: Model, learner: Learner) -> None:
    seeded(model, learner)
    assert model.clusters.kmeans is not None
    # The same users move along axes that the projection does not see, each crowd another way.
    rng = np.random.default_rng(1)
    crowd = np.arange(60) % K
    vectors = np.eye(K, DIMENSIONS)[crowd] * 0.4 + 1.2 * np.eye(DIMENSIONS)[5 + rng.permutation(60) % 3]
    vectors += rng.normal(scale=0.05, size=vectors.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    model.sample.fold(np.arange(1, 61, dtype=np.uint64), vectors.astype(np.float16))
    profiles, old = model.sample.vectors(), model.clusters.projection
    assert old is not None
    before = model.clusters.assign(model.clusters.project(profiles), np.full(60, -1))
    ids, weights = model.clusters.ids.copy(), model.clusters.kmeans.weights.copy()
    version = model.clusters.version
    model.clock += SETTINGS.worker.learn_every
    decision = learner.decide(model)
    assert isinstance(decision, Reprojected)
    model.fold(2, decode_entry(encode_entry(decision)))
    assert model.clusters.projection is not None
    assert captured(model.clusters.projection, profiles) > captured(old, profiles) / STALE
    assert model.clusters.version == version + 1
    np.testing.assert_array_equal(model.clusters.ids, ids)
    np.testing.assert_allclose(model.clusters.kmeans.weights, weights)
    after = model.clusters.assign(model.clusters.project(profiles), before)
    assert np.mean(after != before) <= 0.1
    # It is no review: that comes next, in the new space.
    assert isinstance(learner.decide(model), Reviewed)


def take_much(model: Model, clock: int, users: int = 100) -> None:
    """Users take three of many items each, until the clock shows ``clock``."""
    rng = np.random.default_rng(clock)
    user = np.repeat(np.arange(1, users + 1, dtype=np.uint64), 3)
    model.takings.fold(user, rng.integers(1, 41, len(user)).astype(np.uint64), model.clock)
    model.clock = clock


def test_models_of_items_are_made_when_enough_is_new(model: Model, learner: Learner) -> None:
    take_much(model, SOONEST - 1)
    assert learner.decide(model) is None
    take_much(model, SOONEST)
    decision = learner.decide(model)
    assert isinstance(decision, Refitted)
    assert decision.fit.clock == SOONEST
    model.fold(0, decode_entry(encode_entry(decision)))
    assert {name: len(lists.ids) for name, lists in model.item_models.items()} == {"ease": 40, "item-knn": 40}
    take_much(model, 2 * SOONEST - 1)
    assert learner.decide(model) is None
    take_much(model, 2 * SOONEST)
    assert isinstance(learner.decide(model), Refitted)


def test_models_of_items_are_made_in_the_background_and_never_go_back(model: Model) -> None:
    background = Postponed[ItemModels]()
    learner = Learner(SETTINGS, Catalogue(model.index, DIMENSIONS), background)
    take_much(model, SOONEST)
    assert learner.decide(model) is None
    assert learner.decide(model) is None
    background.finish()
    model.decisions = 3  # others came meanwhile
    decision = learner.decide(model)
    assert isinstance(decision, Refitted)
    assert (decision.sequence, decision.fit.clock) == (3, SOONEST)
    model.fold(0, decision)
    take_much(model, 2 * SOONEST)
    assert learner.decide(model) is None
    background.finish()
    model.fitted_at = 2 * SOONEST  # by whoever had the role meanwhile
    assert learner.decide(model) is None


def test_the_transformer_is_trained_by_its_own_clock_in_its_own_background_and_never_goes_back() -> None:
    """It goes on from the model's weights; models of items, whose background is busy, hold nothing up."""
    sequence = SETTINGS.sequence.model_copy(update={"enabled": True, "dimensions": 4, "steps": 2})
    settings = SETTINGS.model_copy(update={"sequence": sequence})
    model, school = Model(settings, HashIndex(), DIMENSIONS), Postponed[SequenceModel]()
    learner = Learner(settings, Catalogue(model.index, DIMENSIONS), Postponed[ItemModels](), school)
    take_much(model, SOONEST)
    assert learner.decide(model) is None
    school.finish()
    decision = learner.decide(model)
    assert isinstance(decision, Schooled)
    assert (decision.model.clock, len(decision.model.items)) == (SOONEST, 40)
    model.fold(0, decode_entry(encode_entry(decision)))
    assert learner.decide(model) is None
    take_much(model, 2 * SOONEST)
    assert learner.decide(model) is None
    school.finish()
    model.sequence = replace(decision.model, clock=2 * SOONEST)  # by whoever had the role meanwhile
    assert learner.decide(model) is None


class Postponed(AtOnce[T]):
    """A background whose work is done when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self._work: list[Callable[[], T]] = []

    @property
    def ready(self) -> bool:
        return not self._work

    def start(self, work: Callable[[], T]) -> None:
        self._work.append(work)

    def finish(self) -> None:
        super().start(self._work.pop())


def test_a_drift_that_a_predecessor_noticed_is_settled(model: Model, learner: Learner) -> None:
    seeded(model, learner)
    assert model.clusters.kmeans is not None
    model.fold(2, Paced(model.decisions, DriftEvent("drift", 8.0, 0.5)))
    assert model.clusters.kmeans.weighted.pace == 8.0
    model.errors.extend([0.2] * 40)
    model.error_count += 40
    decision = Learner(SETTINGS, learner.catalogue).decide(model)
    assert isinstance(decision, Paced)
    assert decision.drift.kind == "settled"
    model.fold(3, decision)
    assert model.clusters.kmeans.weighted.pace == 1.0


def test_the_review_asks_those_who_were_active_of_late(model: Model, learner: Learner) -> None:
    sample(model, 30)
    model.updates = int(SETTINGS.clustering.half_life) + 1
    assert len(learner._active(model)) == 0
    model.sample.fold(np.array([1, 2], np.uint64), np.eye(2, DIMENSIONS, dtype=np.float16), model.updates)
    assert len(learner._active(model)) == 2
