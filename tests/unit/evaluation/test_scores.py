"""Scores of lists against a plain reference."""

from __future__ import annotations

from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.evaluation.scores import score

K = 3
ROWS = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 6)), max_size=25, unique=True)


@given(ROWS, st.dictionaries(st.tuples(st.integers(0, 4), st.integers(1, 6)), st.integers(-1, K - 1)))
def test_scores_are_those_of_the_plain_reference(
    rows: list[tuple[int, int]], ranks: dict[tuple[int, int], int]
) -> None:
    expected = dict.fromkeys(("hit_rate", "recall", "ndcg"), 0.0)
    numbers = {step for step, _ in rows}
    for number in numbers:
        targets = [item for step, item in rows if step == number]
        found = [ranks[number, item] for item in targets if ranks.get((number, item), -1) >= 0]
        best = sum(1 / log2(i + 2) for i in range(min(len(targets), K)))
        expected["hit_rate"] += bool(found)
        expected["recall"] += len(found) / min(len(targets), K)
        expected["ndcg"] += sum(1 / log2(rank + 2) for rank in found) / best
    step = np.array([step for step, _ in rows], np.int64)
    means = score(step, np.array([ranks.get(row, -1) for row in rows], np.int16), K)
    assert means["steps"] == len(numbers)
    for name, total in expected.items():
        assert means[f"{name}@{K}"] == pytest.approx(total / max(len(numbers), 1))


def test_a_perfect_list_scores_one() -> None:
    means = score(np.array([7, 7]), np.array([0, 1], np.int16), 2)
    assert means == {"hit_rate@2": 1, "recall@2": 1, "ndcg@2": pytest.approx(1), "steps": 1}


def test_more_targets_than_places_are_not_held_against_a_list() -> None:
    assert score(np.zeros(5, np.int64), np.array([0, 1, -1, -1, -1], np.int16), 2)["recall@2"] == 1
