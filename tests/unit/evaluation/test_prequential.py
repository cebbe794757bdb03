"""The evaluation: it runs the service's own pipeline, and says the same of the same log."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest

from producers.synthetic import SyntheticLog, SyntheticSettings
from stream.config import Settings
from stream.encoder.hashing import HashingEncoder
from stream.entries import Labelled
from stream.evaluation.past import Asked, Hashes, Targets
from stream.evaluation.prequential import Batching, Evaluation
from stream.evaluation.steps import steps_of
from stream.events.schema import EventRecord
from stream.hashing import hash_text
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


Judged = tuple[Asked, Targets, dict[str, tuple[Hashes, Hashes]]]


def judge(
    settings: Settings, log: SyntheticLog, events: list[EventRecord], lag: int
) -> tuple[Evaluation, list[Judged]]:
    """Run ``events``, and keep what was scored."""
    judged: list[Judged] = []
    evaluation = Evaluation(settings, HashingEncoder(32), log.items)
    add = evaluation.scoreboard.add

    def keep(asked: Asked, targets: Targets, lists: dict[str, tuple[Hashes, Hashes]]) -> None:
        judged.append((asked, targets, lists))
        add(asked, targets, lists)

    evaluation.scoreboard.add = keep  # type: ignore[method-assign, assignment]
    evaluation.run(events, lag=lag)
    return evaluation, judged


def test_lists_are_scored_beside_popularity(small_settings: Settings, log: SyntheticLog) -> None:
    evaluation, _ = evaluate(small_settings, log, "step")
    metrics = evaluation.report().metrics()
    steps = steps_of(list(log.events()))
    asking = sum(any(event.item_id for event in step) for step in steps[len(steps) // 10 :])
    assert metrics["fresh"]["all"]["steps"] == asking < len(steps)  # the first tenth only teaches
    for protocol in ("fresh", "live"):
        found = metrics[protocol]
        assert found["new"]["recall@10"] > found["popular"]["new"]["recall@10"] > 0
        for among in ("all", "new"):
            assert found[among]["steps"] == found["popular"][among]["steps"] > 100
        assert found["all"]["steps"] >= found["new"]["steps"]
    assert metrics["fresh"]["all"]["steps"] >= metrics["live"]["all"]["steps"]


def test_popularity_is_that_of_the_plain_reference(small_settings: Settings, log: SyntheticLog) -> None:
    events = list(log.events())
    evaluation, _ = judge(small_settings, log, events, lag=1)
    found = evaluation.report().metrics()["fresh"]["popular"]
    for among in ("all", "new"):
        expected = popular_recall(events, small_settings.recommending.k, among == "new")
        assert found[among]["recall@10"] == pytest.approx(expected)


def popular_recall(events: list[EventRecord], k: int, only_new: bool) -> float:
    """The protocol as it is told, step by step."""
    half_life = (events[-1].timestamp - events[0].timestamp) / 12
    steps: dict[tuple[str, int], set[str]] = {}
    for event in events:
        wanted = {event.item_id} if event.item_id else set()
        steps.setdefault((event.user_id or "", event.timestamp), set()).update(wanted)
    count: dict[str, float] = {}
    had: dict[str, set[str]] = {}
    recalls = []
    for number, ((user, now), items) in enumerate(steps.items()):
        past = had.setdefault(user, set())
        best = sorted(count, key=lambda item: (-count[item], hash_text(item)))
        listed = [item for item in best if not (only_new and item in past)][:k]
        targets = items - past if only_new else items
        if number >= len(steps) // 10 and targets:
            recalls.append(len(targets & set(listed)) / min(len(targets), k))
        for item in items:
            count[item] = count.get(item, 0) + 2 ** ((now - events[0].timestamp) / half_life)
        past |= items
    return sum(recalls) / len(recalls)


def test_lists_of_new_items_hold_only_such(small_settings: Settings, log: SyntheticLog) -> None:
    _, judged = judge(small_settings, log, list(log.events()), lag=64)
    repeats = 0
    for asked, _, lists in judged:
        for name in ("fresh", "live", "popular"):
            every, new = lists[name]
            for had, one, other in zip(asked.had, every, new, strict=True):
                assert not np.isin(other, had).any()
                repeats += int(np.isin(one, had).sum())
    assert repeats > 0


def test_a_list_knows_the_users_own_last_step_and_nothing_that_comes_later(
    small_settings: Settings, log: SyntheticLog
) -> None:
    events = list(log.events())
    _, judged = judge(small_settings, log, events, lag=200)
    came_before: dict[int, int] = {}  # user -> events
    for asked, _, _ in judged:
        order = np.argsort(asked.step)
        for user, row, now in zip(asked.user[order], asked.rows[order], asked.time[order], strict=True):
            past = [e for e in events if hash_text(e.user_id or "") == user and e.timestamp < now]
            assert row["events"] == len(past) >= came_before.get(int(user), 0)
            came_before[int(user)] = len(past)
    # What is learnt last changes no list that was made before.
    changed = [*events[:-1], msgspec.structs.replace(events[-1], item_id="another")]
    _, again = judge(small_settings, log, changed, lag=200)
    for (_, _, one), (_, _, other) in zip(judged, again, strict=True):
        for name in one:
            for a, b in zip(one[name], other[name], strict=True):
                np.testing.assert_array_equal(a, b)


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
