"""Batches by step, and the scores of lists against a plain reference."""

from __future__ import annotations

from itertools import pairwise
from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.evaluation.steps import Scores, by_count, by_step
from stream.events.schema import EventRecord

EVENTS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=40).map(
    lambda pairs: [
        EventRecord(user_id=user, action="view", item_id="i", timestamp=time)
        for user, time in sorted(pairs, key=lambda pair: pair[1])
    ]
)


@given(EVENTS, st.integers(1, 12))
def test_a_user_has_one_step_in_a_batch_and_nothing_is_lost(events: list[EventRecord], most: int) -> None:
    batches = list(by_step(events, most))
    assert [event for batch in batches for event in batch] == events
    for batch in batches:
        users = {event.user_id for event in batch[:-1]}
        assert len(batch) <= most or batch[-1].user_id in users  # a step is not cut
        assert len({event.user_id for event in batch}) == len({(e.user_id, e.timestamp) for e in batch})


@given(EVENTS)
def test_batches_are_cut_only_where_they_must_be(events: list[EventRecord]) -> None:
    batches = list(by_step(events, 1_000))
    for one, following in pairwise(batches):
        first = following[0]
        assert any(e.user_id == first.user_id and e.timestamp != first.timestamp for e in one)


@given(EVENTS, st.integers(1, 12))
def test_batches_by_count_are_full(events: list[EventRecord], most: int) -> None:
    batches = list(by_count(events, most))
    assert [event for batch in batches for event in batch] == events
    assert all(len(batch) == most for batch in batches[:-1])


K = 3
ROWS = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 6)), max_size=25)


@given(ROWS, st.dictionaries(st.tuples(st.integers(0, 4), st.integers(1, 6)), st.integers(-1, K - 1)))
def test_scores_are_those_of_the_plain_reference(
    rows: list[tuple[int, int]], ranks: dict[tuple[int, int], int]
) -> None:
    scores = Scores(K)
    half = len(rows) // 2
    expected = dict.fromkeys(("hit_rate", "recall", "ndcg", "steps"), 0.0)
    for part in (rows[:half], rows[half:]):
        place = np.array([ranks.get(row, -1) for row in part], np.int16)
        step, item = (np.array([row[i] for row in part]) for i in (0, 1))
        scores.add(step.astype(np.int64), item.astype(np.uint64), place)
        for number in {row[0] for row in part}:
            targets = {item for step, item in part if step == number}
            found = [ranks[number, item] for item in targets if ranks.get((number, item), -1) >= 0]
            best = sum(1 / log2(i + 2) for i in range(min(len(targets), K)))
            expected["steps"] += 1
            expected["hit_rate"] += bool(found)
            expected["recall"] += len(found) / min(len(targets), K)
            expected["ndcg"] += sum(1 / log2(rank + 2) for rank in found) / best
    means = scores.means()
    assert means["steps"] == expected["steps"]
    for name in ("hit_rate", "recall", "ndcg"):
        assert means[f"{name}@{K}"] == pytest.approx(expected[name] / max(expected["steps"], 1))


def test_a_perfect_list_scores_one() -> None:
    scores = Scores(2)
    ranks = np.array([0, 1, 1], np.int16)
    scores.add(np.array([7, 7, 7]), np.array([1, 2, 2], np.uint64), ranks)
    assert scores.means() == {"hit_rate@2": 1, "recall@2": 1, "ndcg@2": pytest.approx(1), "steps": 1}
