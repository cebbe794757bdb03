"""The model is the fold of its log, and of nothing else."""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np
import pytest

from stream.clustering.hierarchy import Hierarchy
from stream.clustering.shared import Named
from stream.config import Settings
from stream.config_lists import ItemModelSettings
from stream.entries import (
    Delta,
    Entry,
    Labelled,
    Refitted,
    Reprojected,
    Seeded,
    Trained,
    decode_entry,
    encode_entry,
)
from stream.hashing import HashIndex, hash_texts
from stream.model import WATCHED_EVENTS, MemoryLog, Model
from stream.recommending.distinct import sketch_of
from stream.recommending.exploring import Trials
from stream.recommending.features import MORE_FEATURES, SITUATION
from stream.recommending.item_models import fit_item_models
from stream.recommending.ranker import RankerState, SampledLists
from stream.recommending.taught import Taught
from stream.steps import CONTEXTS, Steps

DIMENSIONS = 6
SETTINGS = Settings.model_validate(
    {
        "clustering": {"sample": 64},
        "recommending": {
            "candidates": 5,
            "k": 3,
            "popular_half_lives": [50, 500],
            "neighbours": 3,
            "context_rows": 256,
        },
        "profiles": {"history": 4},
    }
)
SOURCES = len(Model(SETTINGS, HashIndex(), DIMENSIONS).sources)
ITEMS = hash_texts(f"item {i}" for i in range(40))


def new_model(first: np.ndarray | None = None) -> Model:
    """A model whose index has the items ``first`` in its first rows."""
    index = HashIndex()
    if first is not None:
        index.insert(first)
    return Model(SETTINGS, index, DIMENSIONS)


def steps(rng: np.random.Generator, items: int, events: int, clusters: int) -> Steps:
    """A step for each event, after two items."""
    return Steps(
        size=np.ones(events, np.int32),
        time=np.full(events, 1_000, np.int64),
        flags=rng.integers(0, 4, events).astype(np.uint8),
        gap=np.ones(events, np.float32),
        cluster=rng.integers(-1, max(clusters, 1), events).astype(np.int32),
        keys=rng.integers(0, 40, (events, CONTEXTS)).astype(np.uint64),
        window_size=np.full(events, 2, np.uint8),
        window=rng.integers(0, items, 2 * events).astype(np.int32),
        lag=rng.integers(1, 4, 2 * events).astype(np.uint8),
    )


def delta(seed: int, clusters: int = 0) -> Delta:
    rng = np.random.default_rng(seed)
    u, e = 12, 30
    items = rng.choice(ITEMS, u, replace=False)
    return Delta(
        base_version=-1,
        offsets={0: (seed * e, seed * e + e - 1)},
        events=e,
        updates=5,
        items=items,
        item_ids=[f"id {i}" for i in items.tolist()],
        event_item=rng.integers(0, u, e).astype(np.int32),
        event_weight=np.ones(e, np.float32),
        event_new=(new := rng.random(e) < 0.5),
        new_to=rng.integers(1, 50, int(new.sum())).astype(np.uint64),
        steps=steps(rng, u, e, clusters),
        clusters=None,
        watched=np.zeros(0, np.float32),
        sample_users=rng.integers(1, 50, 8).astype(np.uint64),
        sample_vectors=rng.normal(size=(8, DIMENSIONS)).astype(np.float16),
        taught=replace(Taught.nothing(SOURCES), responsibilities=rng.random((4, SOURCES)).astype(np.float32)),
        trials=Trials(items[:3], items[:1]),
        listed=sketch_of(items),
        counts={"events": e, "lists": 3},
    )


SEEDED = Seeded(
    sequence=0,
    mean=np.zeros(DIMENSIONS, np.float32),
    components=np.eye(DIMENSIONS, 3, dtype=np.float32),
    centres=np.eye(3, dtype=np.float32),
    weights=np.array([1.0, 2.0, 3.0]),
)


def labelled(sequence: int, *labels: str) -> Labelled:
    ids = np.arange(len(labels))
    return Labelled(sequence, Named(ids, list(labels), Hierarchy(ids, ids[None], next_id=len(ids))))


def log() -> list[Entry]:
    entries: list[Entry] = [delta(0), delta(1), SEEDED]
    model = new_model()
    for offset, entry in enumerate(entries):
        model.fold(offset, entry)
    assert model.clusters.kmeans is not None
    points = np.random.default_rng(3).normal(size=(20, 3)).astype(np.float32)
    entries += [replace(delta(2, 3), clusters=model.clusters.kmeans.accumulate(points)), delta(3, 3)]
    entries += [labelled(1, "a", "b", "c"), *(delta(n, 3) for n in range(4, 30))]
    fit = fit_item_models(fold(entries).takings.read(now=30 * 30), ItemModelSettings())
    return [*entries, Refitted(2, fit), delta(30, 3)]


def fold(entries: list[Entry], first: np.ndarray | None = None) -> Model:
    model = new_model(first)
    for offset, entry in enumerate(entries):
        model.fold(offset, entry)
    return model


def seen_by_items(model: Model) -> dict[str, object]:
    """What a model says, in the items' own ids, which do not depend on rows."""
    keys = [*model.index.keys.tolist(), None]  # of row -1
    charts, popularity, together = model.items.charts, model.items.popularity, model.items.pairs.window
    kmeans = model.clusters.kmeans
    return {
        "popular": [[keys[row] for row in chart] for chart in popularity.chart.tolist()],
        "popular shares": popularity.shares.tolist(),
        "trending": [[keys[row] for row in chart] for chart in charts.item.tolist()],
        "trending shares": charts.share.tolist(),
        "contexts": model.items.contexts.totals.tolist(),
        "followers": [
            [keys[item] for item in ids[:used]]
            for ids, used in zip(
                model.items.contexts.ids.tolist(), model.items.contexts.used.tolist(), strict=True
            )
        ],
        "neighbours": {
            keys[row]: ([keys[item] for item in ids], counts)
            for row, (ids, counts) in enumerate(
                zip(together.ids.tolist(), together.counts.tolist(), strict=True)
            )
            if any(counts)
        },
        "names": {keys[row]: name for row, name in model.item_ids.items()},
        "centres": model.clusters.centres.tolist(),
        "cluster weights": [] if kmeans is None else kmeans.weighted.weights.tolist(),
        "labels": model.clusters.labels,
        "mixture": model.mixture.weights.tolist(),
        "takings": [column.tolist() for column in astuple(model.takings.read(0))[:3]],
        "trials": model.trials.of(ITEMS).tolist(),
        "item models": {
            name: {
                keys[row]: ([keys[item] for item in lists.ids[at].tolist()], lists.scores[at].tolist())
                for row, at in enumerate(lists.place.tolist())
                if at >= 0
            }
            for name, lists in model.item_models.items()
        },
        "sample": model.sample.vectors().tolist(),
        "counts": dict(model.counts),
        "version": (model.version, model.decisions, model.clock),
    }


@pytest.mark.parametrize("seed", range(3))
def test_the_same_log_gives_the_same_model_whatever_the_rows(seed: int) -> None:
    one = new_model()
    other = new_model(np.random.default_rng(seed).permutation(ITEMS))
    for offset, entry in enumerate(log()):
        one.fold(offset, entry)
        other.fold(offset, decode_entry(encode_entry(entry)))
        # Early on most counts are equal, so that the order among equals shows.
        assert seen_by_items(one) == seen_by_items(other)
    assert one.index.keys.tolist() != other.index.keys[: len(one.index)].tolist()


def test_decisions_out_of_sequence_do_nothing() -> None:
    model = new_model()
    model.fold(0, delta(0))
    model.fold(1, labelled(5, "too early"))
    assert (model.clusters.labels, model.decisions, model.version) == ({}, 0, 1)
    model.fold(2, SEEDED)
    model.fold(3, replace(SEEDED, centres=-SEEDED.centres))
    assert model.clusters.centres.tolist() == SEEDED.centres.tolist()
    model.fold(4, labelled(1, "in turn"))
    model.fold(5, labelled(1, "again"))
    assert (model.clusters.labels, model.decisions, model.version) == ({0: "in turn"}, 2, 5)


def test_a_seeding_weighs_its_centres() -> None:
    model = new_model()
    model.fold(0, SEEDED)
    assert model.clusters.kmeans is not None
    assert model.clusters.kmeans.weighted.weights.tolist() == [1, 2, 3]
    assert model.clusters.ids.tolist() == [0, 1, 2]


def test_a_training_takes_its_lists_off_what_is_fresh() -> None:
    model = new_model()
    lists = SampledLists(
        np.array([2, 2, 2], np.int32),
        np.ones((3, SITUATION), np.float16),
        np.ones((6, SOURCES + MORE_FEATURES), np.float16),
        np.tile([True, False], 3),
    )
    model.fold(0, replace(delta(0), taught=replace(Taught.nothing(SOURCES), lists=lists)))
    assert model.lists.fresh == 3
    ranker = RankerState.prior(SOURCES, seed=9)
    model.fold(1, Trained(0, ranker, lists=2))
    assert model.lists.fresh == 1
    assert model.ranker is ranker


def test_an_empty_delta_moves_the_version_alone() -> None:
    model = new_model()
    empty = replace(
        delta(0),
        events=0,
        updates=0,
        items=np.empty(0, np.uint64),
        item_ids=[],
        event_item=np.empty(0, np.int32),
        event_weight=np.empty(0, np.float32),
        event_new=np.empty(0, np.bool_),
        new_to=np.empty(0, np.uint64),
        watched=np.zeros(0, np.float32),
        steps=Steps.none(),
        sample_users=np.empty(0, np.uint64),
        sample_vectors=np.empty((0, DIMENSIONS), np.float16),
        taught=Taught.nothing(SOURCES),
        trials=Trials.none(),
        counts={"records": 2, "dead.bad_json": 2},
    )
    model.fold(7, empty)
    assert (model.version, model.clock, len(model.index)) == (7, 0, 0)
    assert model.counts == {"records": 2, "dead.bad_json": 2}


def test_a_log_in_memory_is_folded_as_it_is_written() -> None:
    memory = MemoryLog(new_model())
    for entry in log():
        memory.append(entry)
    assert memory.model.version == len(memory.entries) - 1
    assert memory.model.clock == sum(entry.events for entry in memory.entries if isinstance(entry, Delta))


def test_sums_of_the_space_before_are_left_out() -> None:
    one, other = new_model(), new_model()
    for model in (one, other):
        for offset, entry in enumerate(log()[:4]):
            model.fold(offset, entry)
        centres = -model.clusters.centres
        model.fold(4, Reprojected(1, SEEDED.mean, -SEEDED.components, centres, np.full(3, 0.5)))
    kmeans = one.clusters.kmeans
    assert kmeans is not None
    np.testing.assert_allclose(kmeans.errors, 0.5 * kmeans.weights)
    before = one.clusters.centres.copy()
    points = np.random.default_rng(4).normal(size=(20, 3)).astype(np.float32)
    late = replace(delta(5, 3), clusters=kmeans.accumulate(points), base_version=3)
    one.fold(5, late)
    other.fold(5, replace(late, base_version=4))
    np.testing.assert_array_equal(one.clusters.centres, before)
    assert (other.clusters.centres != before).any()
    assert one.clock == other.clock


def test_an_error_is_the_mean_of_enough_that_was_taken() -> None:
    model = new_model()
    model.fold(0, SEEDED)
    assert model.clusters.kmeans is not None
    stats = model.clusters.kmeans.accumulate(np.eye(3, dtype=np.float32))
    taken = np.repeat([1.0, 2.0, 5.0], [WATCHED_EVENTS, WATCHED_EVENTS, 10]).astype(np.float32)
    for n, part in enumerate(np.split(taken, [10, 70, 71]), 1):
        model.fold(n, replace(delta(n), clusters=stats, watched=part, base_version=n - 1))
    assert list(model.errors) == [1.0, 2.0]
    assert model.error_count == 2


def test_births_and_shares_are_remembered_for_growth() -> None:
    model = new_model()
    model.fold(0, delta(0))
    model.fold(1, SEEDED)
    assert model.clusters.born == dict.fromkeys(range(3), 30)
    assert model.clusters.shares == {}
    model.fold(2, labelled(1, "a", "b", "c"))
    assert model.clusters.shares == pytest.approx({0: 1 / 6, 1: 2 / 6, 2: 3 / 6})
