"""Item counts and the charts drawn from them."""

from __future__ import annotations

import numpy as np
import pytest

from stream.config import RecommendingSettings
from stream.recommending.counts import BACKWARDS, SORT_EVERY, ItemCounts
from stream.recommending.gathering import LAG_DECAY

SETTINGS = RecommendingSettings(
    popular_half_lives=(1e9,), half_life=1e9, neighbours=4, trending=8, candidates=3
)
NO_CONTEXT = [-1, -1]


def count(
    counts: ItemCounts,
    items: list[int],
    keys: np.ndarray,
    clusters: list[int] | None = None,
    context: list[list[int]] | None = None,
    weights: list[float] | None = None,
) -> None:
    n = len(items)
    counts.count(
        np.array(items, np.int64),
        np.array(weights or [1.0] * n, np.float32),
        np.array(clusters or [-1] * n, np.int32),
        np.array(context or [NO_CONTEXT] * n, np.int64).reshape(n, 2),
        keys,
    )


def test_charts_are_the_heaviest_with_ties_by_hash() -> None:
    keys = np.array([50, 40, 30, 20, 10], np.uint64)
    counts = ItemCounts(SETTINGS, chart_length=4)
    count(counts, [0, 0, 1, 2, 3, 4], keys, clusters=[2, 2, 2, -1, 2, 2])
    counts.advance(SORT_EVERY, keys)
    assert counts.charts.popular.tolist() == [[0, 4, 3, 2]]
    np.testing.assert_allclose(counts.charts.popular_share, [[2 / 6, 1 / 6, 1 / 6, 1 / 6]])
    assert counts.charts.trending[2].tolist() == [0, 4, 3]
    np.testing.assert_allclose(counts.charts.trending_share[2], [2 / 5, 1 / 5, 1 / 5])
    assert (counts.charts.trending[:2] == -1).all()


def test_covisits_look_forward_and_less_so_backward() -> None:
    keys = np.arange(3, dtype=np.uint64)
    counts = ItemCounts(SETTINGS, chart_length=4)
    count(counts, [2], keys, context=[[1, 0]])
    ids, weights = counts.covisits.ids, counts.covisits.counts
    assert (ids[1, 0], weights[1, 0]) == (2, 1)
    assert ids[0, 0] == 2
    assert weights[0, 0] == pytest.approx(float(LAG_DECAY))
    assert ids[2, :2].tolist() == [1, 0]
    np.testing.assert_allclose(weights[2, :2], [BACKWARDS, BACKWARDS * float(LAG_DECAY)])


def test_the_first_events_of_a_log_are_in_the_charts_at_once() -> None:
    keys = np.arange(2, dtype=np.uint64)
    counts = ItemCounts(SETTINGS, chart_length=4)
    count(counts, [1], keys)
    counts.advance(1, keys)
    assert counts.charts.popular[0, 0] == 1


def test_older_counts_fade_and_rebasing_leaves_no_trace() -> None:
    settings = SETTINGS.model_copy(update={"popular_half_lives": (10.0,), "half_life": 10.0})
    keys = np.arange(2, dtype=np.uint64)
    counts = ItemCounts(settings, chart_length=4)
    count(counts, [0] * 8, keys, clusters=[0] * 8)
    counts.advance(400, keys)
    count(counts, [1], keys, clusters=[0])
    counts.advance(800, keys)
    assert counts.charts.popular[0, 0] == 1
    assert counts.charts.trending[0, 0] == 1
    assert counts.charts.popular_share[0, 0] == pytest.approx(1, abs=1e-6)


def test_no_events_change_nothing() -> None:
    keys = np.arange(2, dtype=np.uint64)
    counts = ItemCounts(SETTINGS, chart_length=4)
    count(counts, [], keys)
    counts.advance(0, keys)
    assert (counts.charts.popular == -1).all()
