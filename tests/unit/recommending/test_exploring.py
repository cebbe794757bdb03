"""The bandit for new items: what it tries, how often, and that its chances are true."""

from __future__ import annotations

import numpy as np
import pytest

from stream.recommending.exploring import (
    ARMS,
    DRAWS,
    ENOUGH_TRIALS,
    PRIOR_PASSED,
    PRIOR_TAKEN,
    REMEMBERED,
    Arms,
    TrialCounts,
    Trials,
    arms_among,
    draw,
)

KEYS = np.random.default_rng(0).integers(1, 2**63, 200).astype(np.uint64)
NOBODY = np.empty((1, 0), np.int32)


def counts(*tried: tuple[int, int, int]) -> TrialCounts:
    """Of rows, how often shown and taken."""
    made = TrialCounts()
    for row, shown, taken in tried:
        made.fold(Trials(np.full(shown, KEYS[row]), np.full(taken, KEYS[row])))
    return made


def test_new_items_have_equal_chances() -> None:
    arms = arms_among(np.arange(10), KEYS, TrialCounts(), seed=1)
    assert sorted(arms.row.tolist()) == list(range(10))
    assert arms.chance.sum() == pytest.approx(1)
    assert np.abs(arms.chance - 0.1).max() < 5 * np.sqrt(0.1 * 0.9 / DRAWS)


def test_chances_are_those_of_being_the_best() -> None:
    """Two arms: one known to be met by half, the other never in 100 trials."""
    arms = arms_among(np.array([3, 4]), KEYS, counts((3, 100, 50), (4, 100, 0)), seed=1)
    assert arms.chance[arms.row == 3] > 0.999
    rng = np.random.default_rng(9)
    arms = arms_among(np.array([3, 4]), KEYS, counts((3, 20, 2), (4, 20, 1)), seed=1)
    one = rng.beta(PRIOR_TAKEN + 2, PRIOR_PASSED + 18, 100_000)
    other = rng.beta(PRIOR_TAKEN + 1, PRIOR_PASSED + 19, 100_000)
    assert arms.chance[arms.row == 3] == pytest.approx((one > other).mean(), abs=0.06)


def test_the_least_tried_come_first_and_what_is_known_goes() -> None:
    tried = counts(*((row, 5, 0) for row in range(50)), (60, int(ENOUGH_TRIALS), 9))
    arms = arms_among(np.arange(50 + ARMS + 11), KEYS, tried, seed=1)
    assert len(arms.row) == ARMS
    assert (arms.row >= 50).all()
    assert 60 not in arms.row
    assert len(arms_among(np.empty(0, np.int64), KEYS, tried, seed=1).row) == 0


def test_it_finds_the_item_that_is_wanted() -> None:
    rng, model = np.random.default_rng(2), TrialCounts()
    wanted = np.full(12, 0.02)
    wanted[7] = 0.3
    shown = np.zeros(12)
    for step in range(25):
        arms = arms_among(np.arange(12), KEYS, model, seed=step)
        drawn = draw(
            arms, 1.0, np.arange(20, dtype=np.uint64), np.full(20, step), NOBODY.repeat(20, 0), seed=0
        )
        rows = arms.row[drawn.arm]
        met = rng.random(20) < wanted[rows]
        model.fold(Trials(KEYS[rows], KEYS[rows[met]]))
        shown += np.bincount(rows, minlength=12)
    assert shown.argmax() == 7
    assert shown[7] > 2 * np.delete(shown, 7).max()


def test_shares_and_propensities_are_true() -> None:
    arms = Arms(np.array([5, 6, 7], np.int32), np.array([0.5, 0.3, 0.2]))
    users = np.arange(1, 20_001, dtype=np.uint64)
    drawn = draw(arms, 0.2, users, np.arange(20_000), NOBODY.repeat(20_000, 0), seed=3)
    assert drawn.explores.mean() == pytest.approx(0.2, abs=0.01)
    assert (drawn.explores == (drawn.arm >= 0)).all()
    for arm, chance in enumerate(arms.chance.tolist()):
        assert (drawn.arm == arm).mean() == pytest.approx(0.2 * chance, abs=0.01)


def test_the_same_event_draws_the_same_and_another_seed_another() -> None:
    arms = Arms(np.arange(50, dtype=np.int32), np.full(50, 0.02))
    users, offsets, none = np.arange(1, 101, dtype=np.uint64), np.arange(100), NOBODY.repeat(100, 0)
    one, again, other = (draw(arms, 0.5, users, offsets, none, seed).arm.tolist() for seed in (0, 0, 1))
    assert one == again
    assert one != other


def test_a_list_does_not_try_what_it_holds_or_the_user_had() -> None:
    arms = Arms(np.array([5], np.int32), np.ones(1))
    users = np.array([1, 2], np.uint64)
    drawn = draw(arms, 1.0, users, np.arange(2), np.array([[4, 5], [4, -1]], np.int32), seed=0)
    assert drawn.explores.tolist() == [True, True]
    assert drawn.arm.tolist() == [-1, 0]


def test_where_nothing_is_new_nothing_is_tried() -> None:
    arms = arms_among(np.empty(0, np.int64), KEYS, TrialCounts(), seed=1)
    drawn = draw(arms, 1.0, np.ones(1, np.uint64), np.zeros(1, np.int64), NOBODY, seed=0)
    assert drawn.arm.tolist() == [-1]


def test_memory_is_bounded_and_what_was_never_tried_is_not_counted() -> None:
    model = TrialCounts()
    items = np.arange(1, REMEMBERED + 11, dtype=np.uint64)
    model.fold(Trials(items, np.array([2**60], np.uint64)))
    assert len(model._counts) == REMEMBERED
    assert model.of(items[[0, -1]]).tolist() == [[0, 0], [1, 0]]
