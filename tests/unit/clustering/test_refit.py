"""Clusters begun anew where that is clearly better, and who of them stays who they were."""

from __future__ import annotations

import numpy as np

from stream.clustering.assign import assign
from stream.clustering.kmeans import StreamingKMeans
from stream.clustering.lifecycle import LifeCycle, apply, propose
from stream.clustering.refit import refit

RNG = np.random.default_rng(0)
# Four crowds in two pairs: centres that split one crowd and share another pair are stuck there.
CROWDS = np.array([[0, 0], [0, 4], [20, 0], [20, 4]], np.float32)
SAMPLE = np.repeat(CROWDS, 60, axis=0) + RNG.normal(scale=0.4, size=(240, 2)).astype(np.float32)
SAMPLE = SAMPLE[RNG.permutation(len(SAMPLE))].astype(np.float32)
JUDGES = np.arange(len(SAMPLE)) % 2 == 1
STUCK = np.array([[-0.4, 0], [0.4, 0], [0, 4], [20, 2]], np.float32)


def model_at(centres: np.ndarray) -> StreamingKMeans:
    model = StreamingKMeans(len(centres), half_life=1_000.0, seed=0)
    model.seed_with(centres)
    model.fold(model.accumulate(SAMPLE))
    return model


def test_stuck_centres_begin_anew_and_the_rest_keeps_its_ids() -> None:
    model = StreamingKMeans(4, half_life=1_000.0, seed=0)
    model.seed_with(STUCK)
    found = refit(model.weighted, SAMPLE, JUDGES, gain=0.02, seed=1)
    assert found is not None
    rows, away = assign(SAMPLE, found.means)
    assert away.mean() < 0.5
    assert len(found.gone) >= 1  # of two in one crowd, one keeps none of its users
    kept = set(found.ids.tolist()) & {0, 1, 2, 3}
    assert 2 in kept
    assert len(kept) == 4 - len(found.gone)
    assert (found.ids >= 4).sum() == len(found.gone)
    np.testing.assert_array_equal(found.sizes, np.bincount(rows, minlength=4))
    np.testing.assert_allclose(found.errors, np.bincount(rows, away, 4), rtol=1e-4)
    born = [event for event in found.events if event.kind == "born"]
    gone = [event for event in found.events if event.heir is not None]
    assert {event.cluster for event in gone} == set(found.gone.tolist())
    assert all(event.heir in found.ids for event in gone)
    assert all(set(event.parents) <= {0, 1, 2, 3} for event in born)


def test_what_is_good_stays() -> None:
    model = StreamingKMeans(4, half_life=1_000.0, seed=0)
    model.seed_with(CROWDS)
    assert refit(model.weighted, SAMPLE, JUDGES, gain=0.02, seed=1) is None


def test_fewer_distinct_users_than_clusters_change_nothing() -> None:
    model = StreamingKMeans(4, half_life=1_000.0, seed=0)
    model.seed_with(STUCK)
    assert refit(model.weighted, np.repeat(CROWDS[:2], 120, axis=0), JUDGES, gain=0.02, seed=1) is None


def test_a_proposal_carries_it_out_with_all_weight_kept() -> None:
    model = model_at(STUCK)
    before = model.weights.sum()
    # Without moves, so that nothing else gets out of the bad place.
    decision = propose(model, SAMPLE, rules=LifeCycle(gain=1e9, dead=-1.0), seed=1)
    assert decision is not None
    events = apply(model, decision)
    assert {event.reason for event in events} <= {"refit"}
    assert assign(SAMPLE, model.centres)[1].mean() < 0.5
    np.testing.assert_allclose(model.weights.sum(), before)
    assert len(model.ids) == 4
