"""Sums over the model log."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from consumers.following import Logged
from consumers.status import RECENT, Tally, TallyReader, lag, parts_of, rates, unaccounted
from consumers.status_view import status_view
from producers.synthetic import SyntheticLog, SyntheticSettings
from stream.broker.memory import MemoryBroker
from stream.broker.topics import Topics, ensure_topics
from stream.clock import ManualClock
from stream.config import Settings
from stream.encoder import make_encoder
from stream.entries import Delta, Seeded, encode_entry
from stream.evaluation.prequential import Evaluation
from stream.wire import split


@pytest.fixture(scope="module")
def evaluated() -> Evaluation:
    settings = Settings.model_validate(
        {
            "encoder": {"model": "hashing"},
            "clustering": {"k": 3, "seed_users_per_cluster": 2, "dimensions": 8},
            "worker": {"learn_every": 300, "micro_batch": 200},
        }
    )
    log = SyntheticLog(SyntheticSettings(users=40, events=1_000))
    evaluation = Evaluation(settings, make_encoder(settings.encoder), log.items)
    evaluation.run(list(log.events()), "count")
    return evaluation


def test_a_tally_equals_the_folded_model(evaluated: Evaluation) -> None:
    settings, model = evaluated.settings, evaluated.model
    broker, topics = MemoryBroker(ManualClock()), Topics(settings.kafka)
    ensure_topics(broker, topics, settings.kafka)
    publisher = broker.publisher()
    for n, entry in enumerate(evaluated.log.entries):
        parts = split("w", n, encode_entry(entry), limit=1_000)  # in several parts
        publisher.send(topics.model_updates.name, [None] * len(parts), list(parts))
    publisher.flush(1.0)
    tally = TallyReader(broker, topics).catch_up()
    assert tally.counts == model.counts
    assert tally.lately.state()["sums"] == model.lately.state()["sums"]
    assert tally.lately.listed == model.lately.listed > 0
    assert tally.counts["records"] == 1_000
    assert tally.labels == model.clusters.labels
    assert tally.clusters == len(model.clusters.ids)
    assert tally.decisions.total() == model.decisions
    assert tally.positions == {0: 1_000}
    assert unaccounted(tally.counts) == 0


def test_a_decision_out_of_sequence_counts_for_nothing(evaluated: Evaluation) -> None:
    seeded = next(e for e in evaluated.log.entries if isinstance(e, Seeded))
    tally = Tally()
    for offset in range(2):
        decision = Seeded(0, seeded.mean, seeded.components, seeded.centres, seeded.weights)
        tally.fold(Logged(offset, "w/1", offset, decision))
    assert tally.decisions == {"seeded": 1}


def test_the_view_says_how_lists_were_met_of_late_and_in_all(evaluated: Evaluation) -> None:
    tally = Tally()
    for offset, entry in enumerate(evaluated.log.entries):
        tally.fold(Logged(offset, "shop-1/a", offset, entry))
    tally.counts.update({"clicks": 1, "impressions": 4, "clicks.place.2": 1, "impressions.place.2": 4})
    console = Console(file=io.StringIO(), width=120)
    console.print(status_view(tally, 3, 20))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for expected in (
        "hit rate@20",
        "NDCG@20",
        "all items, of late",
        "users who came back, in all",
        "hits per place",
        "place 3",
        "shop-1 0",
    ):
        assert expected in text
    assert "0.2500" in text


def test_the_lag_of_a_model_is_what_its_workers_lists_were_made_without(evaluated: Evaluation) -> None:
    delta = next(entry for entry in evaluated.log.entries if isinstance(entry, Delta))
    tally = Tally()
    # Each entry of w1 knows all before it; w2 began when offset 0 was the newest, and its markers take offsets, too.
    for offset, who, base in ((0, "w1/a", -1), (2, "w1/a", 0), (4, "w1/b", 2), (6, "w2/a", 0)):
        tally.fold(Logged(offset, who, 0, replace(delta, base_version=base)))
    assert tally.model_lags() == {"w1": 0, "w2": 2}
    assert tally.behind["w1"] == (4, 0)
    for n in range(3 * RECENT):
        tally.fold(Logged(8 + 2 * n, "w2/a", n, replace(delta, base_version=6 + 2 * n)))
    assert tally.model_lags() == {"w2": 0}
    assert len(tally.recent) <= 2 * RECENT


def test_lag_is_what_lies_behind_the_positions() -> None:
    assert lag({}, {}) == 0
    assert lag({0: (0, 10), 1: (3, 8), 2: (4, 4)}, {0: 10}) == 5
    assert lag({0: (7, 9)}, {0: 5}) == 2  # what retention took away waits no more


def test_what_is_missing_shows() -> None:
    counts = {"records": 10, "events": 6, "dropped.duplicate": 1, "dead.bad_json": 2}
    assert unaccounted(counts) == 1
    assert parts_of(counts, "dead.") == {"bad_json": 2}


def test_there_is_no_rate_of_nothing() -> None:
    assert rates({}) is None
    assert rates({"new.scored": 4, "new.hits": 2}, "new.") == (0.5, 0.0)
