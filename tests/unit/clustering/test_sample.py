"""Whose profiles are kept, and for how long."""

from __future__ import annotations

import numpy as np

from stream.clustering.sample import FULL, SampledProfiles
from stream.hashing import hash_texts


def ids(names: range) -> np.ndarray:
    return hash_texts([f"u{n}" for n in names])


def fold(sample: SampledProfiles, users: np.ndarray, updates: int = 0, value: float = 1.0) -> None:
    sample.fold(users, np.full((len(users), 2), value, np.float16), updates)


def test_a_user_has_one_vector_the_last() -> None:
    sample = SampledProfiles(8, 2, horizon=100)
    users = ids(range(3))
    sample.fold(users[[0, 1, 0]], np.array([[1, 1], [2, 2], [3, 3]], np.float16))
    sample.fold(users[[1, 2]], np.array([[4, 4], [5, 5]], np.float16))
    assert len(sample) == 3
    assert sample.share == 1.0
    assert sorted(sample.vectors()[:, 0].tolist()) == [3, 4, 5]


def test_of_many_users_it_shows_a_share_whoever_comes_often() -> None:
    sample = SampledProfiles(64, 2, horizon=1e9)
    rng = np.random.default_rng(0)
    seen = set()
    for updates in range(300):
        who = np.unique((1_000 * rng.random(40) ** 4).astype(int))
        seen |= set(who.tolist())
        fold(sample, ids(range(1_000))[who], updates)
        assert len(sample) <= 64
    everybody = ids(range(1_000))[sorted(seen)]
    assert len(sample) > 0.5 * FULL * 64
    assert len(sample) == sample.admits(everybody).sum()
    assert abs(sample.share - len(sample) / len(everybody)) < 0.3 * sample.share


def test_who_has_left_is_forgotten_and_others_are_let_in() -> None:
    sample = SampledProfiles(64, 2, horizon=80)
    fold(sample, ids(range(200)), 0)
    narrow = sample.share
    assert narrow < 0.4
    fold(sample, ids(range(200, 400)), 200, value=2.0)
    assert set(sample.vectors()[:, 0].tolist()) == {2.0}
    for updates in range(210, 1_000, 10):
        fold(sample, ids(range(40)), updates, value=3.0)
    assert sample.share == 1.0
    assert len(sample) == 40


def test_only_those_active_since_are_asked() -> None:
    sample = SampledProfiles(8, 2, horizon=1e9)
    fold(sample, ids(range(3)), 10)
    fold(sample, ids(range(2, 4)), 20, value=2.0)
    assert len(sample.vectors()) == 4
    assert sample.vectors(since=20).tolist() == [[2, 2], [2, 2]]


def test_the_same_log_gives_the_same_sample() -> None:
    one, other = (SampledProfiles(64, 2, horizon=500) for _ in range(2))
    rng = np.random.default_rng(1)
    for updates in range(0, 2_000, 20):
        users = rng.integers(1, 2**63, 20).astype(np.uint64)
        for sample in (one, other):
            fold(sample, users, updates, float(updates % 7))
    assert one.share == other.share
    np.testing.assert_array_equal(one.vectors(), other.vectors())


def test_nobody_changes_nothing() -> None:
    sample = SampledProfiles(4, 2, horizon=10)
    fold(sample, np.zeros(0, np.uint64), 5)
    assert len(sample) == 0
    assert sample.vectors().shape == (0, 2)
