"""Counts by cluster: rows are given back, and nobody finds another's counts there."""

from __future__ import annotations

import numpy as np
import pytest

from stream.clustering.lineage import LineageEvent
from stream.recommending.trending import Trending

KEYS = np.arange(100, dtype=np.uint64)


def counted(trending: Trending, cluster: int) -> dict[int, float]:
    items, counts = trending.heaviest(cluster, 99, KEYS)
    return dict(zip(items.tolist(), counts.tolist(), strict=True))


def add(trending: Trending, *takings: tuple[int, int, float]) -> None:
    clusters, items, weights = (np.array(column) for column in zip(*takings, strict=True))
    trending.add(clusters.astype(np.int64), items.astype(np.int64), weights.astype(np.float32))


def test_counts_are_of_the_cluster_whatever_its_id() -> None:
    trending = Trending(4)
    add(trending, (10_000, 7, 1.0), (3, 7, 2.0), (-1, 7, 5.0), (10_000, 8, 3.0))
    assert counted(trending, 10_000) == {8: 3.0, 7: 1.0}
    assert counted(trending, 3) == {7: 2.0}
    assert counted(trending, 4) == {}
    charts = trending.charts(1, KEYS)
    assert charts.ids.tolist() == [3, 10_000]
    assert charts.item.tolist() == [[7], [8]]
    assert charts.share[:, 0].tolist() == [1.0, 0.75]


def test_heirs_and_the_newborn_inherit() -> None:
    trending = Trending(4)
    add(trending, (0, 1, 1.0), (1, 2, 2.0))
    trending.inherit(
        [LineageEvent(2, "born", "wide", parents=(0,)), LineageEvent(1, "merged", "twin", heir=0)]
    )
    assert counted(trending, 0) == {1: 1.0, 2: 2.0}
    assert counted(trending, 1) == {}
    assert counted(trending, 2) == {1: 1.0}


def test_what_was_never_counted_in_hands_on_nothing() -> None:
    trending = Trending(4)
    trending.inherit([LineageEvent(5, "born", "k", parents=(4,)), LineageEvent(4, "retired", "dead", heir=5)])
    assert not len(trending.ids)


@pytest.mark.parametrize("alive", [1, 16])
def test_a_thousand_generations_take_the_rows_of_one(alive: int) -> None:
    trending = Trending(4)
    add(trending, *((cluster, 1, 1.0) for cluster in range(alive)))
    for cluster in range(1_000):
        heir = cluster + alive
        trending.inherit([LineageEvent(cluster, "retired", "lost", heir=heir)])
        add(trending, (heir, 2, 1.0))
    assert len(trending.ids) == alive
    assert max(trending.rows) <= alive  # while one takes over from another there is one more
    assert counted(trending, 999 + alive)[1] == 1.0


def test_rows_given_back_are_empty() -> None:
    trending = Trending(4)
    add(trending, (0, 1, 1.0), (1, 2, 1.0))
    trending.inherit([LineageEvent(0, "merged", "twin", heir=1)])
    add(trending, (9, 3, 1.0))
    assert counted(trending, 9) == {3: 1.0}
