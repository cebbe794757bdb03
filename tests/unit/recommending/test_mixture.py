"""Weights of the sources: what explains what is taken gets all of it."""

from __future__ import annotations

import numpy as np
import pytest

from stream.recommending.mixture import SITUATIONS, Mixture, situation
from stream.recommending.sources import PRIOR

SOURCES = ["popular", "repeats", "trending", "contexts"]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.recommending.mixture.HALF_LIFE", 100.0)


def teach(mixture: Mixture, shares: np.ndarray, steps: int) -> None:
    """Items taken in every situation, which the sources had given ``shares`` (sources,)."""
    for _ in range(steps):
        explained = mixture.weights * shares
        mixture.fold((explained / explained.sum(1, keepdims=True)).astype(np.float32))


def test_weights_are_the_prior_before_anything_is_learnt() -> None:
    mixture = Mixture(["popular"] * 3 + SOURCES[1:], SOURCES)
    np.testing.assert_allclose(mixture.weights.sum(1), 1, rtol=1e-6)
    held = sum(PRIOR[name] for name in SOURCES)
    np.testing.assert_allclose(mixture.weights[:, :3].sum(1), PRIOR["popular"] / held, rtol=1e-6)
    assert mixture.weights.shape == (SITUATIONS, 6)


@pytest.mark.parametrize("right", range(len(SOURCES)))
def test_a_source_that_is_always_right_gets_all_the_weight(right: int) -> None:
    mixture = Mixture(SOURCES, SOURCES)
    shares = np.full(len(SOURCES), 0.01)
    shares[right] = 0.9
    teach(mixture, shares, 2_000)
    assert (mixture.weights[:, right] > 0.99).all()


def test_a_source_that_never_proposes_what_is_taken_gets_none() -> None:
    mixture = Mixture(SOURCES, SOURCES)
    teach(mixture, np.array([0.2, 0.2, 0.0, 0.2]), 2_000)
    assert (mixture.weights[:, 2] < 1e-4).all()
    # Equal sources stay in the proportion of the prior.
    np.testing.assert_allclose(
        mixture.weights[0, 0] / mixture.weights[0, 1], PRIOR["popular"] / PRIOR["repeats"], rtol=1e-3
    )


def test_the_mixture_follows_when_another_source_becomes_right() -> None:
    mixture = Mixture(SOURCES, SOURCES)
    teach(mixture, np.array([0.5, 0.05, 0.05, 0.05]), 500)
    teach(mixture, np.array([0.05, 0.05, 0.5, 0.05]), 2_000)
    assert (mixture.weights[:, 2] > 0.9).all()


def test_a_situation_without_news_keeps_its_weights() -> None:
    mixture = Mixture(SOURCES, SOURCES)
    before = mixture.weights
    news = np.zeros((SITUATIONS, len(SOURCES)), np.float32)
    news[1, 2] = 40
    mixture.fold(news)
    np.testing.assert_array_equal(mixture.weights[[0, 2, 3]], before[[0, 2, 3]])
    assert mixture.weights[1, 2] > before[1, 2]


def test_situations_rise_with_history() -> None:
    situations = situation(np.arange(300))
    assert (np.diff(situations) >= 0).all()
    assert (situations[0], situations[-1]) == (0, SITUATIONS - 1)


def test_what_is_switched_off_gets_no_weight() -> None:
    mixture = Mixture(SOURCES, ["popular", "contexts"])
    teach(mixture, np.full(4, 0.25), 10)
    np.testing.assert_allclose(mixture.weights.sum(1), 1, rtol=1e-6)
    assert not mixture.weights[:, 1:3].any()
