"""A model that was written down and made again goes on as one that never stopped, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.synthetic import SyntheticLog, SyntheticSettings
from stream import snapshot
from stream.config import Settings
from stream.encoder.hashing import HashingEncoder
from stream.entries import Entry
from stream.errors import FormatError
from stream.evaluation.prequential import Evaluation
from stream.hashing import HashIndex, hash_bytes
from stream.model import Model
from stream.snapshot import Manifest

DIMENSIONS = 32
# Parameters with which each of River's finds something among a few users.
ALGORITHMS: dict[str, dict[str, Any]] = {
    "StreamingKMeans": {},
    "KMeans": {},
    "STREAMKMeans": {"chunk_size": 40},
    "CluStream": {"max_micro_clusters": 12, "time_gap": 20},
    "DBSTREAM": {"cleanup_interval": 20},
    "DenStream": {"epsilon": 0.3, "n_samples_init": 50},
}


def new(config: Settings) -> Model:
    return Model(config, HashIndex(), DIMENSIONS)


def written(model: Model) -> bytes:
    return snapshot.write(snapshot.freeze(model))


def manifest_of(data: bytes) -> Manifest:
    return Manifest("one", 0, "log", 0, 1, 0, len(data), hash_bytes(data), {}, {}, {}, {}, {}, {})


def again(model: Model) -> Model:
    data = written(model)
    return snapshot.read(data, manifest_of(data), new(model.settings))


Log = tuple[Settings, list[Entry], list[bytes]]


@pytest.fixture(scope="module")
def log_of(small_settings: Settings) -> Callable[[str], Log]:
    """Gives, for an algorithm, the settings, a log, and what the model is after each entry."""

    @cache
    def make(algorithm: str) -> Log:
        clustering = {"algorithm": algorithm, "parameters": ALGORITHMS[algorithm]}
        worker = {"micro_batch": 100, "learn_every": 300}
        config = small_settings.model_copy(
            update={
                "clustering": small_settings.clustering.model_copy(update=clustering),
                "worker": small_settings.worker.model_copy(update=worker),
            }
        )
        log = SyntheticLog(SyntheticSettings(users=60, items=60, events=1_500, seed=8))
        run = Evaluation(config, HashingEncoder(DIMENSIONS), log.items)
        run.run(list(log.events()), "count")
        model, states = new(config), []
        for offset, entry in enumerate(run.log.entries):
            model.fold(offset, entry)
            states.append(written(model))
        return config, run.log.entries, states

    return make


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_model_made_again_after_every_entry_equals_one_that_never_stopped(
    algorithm: str, log_of: Callable[[str], Log]
) -> None:
    config, entries, states = log_of(algorithm)
    assert {type(entry).__name__ for entry in entries} >= {"Delta", "Seeded", "Labelled"}
    model = new(config)
    for offset, entry in enumerate(entries):
        model = again(model)
        model.fold(offset, entry)
        assert written(model) == states[offset]
    assert len(model.clusters.ids)


@settings(max_examples=10)
@given(data=st.data())
def test_it_does_not_matter_where_a_model_was_written(log_of: Callable[[str], Log], data: Any) -> None:
    config, entries, states = log_of("StreamingKMeans")
    stops = data.draw(st.sets(st.integers(0, len(entries) - 1), max_size=3))
    model = new(config)
    for offset, entry in enumerate(entries):
        model.fold(offset, entry)
        if offset in stops:
            model = again(model)
    assert written(model) == states[-1]


def test_what_is_folded_later_does_not_change_what_was_frozen(log_of: Callable[[str], Log]) -> None:
    config, entries, states = log_of("StreamingKMeans")
    model = new(config)
    for offset, entry in enumerate(entries[:-5]):
        model.fold(offset, entry)
    frozen = snapshot.freeze(model)
    for offset, entry in enumerate(entries[-5:], len(entries) - 5):
        model.fold(offset, entry)
    assert snapshot.write(frozen) == states[-6]


def test_damage_is_noticed(log_of: Callable[[str], Log]) -> None:
    config, _, states = log_of("StreamingKMeans")
    data, manifest = states[-1], manifest_of(states[-1])
    for damaged in (data[:-1], b"", data[:500] + b"x" + data[501:]):
        with pytest.raises(FormatError, match="bytes"):
            snapshot.read(damaged, manifest, new(config))


def test_another_version_of_the_model_is_noticed(log_of: Callable[[str], Log]) -> None:
    config, _, states = log_of("StreamingKMeans")
    fresh = new(config)
    fresh.items.something_new = 1  # type: ignore[attr-defined]
    with pytest.raises(FormatError, match="ItemCounts"):
        snapshot.read(states[-1], manifest_of(states[-1]), fresh)


def test_a_manifest_says_what_does_not_fit() -> None:
    shape = snapshot.shape_of(Settings(), "an encoder")
    manifest = replace(
        manifest_of(b""), shape=shape, positions={3: 7}, labels={4: "shoes"}, counts={"events": 2.0}
    )
    assert snapshot.read_manifest(snapshot.write_manifest(manifest)) == manifest
    assert manifest.refusal("log", shape) == ""
    free = Settings.model_validate({"clustering": {"k": 5}, "recommending": {"exclude_seen": False}})
    assert manifest.refusal("log", snapshot.shape_of(free, "an encoder")) == ""
    other = Settings.model_validate({"recommending": {"neighbours": 64}})
    assert "recommending.neighbours = 32, which is 64 now" in manifest.refusal(
        "log", snapshot.shape_of(other, "an encoder")
    )
    assert "another model log" in manifest.refusal("other", shape)
    assert "encoder" in manifest.refusal("log", snapshot.shape_of(Settings(), "another"))
    assert "format 0" in replace(manifest, format=0).refusal("log", shape)


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"\x80", snapshot.write({"format": 1}), snapshot.write({"format": 2})]
)
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        snapshot.read_manifest(data)
