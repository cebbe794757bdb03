"""Clusters found anew, and who of them stays who they were."""

from __future__ import annotations

import numpy as np

from stream.clustering.assign import assign
from stream.clustering.breathing import breathe
from stream.clustering.kmeans import StreamingKMeans
from stream.clustering.lifecycle import apply, propose
from stream.clustering.succession import succeed

RNG = np.random.default_rng(0)
# Four crowds in two pairs: centres that split one crowd and share another pair are stuck there.
CROWDS = np.array([[0, 0], [0, 4], [20, 0], [20, 4]], np.float32)
SAMPLE = np.repeat(CROWDS, 60, axis=0) + RNG.normal(scale=0.4, size=(240, 2)).astype(np.float32)
SAMPLE = SAMPLE[RNG.permutation(len(SAMPLE))].astype(np.float32)
STUCK = np.array([[-0.4, 0], [0.4, 0], [0, 4], [20, 2]], np.float32)


def model_at(centres: np.ndarray) -> StreamingKMeans:
    model = StreamingKMeans(len(centres), half_life=1_000.0, seed=0)
    model.seed_with(centres)
    model.fold(model.accumulate(SAMPLE))
    return model


def test_stuck_centres_find_the_way_out_and_the_rest_keeps_its_ids() -> None:
    model = model_at(STUCK)
    found = succeed(model.weighted, SAMPLE, breathe(SAMPLE, STUCK), dead=0.02)
    rows, away = assign(SAMPLE, found.means)
    assert away.mean() < 0.5
    assert len(found.gone) == 1  # of two in one crowd, one keeps none of its users
    assert {2, 3} <= set(found.ids.tolist())
    assert found.ids.tolist()[-1] == 4
    np.testing.assert_array_equal(found.sizes, np.bincount(rows, minlength=4))
    np.testing.assert_allclose(found.errors, np.bincount(rows, away, 4), rtol=1e-4)
    gone = int(found.gone[0])
    assert [(e.cluster, e.kind, e.reason, e.parents, e.heir) for e in found.events] == [
        (3, "split", "wide", (), None),
        (4, "born", "wide", (3,), None),
        (gone, "merged", "twin", (), 1 - gone),
    ]


def test_the_larger_part_keeps_the_id_of_two_halves_one() -> None:
    users = np.repeat(np.array([[0, 0], [0, 1], [9, 0]], np.float32), [7, 3, 5], axis=0)
    old = StreamingKMeans(2, half_life=1_000.0, seed=0)
    old.seed_with(np.array([[0, 0.3], [9, 0]], np.float32))
    found = succeed(old.weighted, users, np.array([[0, 1], [0, 0], [9, 0]], np.float32), dead=0.0)
    assert dict(zip(found.ids.tolist(), found.means.tolist(), strict=True)) == {
        0: [0, 0],
        1: [9, 0],
        2: [0, 1],
    }
    halves = np.array([[0, 0], [0, 1], [9, 0]], np.float32)
    assert 0 in succeed(old.weighted, halves, halves, dead=0.0).ids


def test_of_a_cluster_that_falls_apart_the_largest_part_keeps_the_id() -> None:
    places = np.array([[0, 0], [0, 3], [3, 0], [30, 0]], np.float32)
    users = np.repeat(places, [4, 3, 3, 10], axis=0)
    old = StreamingKMeans(2, half_life=1_000.0, seed=0)
    old.seed_with(np.array([[1, 1], [30, 0]], np.float32))
    found = succeed(old.weighted, users, places, dead=0.0)
    assert found.means[found.ids == 0].tolist() == [[0, 0]]
    assert not len(found.gone)


def test_a_cluster_whose_place_is_taken_does_not_live_on_in_a_corner() -> None:
    places = np.array([[0, 0], [9, 0], [9, 2]], np.float32)
    users = np.concatenate([np.repeat(places, [20, 20, 9], axis=0), [[6, 1]]]).astype(np.float32)
    old = StreamingKMeans(3, half_life=1_000.0, seed=0)
    old.seed_with(np.array([[-0.2, 0], [0.2, 0.1], [9, 0.5]], np.float32))
    found = succeed(old.weighted, users, places, dead=0.0)
    assert found.gone.tolist() in ([0], [1])
    assert 3 in found.ids


def test_a_cluster_that_nobody_is_in_has_the_nearest_for_its_heir() -> None:
    old = model_at(np.vstack([CROWDS, [[40, 0]]]))
    found = succeed(old.weighted, SAMPLE, CROWDS, dead=0.02)
    (event,) = found.events
    assert (event.cluster, event.kind, event.reason, event.heir) == (4, "retired", "dead", 2)


def test_a_proposal_carries_it_out_with_all_weight_kept() -> None:
    model = model_at(STUCK)
    before = model.weights.sum()
    decision = propose(model, SAMPLE, seed=1)
    assert decision is not None
    assert apply(model, decision)
    assert assign(SAMPLE, model.centres)[1].mean() < 0.5
    np.testing.assert_allclose(model.weights.sum(), before)
    assert len(model.ids) == 4
    assert propose(model, SAMPLE, seed=2) is None


def test_fewer_distinct_users_than_clusters_change_nothing() -> None:
    model = model_at(STUCK)
    decision = propose(model, np.repeat(CROWDS[:2], 120, axis=0), seed=1)
    if decision is not None:
        apply(model, decision)
    assert len(model.ids) == 4
    assert np.isfinite(model.centres).all()
