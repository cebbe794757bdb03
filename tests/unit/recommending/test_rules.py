"""Rules between ranking and list, against a plain reference, and each by itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.config_lists import RuleSettings
from stream.hashing import HashIndex, hash_text, hash_texts
from stream.recommending.rules import DEPTH, Rules

ITEMS = 30
CATEGORY = np.array([0, *(hash_text(f"c{row % 4}") for row in range(1, ITEMS))], np.uint64)
VECTORS = np.random.default_rng(0).normal(size=(ITEMS, 6)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)


def ranked(scores: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """One user's items, row 0 the best."""
    score = np.sort(np.array(scores, np.float32))[::-1][None].copy()
    return np.arange(len(scores), dtype=np.int32)[None], score


def choose(rules: RuleSettings, scores: list[float], k: int) -> list[int]:
    return [p for p in Rules(rules).choose(*ranked(scores), k, CATEGORY, VECTORS)[0].tolist() if p >= 0]


def plainly(rules: RuleSettings, scores: list[float], k: int) -> list[int]:
    s = sorted((float(np.float32(x)) for x in scores), reverse=True)
    caps = {hash_text(name): cap for name, cap in rules.categories.items()}
    reach = -math.log(rules.min_score) if rules.min_score else math.inf
    open_to_choice = [c for c in range(len(s)) if s[c] >= s[0] - reach]
    span = max(s[0] - s[open_to_choice[-1]], 1e-6) if s else 1.0
    chosen: list[int] = []
    while len(chosen) < k:
        best, value = -1, 0.0
        for c in open_to_choice:
            category = int(CATEGORY[c])
            had = sum(int(CATEGORY[o]) == category for o in chosen)
            if c in chosen or (category in caps and had >= caps[category]):
                continue
            if category and category not in caps and rules.per_category and had >= rules.per_category:
                continue
            alike = max([0.0, *(float(VECTORS[o] @ VECTORS[c]) for o in chosen)])
            worth = (1 - rules.diversity) * (1 - (s[0] - s[c]) / span) - rules.diversity * alike
            if best < 0 or worth > value + 1e-6:
                best, value = c, worth
        if best < 0:
            break
        chosen.append(best)
    return chosen


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(-60, 60).map(lambda x: x / 10), min_size=1, max_size=ITEMS, unique=True),
    st.integers(1, 10),
    st.integers(0, 3),
    st.sampled_from([0.0, 0.3, 0.9]),
    st.sampled_from([0.0, 0.01, 0.5]),
    st.sampled_from([{}, {"c1": 0}, {"c2": 1, "c3": 5}]),
)
def test_lists_are_those_of_the_plain_reference(
    scores: list[float], k: int, cap: int, diversity: float, least: float, caps: dict[str, int]
) -> None:
    rules = RuleSettings(per_category=cap, diversity=diversity, min_score=least, categories=caps)
    assert choose(rules, scores, k) == plainly(rules, scores, k)


def test_nothing_set_leaves_the_ranking() -> None:
    rules = Rules(RuleSettings())
    assert not rules.choosy
    assert rules.depth(20) == 20
    assert choose(RuleSettings(), [3, 2, 1, 0.5], 3) == [0, 1, 2]


def test_a_cap_passes_over_what_is_too_many() -> None:
    rules = RuleSettings(per_category=1)
    assert Rules(rules).depth(4) == 4 * DEPTH
    listed = choose(rules, np.linspace(5, 0, 20).tolist(), 4)
    assert listed == [0, 1, 2, 3]
    assert choose(rules, np.linspace(5, 0, 20).tolist(), 8) == [
        0,
        1,
        2,
        3,
        4,
    ]  # 0 has no category, and there are four


def test_diversity_puts_unlike_items_next_to_each_other() -> None:
    scores = np.linspace(1, 0.9, 20).tolist()

    def likeness(diversity: float) -> float:
        listed = VECTORS[choose(RuleSettings(diversity=diversity), scores, 6)]
        return float(np.triu(listed @ listed.T, 1).sum())

    assert likeness(0.9) < likeness(0.5) < likeness(0.0)


def test_the_least_score_is_a_share_of_the_best_items_likelihood() -> None:
    scores = [2.0, 2.0 - math.log(9), 2.0 - math.log(11), -50.0]
    assert choose(RuleSettings(min_score=0.1), scores, 4) == [0, 1]


@pytest.mark.parametrize(
    ("rules", "allowed"),
    [
        (RuleSettings(), [True, True, False]),
        (RuleSettings(blocked_items=("a", "unheard of")), [False, True, False]),
        (RuleSettings(blocked_categories=("toys",)), [True, False, False]),
    ],
)
def test_what_is_blocked_may_not_be_listed(rules: RuleSettings, allowed: list[bool]) -> None:
    index = HashIndex()
    index.insert(hash_texts(["a", "b", "c"]))
    available = np.array([True, True, False])
    category = np.array([0, hash_text("toys"), 0], np.uint64)
    assert Rules(rules).allow(available, index, category).tolist() == allowed
    assert available.tolist() == [True, True, False]
