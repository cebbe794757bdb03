"""Candidates, features, scores and lists, against plain references over a made-up market."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stream.recommending.features import (
    CHANCES,
    LEAST_CHANCE,
    MIXED,
    MORE_FEATURES,
    SEEN,
    SITUATION,
)
from stream.recommending.kernels import make_lists, sample_lists
from stream.recommending.ranker import RankerState
from stream.recommending.repeats import CELLS, cell
from stream.recommending.scoring import FAR_OUT, score_features, silent_ones, situate
from stream.recommending.scratch import FREE, Scratch
from stream.recommending.sources import CHANCE, COLUMNS, REPEATS, TOGETHER

ITEMS, USERS, POPULAR, K, HISTORY, DIMENSIONS = 40, 7, 2, 5, 4, 3
ALL = POPULAR + COLUMNS


class Market:
    """Users, counts and proposals drawn at random."""

    def __init__(self, seed: int) -> None:
        rng = self.rng = np.random.default_rng(seed)
        own = np.where(rng.random((USERS, HISTORY)) < 0.8, self.rows(USERS, HISTORY), -1).astype(np.int32)
        shape = own.shape
        self.own = (
            own,
            rng.integers(1, 9, shape).astype(np.uint16),
            rng.integers(1, 30, shape).astype(np.uint8),
            rng.integers(0, 10**6, shape).astype(np.float32),
            rng.integers(-1, 10**5, shape).astype(np.float32),
        )
        self.rates = rng.random(CELLS).astype(np.float32)
        self.counts = rng.random((ITEMS - 5, POPULAR)).astype(np.float32)  # some items came later
        self.scale = np.array([0.01, 0.02], np.float32)
        self.chart = np.argsort(-self.counts.T, axis=1)[:, :12].astype(np.int32)
        self.take = np.array([4, 3])
        self.first = np.array([POPULAR + TOGETHER, POPULAR + CHANCE])
        self.proposals = (self.proposed(1, 6), self.proposed(3, 4))
        self.available = rng.random(ITEMS) < 0.9
        self.keys = rng.permutation(ITEMS).astype(np.uint64)
        self.weights = rng.dirichlet(np.ones(ALL), USERS).astype(np.float32)
        self.seen = np.where(rng.random((USERS, 3)) < 0.7, self.rows(USERS, 3), -1).astype(np.int32)
        self.vectors = rng.normal(size=(USERS, DIMENSIONS)).astype(np.float32)
        self.item_vectors = rng.normal(size=(ITEMS, DIMENSIONS)).astype(np.float32)
        self.steps = rng.integers(1, 50, USERS)
        self.last = np.where(rng.random(USERS) < 0.8, rng.integers(0, ITEMS, USERS), -1).astype(np.int32)
        self.escape = rng.random(USERS).astype(np.float32)
        taken = rng.integers(0, 4, ITEMS - 5).astype(np.float32)
        self.lives = (rng.integers(0, 50, ITEMS - 5), rng.integers(50, 99, ITEMS - 5), taken, taken / 2)
        self.least = np.full(ALL, 1e-4, np.float32)
        self.situation = rng.normal(size=(USERS, SITUATION)).astype(np.float32)
        self.scratch = Scratch()
        self.ranker = RankerState.prior(ALL, seed=seed)
        for weights in (self.ranker.v, self.ranker.linear):
            weights[:] += rng.normal(size=weights.shape) / 4

    def rows(self, users: int, n: int) -> np.ndarray:
        return np.stack([self.rng.choice(ITEMS, n, replace=False) for _ in range(users)])

    def proposed(self, columns: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        shape = (USERS, columns, width)
        item, share = self.rng.integers(0, ITEMS, shape), self.rng.random(shape)
        return (
            item.astype(np.int32),
            share.astype(np.float32),
            self.rng.integers(0, width, shape[:2]).astype(np.int32),
        )

    @property
    def people(self) -> tuple[Any, ...]:
        return self.own, self.steps, self.last, self.vectors, self.escape

    @property
    def charts(self) -> tuple[Any, ...]:
        return self.chart, self.take, self.counts, self.scale

    @property
    def known(self) -> tuple[Any, ...]:
        return self.lives, 100, self.item_vectors, self.rates, POPULAR, 1

    @property
    def room(self) -> tuple[Any, ...]:
        return self.scratch.candidates(ITEMS, ALL, most=90)

    def lists(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        item, score, source = (
            np.empty((USERS, K), np.int32),
            np.zeros((USERS, K), np.float32),
            np.zeros((USERS, K), np.uint8),
        )
        make_lists(
            self.people, self.seen, self.situation, self.weights, self.charts, self.proposals, self.first, self.known,
            self.least, self.ranker.glance, self.ranker.arrays(), self.available, self.keys, self.room, item, score,
            source,
        )  # fmt: skip
        return item, score, source

    def candidates(self, u: int, barred: list[int]) -> dict[int, np.ndarray]:
        """Shares by item row."""
        found: dict[int, np.ndarray] = {}

        def shares(row: int) -> np.ndarray | None:
            if row not in found and row not in barred and self.available[row]:
                found[row] = np.zeros(ALL)
                if row < len(self.counts):
                    found[row][:POPULAR] = self.counts[row] * self.scale
            return found.get(row)

        item, count, lag, idle, _ = (column[u] for column in self.own)
        mine = [h for h in range(HISTORY) if item[h] >= 0 and shares(item[h]) is not None]
        rates = [self.rates[cell(count[h], lag[h], idle[h])] for h in mine]
        for h, rate in zip(mine, rates, strict=True):
            found[item[h]][POPULAR + REPEATS] = rate / sum(rates)
        for chart, take in zip(self.chart.tolist(), self.take, strict=True):
            fresh = [
                row for row in chart if row not in barred and self.available[row] and row not in item[mine]
            ]
            for row in fresh[:take]:
                shares(row)
        for (rows, share, length), first in zip(self.proposals, self.first, strict=True):
            for b in range(rows.shape[1]):
                for q in range(length[u, b]):
                    if (into := shares(int(rows[u, b, q]))) is not None:
                        into[first + b] += share[u, b, q]
        return found

    def features(self, u: int, row: int, shares: np.ndarray) -> np.ndarray:
        x = np.zeros(ALL + MORE_FEATURES)
        x[:ALL] = np.log2(shares + self.least)
        x[ALL + MIXED] = np.log(max(shares @ self.weights[u], 1e-7))
        x[ALL + CHANCES] = np.log2(shares[POPULAR + CHANCE] + self.escape[u] * shares[1] + LEAST_CHANCE)
        first, last, taken, again = self.lives
        if row < len(taken) and taken[row]:
            x[ALL + 2 : ALL + 4] = np.log1p(100 - first[row]), np.log1p(100 - last[row])
            x[ALL + 4 : ALL + 6] = again[row] / (taken[row] + 5), np.log1p(taken[row])
        x[ALL + 6] = self.vectors[u] @ self.item_vectors[row]
        x[ALL + 7] = self.item_vectors[self.last[u]] @ self.item_vectors[row] if self.last[u] >= 0 else 0
        places = [h for h in range(HISTORY) if self.own[0][u, h] == row]
        if places:
            count, lag, idle, usual = (column[u, places[0]] for column in self.own[1:])
            overdue = np.log((idle + 60) / (usual + 60)) if usual >= 0 else 0
            rate = np.log(self.rates[cell(count, lag, idle)] + 1e-4)
            rest = [
                1,
                np.log(count),
                np.log(lag),
                np.log1p(idle / 60),
                overdue,
                count / (self.steps[u] + 1),
                rate,
            ]
            x[ALL + SEEN :] = rest
        return x

    def score(self, u: int, x: np.ndarray) -> float:
        state, f = self.ranker, len(x)
        situation = np.clip((self.situation[u] - state.mean[f:]) * state.scale[f:], -FAR_OUT, FAR_OUT)
        z = np.clip((x - state.mean[:f]) * state.scale[:f], -FAR_OUT, FAR_OUT)
        hidden = np.maximum(z @ state.W + situation @ state.S + state.b, 0)
        return float(state.gain[0] * x[f - MORE_FEATURES + MIXED] + z @ state.linear + hidden @ state.v)


@pytest.mark.parametrize("seed", range(10))
def test_lists_are_those_of_the_plain_reference(seed: int) -> None:
    m = Market(seed)
    items, scores, sources = m.lists()
    for u in range(USERS):
        barred = m.seen[u].tolist()
        found = m.candidates(u, barred)
        ranked = sorted(((m.score(u, m.features(u, row, s)), row) for row, s in found.items()), reverse=True)[
            :K
        ]
        listed = items[u][items[u] >= 0].tolist()
        np.testing.assert_allclose(
            scores[u, : len(listed)], [score for score, _ in ranked], rtol=1e-3, atol=1e-3
        )
        assert listed == [row for _, row in ranked]
        assert not set(listed) & set(barred)
        leading = [int((found[row] * m.weights[u]).argmax()) for row in listed]
        assert sources[u, : len(listed)].tolist() == leading
    assert (m.scratch.place == FREE).all()
    assert not m.scratch.shares.any()


def test_the_untaught_ranker_ranks_as_the_mixture_does() -> None:
    m = Market(2)
    m.ranker = RankerState.prior(ALL, seed=5)
    items, _, _ = m.lists()
    for u in range(USERS):
        found = m.candidates(u, m.seen[u].tolist())
        by_mixture = sorted(found, key=lambda row: -(found[row] @ m.weights[u]))
        assert items[u][items[u] >= 0].tolist() == by_mixture[:K]


def test_equal_scores_go_by_the_items_hashes() -> None:
    m = Market(1)
    m.ranker = RankerState.prior(ALL, seed=5)
    m.weights[:] = 1 / ALL
    m.counts[:] = 1
    m.own[0][:], m.seen[:], m.available[:] = -1, -1, True
    for _, _, length in m.proposals:
        length[:] = 0
    m.chart = np.tile(np.arange(12, dtype=np.int32), (POPULAR, 1))
    m.take[:] = 12
    items, _, _ = m.lists()
    assert items.tolist() == [sorted(range(12), key=lambda row: m.keys[row])[:K]] * USERS


@pytest.mark.parametrize("seed", range(5))
def test_sampled_lists_hold_what_was_taken_and_some_of_the_rest(seed: int) -> None:
    m = Market(seed)
    most = 12
    target = np.concatenate([m.rng.choice(ITEMS, 3, replace=False) for _ in range(USERS)]).astype(np.int32)
    bounds = np.arange(0, 3 * USERS + 1, 3)
    mixtures = m.rng.integers(0, 4, USERS)
    taught = np.zeros((4, ALL), np.float32)
    features = np.empty((USERS * most, ALL + MORE_FEATURES), np.float32)
    hit, size = np.empty(len(features), np.bool_), np.empty(USERS, np.int32)
    n = sample_lists(
        target, bounds, m.people, m.weights, mixtures, m.charts, m.proposals, m.first, m.known, m.least,
        m.ranker.glance, m.available, m.room, most, taught, features, hit, size,
    )  # fmt: skip
    expected = np.zeros((4, ALL))
    at = 0
    for u in range(USERS):
        found = m.candidates(u, [])
        taken = [row for row in target[3 * u : 3 * u + 3].tolist() if row in found]
        for row in taken:
            explained = found[row] * m.weights[u]
            expected[mixtures[u]] += explained / explained.sum()
        assert size[u] == (min(len(found), most) if taken else 0)
        wanted = {row: m.features(u, row, s) for row, s in found.items()}
        for x, was_hit in zip(features[at : at + size[u]], hit[at : at + size[u]], strict=True):
            rows = [row for row, want in wanted.items() if np.allclose(x, want, rtol=1e-3, atol=1e-3)]
            assert len(rows) == 1
            assert (rows[0] in taken) == was_hit
            del wanted[rows[0]]
        assert hit[at : at + size[u]].sum() == len(taken)
        at += size[u]
    assert n == at
    np.testing.assert_allclose(taught, expected, rtol=1e-3, atol=1e-5)


def test_features_far_out_count_as_far_out_as_is_allowed() -> None:
    state = RankerState.prior(ALL, seed=1)
    f = len(state.linear)
    state.linear[:] = 1
    state.gain[0] = 0
    situated, out = np.empty(len(state.b), np.float32), np.empty(1, np.float32)
    situate(np.full(SITUATION, 1e6, np.float32), state.arrays(), situated)
    X, told = np.full((f, 1), 1e6, np.float32), np.arange(f)
    score_features(X, 1, told, ALL + MIXED, np.float32(0), situated, state.arrays(), out)
    assert out[0] == pytest.approx(FAR_OUT * f)


def test_silent_columns_count_as_if_they_were_told() -> None:
    m = Market(4)
    f, floor = len(m.ranker.linear), np.log2(m.least)
    heard = np.arange(ALL) % 3 > 0
    X = m.rng.normal(size=(f, 9)).astype(np.float32)
    X[:ALL][~heard] = floor[~heard][:, None]
    found = []
    for told, listening in (
        (np.arange(f), np.ones(ALL, np.bool_)),
        (np.flatnonzero(np.append(heard, [True] * MORE_FEATURES)), heard),
    ):
        situated, out = np.empty(len(m.ranker.b), np.float32), np.empty(9, np.float32)
        situate(m.situation[0], m.ranker.arrays(), situated)
        alike = silent_ones(floor, listening, m.ranker.arrays(), situated)
        score_features(X.copy(), 9, told, ALL + MIXED, alike, situated, m.ranker.arrays(), out)
        found.append(out)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4, atol=1e-4)
