"""The source ``sequence`` in the whole: trained by the learner, folded, written down; and nothing of it when off."""

from __future__ import annotations

import sys

import pytest

from producers.synthetic import SyntheticLog, SyntheticSettings
from stream import snapshot
from stream.config import Settings
from stream.encoder.hashing import HashingEncoder
from stream.entries import Schooled, decode_entry, encode_entry
from stream.evaluation.prequential import Evaluation
from stream.hashing import HashIndex, hash_bytes
from stream.model import Model
from stream.recommending.sources import COLUMNS, SEQUENCE
from stream.snapshot import Manifest

DIMENSIONS = 32


def run(settings: Settings) -> Evaluation:
    log = SyntheticLog(SyntheticSettings(users=60, items=60, events=2_500, seed=8))
    evaluation = Evaluation(settings, HashingEncoder(DIMENSIONS), log.items)
    evaluation.run(list(log.events()), "count")
    return evaluation


def switched_on(settings: Settings, **more: object) -> Settings:
    sequence = settings.sequence.model_copy(update={"enabled": True, "steps": 5, "dimensions": 16} | more)
    return settings.model_copy(update={"sequence": sequence})


@pytest.fixture(scope="module")
def on(small_settings: Settings) -> Evaluation:
    return run(switched_on(small_settings))


def test_the_learner_trains_it_and_lists_hold_what_it_proposes(on: Evaluation) -> None:
    schooled = [entry for entry in on.log.entries if isinstance(entry, Schooled)]
    assert len(schooled) >= 2
    assert [one.model.clock for one in schooled] == sorted({one.model.clock for one in schooled})
    assert on.model.sequence is schooled[-1].model
    assert on.model.sources[on.model.columns.popular + SEQUENCE] == "sequence"
    assert on.model.mixture.weights[:, -1].max() > 0
    assert on.model.counts["places.sequence"] > 0


def test_the_same_log_gives_the_same_model_and_so_does_a_snapshot(on: Evaluation) -> None:
    """Folded by a worker that made none of it, from the bytes of the log; and half of it from a snapshot."""
    model = Model(on.settings, HashIndex(), DIMENSIONS)
    entries = [decode_entry(encode_entry(entry)) for entry in on.log.entries]
    for offset, entry in enumerate(entries):
        model.fold(offset, entry)
        if offset == len(entries) // 2:
            data = snapshot.write(snapshot.freeze(model))
            manifest = Manifest("one", 0, "log", 0, 1, 0, len(data), hash_bytes(data), {}, {}, {}, {}, {}, {})
            model = snapshot.read(data, manifest, Model(on.settings, HashIndex(), DIMENSIONS))
    assert model.sequence is not None
    assert on.model.sequence is not None
    assert encode_entry(Schooled(0, model.sequence)) == encode_entry(Schooled(0, on.model.sequence))


def test_two_runs_are_one(on: Evaluation) -> None:
    again = run(on.settings)
    assert [encode_entry(one) for one in again.log.entries] == [encode_entry(one) for one in on.log.entries]


def test_off_it_is_nowhere(small_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """No column, so nothing of it in features, deltas and weights; no training; and its torch is not imported."""
    monkeypatch.delitem(sys.modules, "stream.recommending.transformer", raising=False)
    off = run(small_settings)
    assert "stream.recommending.transformer" not in sys.modules
    assert len(off.model.sources) == off.model.columns.popular + COLUMNS
    assert "sequence" not in off.model.sources
    assert off.model.sequence is None
    assert off.model.decided["refitted"] > 0
    assert "schooled" not in off.model.decided


def test_a_snapshot_of_the_other_is_left_aside_but_other_training_is_not(small_settings: Settings) -> None:
    one, other, longer = (
        snapshot.shape_of(settings, "an encoder")
        for settings in (small_settings, switched_on(small_settings), switched_on(small_settings, length=9))
    )
    manifest = Manifest("one", 0, "log", 0, 1, 0, 0, 0, one, {}, {}, {}, {}, {})
    assert "sequence.enabled = False, which is True now" in manifest.refusal("log", other)
    assert other == longer
