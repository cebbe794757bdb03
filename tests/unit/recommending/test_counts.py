"""Item counts: each kind counts what it should, and all fade."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stream.config_lists import RecommendingSettings
from stream.hashing import HashIndex
from stream.recommending.counts import SORT_EVERY, ItemCounts
from stream.steps import FIRST_OF_USER, STARTS_SESSION

SETTINGS = RecommendingSettings(
    popular_half_lives=(1e9,),
    popular_hours=(1.0,),
    new_half_lives=(1e9,),
    half_life=1e9,
    neighbours=4,
    context_rows=64,
    trending=8,
    candidates=3,
)
POPULAR, HOURLY, NEW, START, FIRST = range(5)  # columns of popularity
HOUR = 3_600_000


def index_of(*keys: int) -> HashIndex:
    index = HashIndex()
    index.insert(np.array(keys, np.uint64))
    return index


def count(
    counts: ItemCounts, index: HashIndex, steps: Any, items: list[int], new: list[bool] | None = None
) -> None:
    counts.count(
        np.array(items, np.int64),
        np.ones(len(items), np.float32),
        np.array(new or [True] * len(items)),
        steps,
        steps.window.astype(np.int64),
        index,
        clock=7,
    )


def test_charts_are_the_heaviest_with_ties_by_hash(make_steps: Any) -> None:
    index, counts = index_of(50, 40, 30, 20, 10), ItemCounts(SETTINGS, chart_length=4)
    items = [0, 0, 1, 2, 3, 4]
    count(counts, index, make_steps([1] * 6, clusters=[2, 2, 2, -1, 2, 2]), items)
    counts.advance(SORT_EVERY, HOUR, index.keys)
    popularity = counts.popularity
    assert popularity.chart[POPULAR].tolist() == [0, 4, 3, 2]
    shares = popularity.counts[[0, 4, 3, 2], POPULAR] * popularity.shares[POPULAR]
    np.testing.assert_allclose(shares, [2 / 6, 1 / 6, 1 / 6, 1 / 6])
    assert counts.charts.ids.tolist() == [2]
    assert counts.charts.item.tolist() == [[0, 4, 3]]
    np.testing.assert_allclose(counts.charts.share[0], [2 / 5, 1 / 5, 1 / 5])


@pytest.mark.parametrize("seed", range(5))
def test_a_chart_is_at_every_moment_what_sorting_would_give(make_steps: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    index = index_of(*rng.permutation(30).tolist())
    settings = SETTINGS.model_copy(update={"popular_half_lives": (20.0,)})
    counts = ItemCounts(settings, chart_length=6)
    for clock in range(1, 900, 30):
        items = rng.geometric(0.15, 30).clip(1, 30) - 1
        count(counts, index, make_steps([30]), items.tolist(), (rng.random(30) < 0.5).tolist())
        counts.advance(clock, clock * 1_000, index.keys)
        for p, chart in enumerate(counts.popularity.chart):
            held = counts.popularity.counts[: len(index), p]
            order = np.lexsort((index.keys, -held))[:6]
            assert chart[chart >= 0].tolist() == order[held[order] > 0].tolist()


def test_popularity_is_counted_apart_by_who_takes(make_steps: Any) -> None:
    index, counts = index_of(1, 2, 3), ItemCounts(SETTINGS, chart_length=4)
    flags = [STARTS_SESSION | FIRST_OF_USER, STARTS_SESSION, 0]
    count(counts, index, make_steps([1, 1, 1], flags=flags), [0, 1, 2], new=[True, False, True])
    by_column = (counts.popularity.counts[:3] > 0).T.tolist()
    assert by_column[POPULAR] == by_column[HOURLY] == [True, True, True]
    assert by_column[NEW] == [True, False, True]
    assert by_column[START] == [True, True, False]
    assert by_column[FIRST] == [True, False, False]


def test_hours_pass_by_event_time_and_events_by_their_number(make_steps: Any) -> None:
    settings = SETTINGS.model_copy(update={"popular_half_lives": (10.0,)})
    index, counts = index_of(1, 2), ItemCounts(settings, chart_length=4)
    count(counts, index, make_steps([1]), [0])
    counts.advance(10, 1_000 * HOUR, index.keys)
    count(counts, index, make_steps([1]), [1])
    old, new = counts.popularity.counts[:2]
    assert old[POPULAR] / new[POPULAR] == pytest.approx(1 / 2)
    # The first time that is ever heard of is where time begins.
    assert old[HOURLY] / new[HOURLY] == pytest.approx(0, abs=1e-6)
    counts.advance(10, 1_002 * HOUR, index.keys)
    count(counts, index, make_steps([1]), [0])
    later, before = counts.popularity.counts[:2]
    assert before[HOURLY] / later[HOURLY] == pytest.approx(1 / 4)


def test_lives_of_items(make_steps: Any) -> None:
    index, counts = index_of(1, 2), ItemCounts(SETTINGS, chart_length=4)
    count(counts, index, make_steps([3]), [1, 1, 1], new=[True, False, True])
    first, last, taken, again = (array[:2].tolist() for array in counts.lives.arrays())
    assert (first[1], last[1], taken, again) == (7, 7, [0, 3], [0, 1])


def test_habits_of_the_log_are_means_over_steps(make_steps: Any) -> None:
    index, counts = index_of(1, 2), ItemCounts(SETTINGS, chart_length=4)
    steps = make_steps([2, 1], flags=[0, FIRST_OF_USER])
    count(counts, index, steps, [0, 1, 1], new=[True, False, True])
    repeats, pace, weight = counts.habits
    assert repeats / weight == pytest.approx(0.5)
    assert pace / weight == pytest.approx(np.log1p(60))


def test_older_counts_fade_and_rebasing_leaves_no_trace(make_steps: Any) -> None:
    settings = SETTINGS.model_copy(update={"popular_half_lives": (10.0,), "half_life": 10.0})
    index, counts = index_of(1, 2), ItemCounts(settings, chart_length=4)
    count(counts, index, make_steps([8], clusters=[0]), [0] * 8)
    counts.advance(400, 1, index.keys)
    count(counts, index, make_steps([1], clusters=[0]), [1])
    counts.advance(800, 2, index.keys)
    assert counts.popularity.chart[POPULAR, 0] == 1
    assert counts.charts.item[0, 0] == 1
    share = counts.popularity.counts[1, POPULAR] * counts.popularity.shares[POPULAR]
    assert share == pytest.approx(1, abs=1e-6)


def test_no_events_change_nothing(make_steps: Any) -> None:
    index, counts = index_of(1, 2), ItemCounts(SETTINGS, chart_length=4)
    count(counts, index, make_steps([]), [])
    counts.advance(0, 0, index.keys)
    assert (counts.popularity.chart == -1).all()
