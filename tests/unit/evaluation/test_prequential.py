"""The evaluation: it runs the service's own pipeline, and says the same of the same log."""

from __future__ import annotations

import json

import pytest

from producers.synthetic import SyntheticLog, SyntheticSettings
from stream.config import Settings
from stream.encoder.hashing import HashingEncoder
from stream.entries import Labelled
from stream.evaluation.prequential import Batching, Evaluation
from stream.pipeline import Outcome


@pytest.fixture(scope="module")
def log() -> SyntheticLog:
    return SyntheticLog(SyntheticSettings(users=60, items=60, events=1_500, seed=8))


def evaluate(settings: Settings, log: SyntheticLog, batching: Batching) -> tuple[Evaluation, list[Outcome]]:
    outcomes: list[Outcome] = []
    evaluation = Evaluation(settings, HashingEncoder(32), log.items, on_outcome=outcomes.append)
    evaluation.run(list(log.events()), batching)
    return evaluation, outcomes


def test_the_same_log_gives_the_same_metrics(small_settings: Settings, log: SyntheticLog) -> None:
    one, other = (
        json.dumps(evaluate(small_settings, log, "step")[0].report().metrics(), sort_keys=True) for _ in "ab"
    )
    assert one == other


@pytest.mark.parametrize("batching", ["step", "count"])
def test_every_event_is_run_once(small_settings: Settings, log: SyntheticLog, batching: Batching) -> None:
    evaluation, outcomes = evaluate(small_settings, log, batching)
    counts = evaluation.report().counts
    assert sum(len(outcome.events) for outcome in outcomes) == counts["events"] == counts["records"] == 1_500
    assert evaluation.report().seconds["run"] > 0


def test_lists_are_scored_beside_popularity(small_settings: Settings, log: SyntheticLog) -> None:
    evaluation, outcomes = evaluate(small_settings, log, "step")
    live = evaluation.report().metrics()["live"]
    k = small_settings.recommending.k
    assert live["new"][f"hit_rate@{k}"] > live["popular_new"][f"hit_rate@{k}"]
    assert live["all"]["steps"] >= live["new"]["steps"] > 100
    # The first tenth only teaches.
    taught = sum(len(outcome.events) for outcome in outcomes if outcome.events.offset[0] < 150)
    assert live["all"]["steps"] <= 1_500 - taught


@pytest.mark.parametrize("known", [0, 30])
def test_items_without_a_catalogue_entry_are_counted_and_listed(
    small_settings: Settings, log: SyntheticLog, known: int
) -> None:
    outcomes: list[Outcome] = []
    evaluation = Evaluation(small_settings, HashingEncoder(32), log.items[:known], on_outcome=outcomes.append)
    evaluation.run(list(log.events()), "count")
    assert evaluation.model.counts["events"] == 1_500
    lists = [json.loads(record) for outcome in outcomes for record in outcome.lists]
    listed = {item["item_id"] for one in lists for item in one["items"]}
    assert listed - {item.item_id for item in log.items[:known]}


def test_clusters_go_by_what_is_near_before_anything_is_counted_in_them(
    small_settings: Settings, log: SyntheticLog
) -> None:
    evaluation, _ = evaluate(small_settings, log, "count")
    first = next(entry for entry in evaluation.log.entries if isinstance(entry, Labelled))
    assert all(first.named.labels)
