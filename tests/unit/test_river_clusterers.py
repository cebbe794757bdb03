"""River's clusterers by configuration, from events to lists: clusters that come and go upset nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest

from consumers.cluster_records import cluster_records
from producers.synthetic import SyntheticLog, SyntheticSettings
from stream.clustering.shared import SharedClusters
from stream.config import ClusteringSettings, Settings
from stream.encoder.hashing import HashingEncoder
from stream.entries import Labelled, decode_entry, encode_entry
from stream.errors import ConfigError
from stream.evaluation.prequential import Evaluation
from stream.model import Model
from stream.pipeline import Outcome

# Parameters that let each find something among a few users; DBSTREAM's and DenStream's clusters come and go.
PARAMETERS: dict[str, dict[str, Any]] = {
    "KMeans": {},
    "STREAMKMeans": {"chunk_size": 40},
    "CluStream": {"max_micro_clusters": 12, "time_gap": 20},
    "DBSTREAM": {"cleanup_interval": 20},
    "DenStream": {"epsilon": 0.3, "n_samples_init": 50},
}


@pytest.fixture(scope="module")
def log() -> SyntheticLog:
    return SyntheticLog(SyntheticSettings(users=60, items=60, events=2_000, seed=8))


@pytest.mark.parametrize("algorithm", PARAMETERS)
def test_a_log_runs_through(algorithm: str, small_settings: Settings, log: SyntheticLog) -> None:
    parameters = PARAMETERS[algorithm]
    clustering = small_settings.clustering.model_copy(
        update={"algorithm": algorithm, "parameters": parameters}
    )
    settings = small_settings.model_copy(update={"clustering": clustering})
    outcomes: list[Outcome] = []
    seen: list[tuple[list[int], bytes]] = []

    def look(outcome: Outcome) -> None:
        outcomes.append(outcome)
        clusters = evaluation.model.clusters
        # Shortlists are drawn up for all that a user can be in.
        np.testing.assert_array_equal(clusters.reference[0], clusters.ids)
        seen.append((clusters.ids.tolist(), clusters.centres.tobytes()))

    evaluation = Evaluation(settings, HashingEncoder(32), log.items, on_outcome=look)
    evaluation.run(list(log.events()), "count")
    model, clusters = evaluation.model, evaluation.model.clusters
    assert len(clusters.ids) > 1
    assert sum(len(outcome.lists) for outcome in outcomes) == model.counts["lists"]
    assert all(orjson.loads(one)["items"] for one in outcomes[-1].lists)
    check_ids_last([ids for ids, _ in seen])
    check_records(evaluation)
    check_fold(evaluation, settings)


def check_ids_last(seen: list[list[int]]) -> None:
    """An id that has gone never comes back, and new ones are larger than all before."""
    ever: set[int] = set()
    before: set[int] = set()
    for ids in map(set, seen):
        assert not (ids - before) & ever
        assert all(i > max(ever, default=-1) for i in ids - ever)
        ever |= ids
        before = ids
    assert any(set(a) & set(b) for a, b in zip(seen[-2:], seen[-1:], strict=False))


def check_records(evaluation: Evaluation) -> None:
    model, clusters = evaluation.model, evaluation.model.clusters
    entries = [entry for entry in evaluation.log.entries if isinstance(entry, Labelled)]
    assert entries
    assert set(clusters.born) == set(clusters.ids.tolist())
    model.labels_due = True
    decision = evaluation.learner.decide(model)
    assert isinstance(decision, Labelled)
    found = [orjson.loads(r) for r in cluster_records(decision.named, model, evaluation.catalogue).values()]
    living = [record for record in found if record["status"] == "living"]
    assert [record["cluster_id"] for record in living] == clusters.ids.tolist()
    assert sum(record["share"] for record in living) == pytest.approx(1, abs=1e-2)
    assert all(record["heir"] in clusters.ids for record in found if record["status"] == "retired")


def check_fold(evaluation: Evaluation, settings: Settings) -> None:
    """Who folds the log anew has the same clusters."""
    again = Model(settings, type(evaluation.model.index)(), 32)
    for offset, entry in enumerate(evaluation.log.entries):
        again.fold(offset, decode_entry(encode_entry(entry)))
    clusters = evaluation.model.clusters
    np.testing.assert_array_equal(again.clusters.ids, clusters.ids)
    np.testing.assert_array_equal(again.clusters.centres, clusters.centres)
    assert dict(again.clusters.lineage) == dict(clusters.lineage)
    assert again.clusters.version == clusters.version


@pytest.mark.parametrize(
    ("algorithm", "parameters", "word"),
    [
        ("KMeans", {"nonsense": 1}, "River's KMeans"),
        ("DenStream", {"mu": 2.0, "beta": 0.5}, "River's DenStream"),
        ("StreamingKMeans", {"n_clusters": 3}, "settings of its own"),
    ],
)
def test_parameters_that_do_not_suit_are_refused_at_once(
    algorithm: str, parameters: dict[str, Any], word: str
) -> None:
    settings = ClusteringSettings.model_validate({"algorithm": algorithm, "parameters": parameters})
    with pytest.raises(ConfigError, match=word):
        SharedClusters(settings)
