"""Charts of what is popular: the heaviest of all that was counted, at every moment."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.config_lists import RecommendingSettings
from stream.recommending.popularity import Popularity

ITEMS, LENGTH = 8, 3
KEYS = np.array([5, 3, 8, 1, 9, 2, 7, 4], np.uint64)


@given(st.lists(st.tuples(st.integers(0, ITEMS - 1), st.sampled_from([0.5, 1.0, 3.0])), max_size=30))
def test_a_chart_holds_the_heaviest_in_order(taken: list[tuple[int, float]]) -> None:
    popularity = Popularity(RecommendingSettings(), LENGTH)
    popularity.reserve(ITEMS)
    for item, weight in taken:  # one at a time: a chart is exact after each
        one = np.array([item]), np.array([weight], np.float32), np.ones(1, np.bool_), np.zeros(1, np.uint8)
        popularity.count(*one, KEYS)
        for counts, chart in zip(popularity.counts.T, popularity.chart, strict=True):
            heaviest = sorted(np.flatnonzero(counts).tolist(), key=lambda i: (-counts[i], KEYS[i]))[:LENGTH]
            assert chart[chart >= 0].tolist() == heaviest
