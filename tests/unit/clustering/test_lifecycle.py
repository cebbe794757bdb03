"""Clusters whose right number and place is known by construction."""

from __future__ import annotations

import numpy as np
import pytest

from stream.clustering import StreamingKMeans
from stream.clustering.assign import MARGIN, assign
from stream.clustering.lifecycle import LifeCycle, Reshaped, apply, propose
from stream.clustering.lineage import Lineage, LineageEvent


def world(
    k: int = 5, per: int = 60, d: int = 8, seed: int = 0, spread: float = 0.2
) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors around ``k`` directions, shuffled, and the directions."""
    rng = np.random.default_rng(seed)
    middle = np.linalg.qr(rng.normal(size=(d, d)))[0][:k]
    X = np.repeat(middle, per, axis=0) + spread * rng.normal(size=(k * per, d))
    X = X[rng.permutation(len(X))]
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32), middle


def clusters(centres: np.ndarray, X: np.ndarray) -> StreamingKMeans:
    model = StreamingKMeans(n_clusters=len(centres), half_life=1e4, spherical=True, seed=0)
    model.seed_with(centres)
    model.learn_many(X)
    return model


def mean_error(model: StreamingKMeans, X: np.ndarray) -> float:
    return float(assign(X, model.centres)[1].mean())


def kinds(decision: Reshaped) -> list[tuple[str, str]]:
    return [(event.kind, event.reason) for event in decision.events]


def test_clusters_in_their_place_are_left_alone() -> None:
    X, middle = world()
    assert propose(clusters(middle, X), X) is None


def test_a_dead_cluster_is_born_again_where_it_helps() -> None:
    X, middle = world()
    # Two directions share one centre, and one centre is where nobody is.
    start = np.vstack([middle[0] + middle[1], middle[2:], -middle.sum(axis=0)])
    model = clusters(start, X)
    best = mean_error(clusters(middle, X), X)
    assert mean_error(model, X) > 1.5 * best
    decision = propose(model, X)
    assert decision is not None
    assert kinds(decision) == [("split", "wide"), ("born", "wide"), ("retired", "dead")]
    assert apply(model, decision) == decision.events
    assert model.ids.tolist() == [0, 1, 2, 3, 5]
    assert mean_error(model, X) == pytest.approx(best, rel=0.03)
    assert propose(model, X) is None


def test_twins_merge_in_favour_of_a_wide_one() -> None:
    X, middle = world()
    start = np.vstack([middle[0] + middle[1], middle[2:], middle[4] + 0.02])
    model = clusters(start, X)
    decision = propose(model, X)
    assert decision is not None
    assert ("merged", "twin") in kinds(decision)
    merged = next(event for event in decision.events if event.kind == "merged")
    assert {merged.cluster, merged.heir} == {3, 4}
    before = model.weights.sum()
    apply(model, decision)
    assert model.weights.sum() == pytest.approx(before)
    assert mean_error(model, X) == pytest.approx(mean_error(clusters(middle, X), X), rel=0.03)


def test_the_larger_part_keeps_the_id() -> None:
    X, middle = world(k=3)
    parts = np.concatenate([X[(X @ middle[0]) > 0.6], X[(X @ middle[1]) > 0.6][:20]])
    rest = X[(X @ middle[2]) > 0.6]
    sample = np.concatenate([parts, rest])[np.random.default_rng(0).permutation(len(parts) + len(rest))]
    model = clusters(np.vstack([middle[0] + middle[1], middle[2]]), sample)
    decision = propose(model, sample, k=3)
    assert decision is not None
    apply(model, decision)
    assert (model.centres @ middle.T).argmax(axis=1).tolist() == [0, 2, 1]
    assert model.weights[0] > model.weights[2]


def test_k_grows_and_moves_few_users() -> None:
    X, middle = world(per=200, spread=0.15)
    model = clusters(np.vstack([middle[0] + middle[1], middle[2:]]), X)
    before = model.predict_many(X)
    decision = propose(model, X[:400], k=5)
    assert decision is not None
    assert kinds(decision) == [("split", "k"), ("born", "k")]
    apply(model, decision)
    after = model.predict_many(X, current=before, margin=MARGIN)
    (split,) = (event.cluster for event in decision.events if event.kind == "split")
    was = before == split
    assert np.mean(after[was] != before[was]) <= 0.5
    assert np.mean(after[~was] != before[~was]) <= 0.01


def test_k_shrinks_by_the_one_that_costs_least() -> None:
    X, middle = world()
    model = clusters(np.vstack([middle, middle[4] + 0.05]), X)
    decision = propose(model, X, k=5)
    assert decision is not None
    assert [kind for kind, _ in kinds(decision)] == ["merged"]
    apply(model, decision)
    assert len(model.ids) == 5


def test_propose_is_pure_and_the_same_each_time() -> None:
    X, middle = world()
    model = clusters(np.vstack([middle[:3], middle[:2] + 0.01]), X)
    state, sample = model.state(), X.copy()
    one, other = propose(model, X), propose(model, X)
    assert one is not None
    assert other is not None
    np.testing.assert_array_equal(one.means, other.means)
    assert one.events == other.events
    np.testing.assert_array_equal(X, sample)
    for name, value in model.state().items():
        np.testing.assert_array_equal(value, state[name])


def test_a_decision_for_clusters_that_have_changed_does_nothing() -> None:
    X, middle = world()
    model = clusters(np.vstack([middle[0] + middle[1], middle[2:]]), X)
    decision = propose(model, X, k=5)
    assert decision is not None
    assert apply(model, decision)
    state = model.state()
    assert apply(model, decision) == []
    for name, value in model.state().items():
        np.testing.assert_array_equal(value, state[name])


def test_a_replica_comes_to_the_same() -> None:
    X, middle = world()
    model = clusters(np.vstack([middle[0] + middle[1], middle[2:], middle[4] + 0.01]), X)
    other = StreamingKMeans.from_state(model.state())
    decision = propose(model, X, k=6)
    assert decision is not None
    apply(model, decision)
    apply(other, decision)
    for name, value in model.state().items():
        np.testing.assert_array_equal(value, other.state()[name])


def test_too_small_a_sample_decides_nothing() -> None:
    X, middle = world()
    model = clusters(np.vstack([middle[0] + middle[1], middle[2:]]), X)
    assert propose(model, X[:6], k=9) is None
    assert propose(model, X[:0]) is None


def test_pure_noise_does_not_move_clusters() -> None:
    rng = np.random.default_rng(5)
    X = rng.normal(size=(2000, 16)).astype(np.float32)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    model = StreamingKMeans(n_clusters=8, half_life=1e5, spherical=True, seed=0)
    for _ in range(20):
        model.learn_many(X)
    moved = 0
    for start in range(0, 2000, 500):
        moved += propose(model, X[start : start + 500]) is not None
    assert moved == 0


def test_restless_rules_move_more() -> None:
    X, middle = world(per=30)
    model = clusters(np.vstack([middle[0] + middle[1], middle[2:], middle[4] + 0.3]), X)
    assert propose(model, X, rules=LifeCycle(gain=1.0, dead=0.0, recentre=1.0)) is None
    assert propose(model, X, rules=LifeCycle(gain=0.0)) is not None


def test_centres_go_where_the_users_are() -> None:
    X, middle = world(per=200)
    model = clusters(middle + 0.15 * np.random.default_rng(3).normal(size=middle.shape), X[:40])
    model.weighted.weights *= 100  # busy users of former times hold the centres where they were
    ids, error = model.ids.tolist(), mean_error(model, X)
    decision = propose(model, X)
    assert decision is not None
    assert decision.events == []
    apply(model, decision)
    assert model.ids.tolist() == ids
    assert mean_error(model, X) < 0.97 * error


def test_lineage_follows_chains_and_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    lineage = Lineage()
    for gone in range(3):
        lineage.fold([LineageEvent(gone, "merged", "twin", heir=gone + 1)])
    assert dict(lineage) == {0: 3, 1: 3, 2: 3}
    monkeypatch.setattr("stream.clustering.lineage.REMEMBERED", 2)
    lineage.fold([LineageEvent(3, "retired", "dead", heir=9)])
    assert dict(lineage) == {2: 9, 3: 9}


def test_lineage_maps_what_is_gone() -> None:
    X, middle = world()
    model = clusters(np.vstack([middle, middle[3:] + 0.01]), X)
    stale = model.accumulate(X)
    lineage = Lineage()
    decision = propose(model, X, k=4)
    assert decision is not None
    lineage.fold(apply(model, decision))
    assert model.fold(stale, lineage) == 0.0
    assert np.isin(lineage.resolve(np.arange(7)), model.ids).all()
    again = Lineage.from_state(lineage.state())
    assert dict(again) == dict(lineage)


def test_one_more_cluster_draws_few_users_off_its_neighbours() -> None:
    """The widest crowd would be cut best next to another, which has users on the border; the second widest is alone."""
    rng = np.random.default_rng(4)
    wide = np.concatenate([rng.normal([x, 0], 0.5, (200, 2)) for x in (-8.0, -3.0)])
    beside = np.concatenate([rng.normal([1.0, 0], 0.3, (100, 2)), rng.normal([-1.6, 0], 0.2, (60, 2))])
    alone = np.concatenate([rng.normal([50, y], 0.5, (200, 2)) for y in (-1.5, 1.5)])
    X = np.concatenate([wide, beside, alone])[rng.permutation(960)].astype(np.float32)
    model = StreamingKMeans(n_clusters=3, half_life=1e4, seed=0)
    model.seed_with(np.array([[-5.5, 0], [0.0, 0], [50, 0]], np.float32))
    model.learn_many(X)
    for rules, split in ((LifeCycle(drawn=1.0), 0), (LifeCycle(), 2)):
        decision = propose(model, X, k=4, rules=rules)
        assert decision is not None
        assert decision.events[0].cluster == split
