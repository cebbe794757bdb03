"""The learner's decisions: when each is due, and that they follow from the model alone."""

from __future__ import annotations

import numpy as np
import pytest

from stream.catalogue import Catalogue
from stream.config import Settings
from stream.entries import Labelled, Reviewed, Seeded, Trained, encode_entry
from stream.events.schema import ItemRecord
from stream.hashing import HashIndex, hash_texts
from stream.learner import SEED_ANYWAY_AFTER, TRAIN_EVERY, Learner
from stream.model import Model
from stream.recommending.ranker import SampledLists

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
    ones, none = np.ones(times, np.float32), np.full((times, 1), -1)
    model.items.count(rows, ones, np.full(times, cluster), none, model.index.keys)


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
        return SampledLists(np.full(n, 2, np.int32), x, np.tile([True, False], n))

    model.lists.fold(lists(TRAIN_EVERY - 1))
    assert learner.decide(model) is None
    model.lists.fold(lists(1))
    trained = learner.decide(model)
    assert isinstance(trained, Trained)
    assert trained.lists == TRAIN_EVERY
    assert trained.ranker.linear[0] > model.ranker.linear[0]
    assert trained.ranker.steps > 0
    assert model.ranker.steps == 0
    model.fold(0, trained)
    assert learner.decide(model) is None
