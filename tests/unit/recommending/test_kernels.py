"""Lists and sampled lists, against a reference in plain Python over small random markets."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log
from typing import Any

import numpy as np
import pytest

from stream.recommending import kernels
from stream.recommending.gathering import EVIDENCE, EXTRA, LAG_DECAY, TEMPERATURE
from stream.recommending.kernels import MORE_FEATURES, make_lists, published_rank, sample_lists
from stream.recommending.ranker import RankerState

ITEMS, USERS, HALVES, CLUSTERS, RECENT, K = 40, 12, 2, 3, 4, 5
SOURCES = HALVES + 3


@dataclass
class Market:
    """Everything that lists are made from, drawn at random."""

    rng: np.random.Generator

    def __post_init__(self) -> None:
        rng = self.rng
        self.popular = np.stack([self.rows(7, 2) for _ in range(HALVES)])
        self.trending = np.stack([self.rows(6, c) for c in range(CLUSTERS)])
        self.content = np.stack([self.rows(5, c) for c in range(CLUSTERS)])
        self.popular_share, self.trending_share = (
            rng.random(a.shape).astype(np.float32) for a in (self.popular, self.trending)
        )
        self.ids = np.stack([self.rows(4, rng.integers(0, 4)) for _ in range(ITEMS - 3)])
        self.counts = np.where(self.ids >= 0, rng.random(self.ids.shape), 0).astype(np.float32) * 8
        self.totals = self.counts.sum(1) * np.float32(1.5)
        self.now = np.float32(2.0)
        self.item_vectors, self.vectors = (unit(rng.normal(size=(n, 4))) for n in (ITEMS, USERS))
        self.half_counts = tuple(rng.random(ITEMS - 2).astype(np.float32) for _ in range(HALVES))
        self.scale = np.array([0.1, 0.02], np.float32)
        self.history = np.stack([self.rows(RECENT, rng.integers(0, RECENT + 1)) for _ in range(USERS)])
        self.history[0, 1] = -1  # one taken back, among others
        self.seen = np.stack([self.rows(6, rng.integers(0, 6)) for _ in range(USERS)])
        self.length = rng.integers(0, 20, USERS)
        self.cluster = rng.integers(-1, CLUSTERS + 1, USERS)  # the highest has no views yet
        self.available = rng.random(ITEMS) < 0.8
        self.keys = rng.permutation(ITEMS).astype(np.uint64)
        self.weights = rng.dirichlet(np.ones(SOURCES), USERS).astype(np.float32)
        self.ranker = RankerState.prior(SOURCES, seed=1)
        self.ranker.v[:] = rng.normal(size=self.ranker.v.shape)
        self.ranker.linear[:] += rng.normal(size=self.ranker.linear.shape) / 4

    def rows(self, width: int, free: int) -> np.ndarray:
        rows = self.rng.choice(ITEMS, width, replace=False).astype(np.int32)
        rows[width - free :] = -1
        return rows

    @property
    def views(self) -> tuple[np.ndarray, ...]:
        return self.popular, self.popular_share, self.trending, self.trending_share, self.content

    @property
    def covisits(self) -> tuple[Any, ...]:
        return self.ids, self.counts, self.totals, self.now

    def make_lists(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        out = (
            np.full((USERS, K), -1, np.int32),
            np.zeros((USERS, K), np.float32),
            np.zeros((USERS, K), np.uint8),
        )
        make_lists(
            self.history, self.seen, self.length, self.cluster, self.vectors, self.weights, self.views,
            (self.half_counts, self.scale), self.item_vectors, self.covisits, self.ranker.arrays(),
            self.available, self.keys, *out,
        )  # fmt: skip
        return out

    def candidates(self, u: int, barred: list[int]) -> dict[int, np.ndarray]:
        """Shares by source, heaviest count and newest item's share, of each candidate."""
        found: dict[int, np.ndarray] = {}

        def offer(row: int, column: int, share: float) -> None:
            if row not in barred:
                found.setdefault(row, np.zeros(SOURCES + EXTRA))[column] += share

        for p in range(HALVES):
            for row, share in zip(self.popular[p], self.popular_share[p], strict=True):
                if row >= 0:
                    offer(int(row), p, share)
        cluster = int(self.cluster[u])
        if 0 <= cluster < CLUSTERS:
            for row, share in zip(self.trending[cluster], self.trending_share[cluster], strict=True):
                if row >= 0:
                    offer(int(row), HALVES, share)
            near = [int(row) for row in self.content[cluster] if row >= 0]
            fits = [exp((self.vectors[u] @ self.item_vectors[row] - 1) / TEMPERATURE) for row in near]
            for row, fit in zip(near, fits, strict=True):
                offer(row, HALVES + 2, fit / sum(fits))
        liked = [int(row) for row in self.history[u] if row >= 0]
        lags = [float(LAG_DECAY) ** i for i in range(len(liked))]
        for i, before in enumerate(liked):
            if before >= len(self.totals) or not self.totals[before]:
                continue
            for row, count in zip(self.ids[before], self.counts[before], strict=True):
                if row < 0 or int(row) in barred:
                    continue
                share = count / (self.totals[before] + EVIDENCE * self.now)
                offer(int(row), HALVES + 1, share * lags[i] / sum(lags))
                heaviest = max(found[int(row)][SOURCES], count / self.now)
                found[int(row)][SOURCES] = heaviest
                if i == 0:
                    offer(int(row), SOURCES + 1, share)
        return found

    def features(self, u: int, row: int, shares: np.ndarray) -> np.ndarray:
        def scaled(share: float) -> float:
            return (log(max(share, 1e-6)) + 6.9) / 3.45

        popular = [
            scaled(c[row] * s) if row < len(c) else -2
            for c, s in zip(self.half_counts, self.scale, strict=True)
        ]
        return np.array(
            [
                *popular,
                *(scaled(share) for share in shares[HALVES:SOURCES]),
                scaled(shares[:SOURCES] @ self.weights[u]),
                log(1 + shares[SOURCES]) / 2,
                scaled(shares[SOURCES + 1]),
                3 * (self.vectors[u] @ self.item_vectors[row]),
                log(1 + self.length[u]) / 2 - 1,
                1 if self.cluster[u] >= 0 else -1,
            ]
        )

    def score(self, x: np.ndarray) -> float:
        linear, W, b, v = self.ranker.arrays()
        return float(linear @ x + np.maximum(x @ W + b, 0) @ v)

    def pruned(self, u: int, barred: list[int], most: int) -> dict[int, np.ndarray]:
        found = {row: s for row, s in self.candidates(u, barred).items() if self.available[row]}
        best = sorted(found, key=lambda row: -(found[row][:SOURCES] @ self.weights[u]))[:most]
        return {row: found[row] for row in best}


def unit(x: np.ndarray) -> np.ndarray:
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def market(seed: int) -> Market:
    return Market(np.random.default_rng(seed))


@pytest.fixture(params=[4, 1_000], ids=["pruned", "whole"])
def prune(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many candidates the ranker sees: compiled kernels have room for all here, so pruning runs as Python."""
    if request.param < 128:
        monkeypatch.setattr(kernels, "PRUNE", request.param)
        for name in (
            "_mix",
            "_prune",
            "_describe",
            "score_features",
            "_best",
            "_before",
            "_leading_source",
            "_bar",
            "_clear",
        ):
            monkeypatch.setattr(kernels, name, getattr(kernels, name).py_func)
        monkeypatch.setattr(f"{__name__}.make_lists", kernels.make_lists.py_func)
    return int(request.param)


@pytest.mark.parametrize("seed", range(20))
def test_lists_are_those_of_the_plain_reference(prune: int, seed: int) -> None:
    m = market(seed)
    items, scores, sources = m.make_lists()
    for u in range(USERS):
        found = m.pruned(u, m.seen[u].tolist(), prune)
        expected = sorted(((m.score(m.features(u, row, s)), row) for row, s in found.items()), reverse=True)[
            :K
        ]
        listed = items[u][items[u] >= 0].tolist()
        np.testing.assert_allclose(
            scores[u, : len(listed)], [score for score, _ in expected], rtol=1e-3, atol=1e-4
        )
        assert listed == [row for _, row in expected]
        assert not set(listed) & set(m.seen[u].tolist())
        assert m.available[listed].all()
        leading = [int((found[row][:SOURCES] * m.weights[u]).argmax()) for row in listed]
        assert sources[u, : len(listed)].tolist() == leading


def test_equal_scores_go_by_the_items_hashes() -> None:
    m = market(1)
    m.popular_share[:] = 0.25
    m.popular[:] = np.arange(7)
    m.half_counts = tuple(np.ones(ITEMS, np.float32) for _ in range(HALVES))
    m.item_vectors[:] = m.item_vectors[0]
    m.history[:], m.seen[:], m.cluster[:], m.available[:] = -1, -1, -1, True
    items, _, _ = m.make_lists()
    expected = sorted(range(7), key=lambda row: m.keys[row])[:K]
    assert items.tolist() == [expected] * USERS


def test_the_untaught_ranker_ranks_as_the_mixture_does() -> None:
    m = market(2)
    m.ranker = RankerState.prior(SOURCES, seed=5)
    items, _, _ = m.make_lists()
    for u in range(USERS):
        found = m.pruned(u, m.seen[u].tolist(), 1_000)
        by_mixture = sorted(found, key=lambda row: -(found[row][:SOURCES] @ m.weights[u]))
        # What no source gives weight to is all alike.
        assert items[u][items[u] >= 0].tolist() == by_mixture[:K]


@pytest.mark.parametrize("most", range(1, 9))
def test_pruning_keeps_the_best_among_ties_too(most: int) -> None:
    mixed = np.array([1, 1, 5, 1, 3, 3, 1, 9], np.float32)
    available = np.array([True] * 7 + [False])
    chosen = np.empty(8, np.int64)
    n = kernels._prune(np.arange(8, dtype=np.int32), mixed, 8, available, most, chosen)
    assert n == min(most, 7)
    assert sorted(mixed[chosen[:n]], reverse=True) == [5, 3, 3, 1, 1, 1, 1][:most]
    assert len(set(chosen[:n].tolist())) == n


@pytest.mark.parametrize("seed", range(10))
def test_sampled_lists_are_those_of_the_plain_reference(seed: int) -> None:
    m = market(seed)
    most = 9
    target = m.rng.integers(0, ITEMS, 2 * USERS).astype(np.int32)
    first = np.sort(np.append(m.rng.integers(0, len(target), USERS - 1), [0, len(target)]))
    situations = m.rng.integers(0, 4, USERS)
    taught = np.zeros((4, SOURCES), np.float32)
    features = np.empty((USERS * most, SOURCES + MORE_FEATURES), np.float32)
    hit, size = np.empty(len(features), np.bool_), np.empty(USERS, np.int32)
    n = sample_lists(
        target, first, m.history, m.seen, m.length, m.cluster, m.vectors, m.weights, situations, m.views,
        (m.half_counts, m.scale), m.item_vectors, m.covisits, m.available, taught, features, hit, size,
    )  # fmt: skip
    expected = np.zeros((4, SOURCES))
    at = 0
    for u in range(USERS):
        took = target[first[u] : first[u + 1]].tolist()
        for row in took:
            shares = m.candidates(u, m.seen[u].tolist()).get(row)
            if shares is not None:
                explained = shares[:SOURCES] * m.weights[u]
                expected[situations[u]] += explained / explained.sum()
        found = m.pruned(u, m.seen[u].tolist(), most)
        assert size[u] == (len(found) if set(found) & set(took) else 0)
        if size[u]:
            mine = slice(at, at + size[u])
            want = sorted((*m.features(u, row, s).tolist(), float(row in took)) for row, s in found.items())
            got = sorted(np.column_stack([features[mine], hit[mine]]).tolist())
            np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4)
            at += size[u]
    assert n == at
    np.testing.assert_allclose(taught, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("exclude_seen", [True, False])
@pytest.mark.parametrize("seed", range(10))
def test_published_ranks_are_those_of_the_plain_reference(exclude_seen: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, users, k = 60, 6, 3
    list_item = np.stack([rng.choice(np.arange(1, 12), k, replace=False) for _ in range(users)]).astype(
        np.uint64
    )
    list_item[0] = 0
    history = np.zeros((users, 5), np.uint64)
    for u in range(users):
        history[u, :u] = rng.choice(np.arange(1, 12), u, replace=False)
    popular = rng.permutation(np.arange(1, 12)).astype(np.uint64)[:8]
    rows, item = rng.integers(0, users, n), rng.integers(0, 13, n).astype(np.uint64)
    weight = rng.choice(np.array([1, 0, -1], np.float32), n)
    rank, popular_rank = np.empty(n, np.int16), np.empty(n, np.int16)
    published_rank(rows, item, weight, list_item, history, popular, exclude_seen, rank, popular_rank)
    for i in range(n):
        u = rows[i]
        if not item[i] or weight[i] <= 0 or not list_item[u, 0]:
            assert (rank[i], popular_rank[i]) == (-2, -2)
            continue
        seen = set(history[u].tolist()) if exclude_seen else set()
        alternative = [p for p in popular.tolist() if p not in seen][:k]
        for got, shown in ((rank[i], list_item[u].tolist()), (popular_rank[i], alternative)):
            assert got == (shown.index(item[i]) if item[i] in shown else -1)
