"""The window of takings, and the pairs in it, against plain references."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from stream.recommending.takings import LEAST_TAKEN, PAIRED, Taken, Takings, gram_of

HALF_LIFE = 50.0


def taken(users: list[int], items: list[int], clock: list[int] | None = None, now: int = 0) -> Taken:
    ages = clock if clock is not None else [now] * len(users)
    return Taken(np.array(users, np.uint64), np.array(items, np.uint64), np.array(ages, np.int64), now)


def plain_gram(of: Taken, items: list[int]) -> npt.NDArray[np.float64]:
    counts = np.zeros((len(items), len(items)))
    before: dict[int, list[int]] = {}
    for user, item, clock in zip(of.user.tolist(), of.item.tolist(), of.clock.tolist(), strict=True):
        weight = 2.0 ** ((clock - of.now) / HALF_LIFE)
        had = before.setdefault(user, [])
        if item in items:
            j = items.index(item)
            counts[j, j] += weight
            for other in had[-PAIRED:]:
                if other in items and other != item:
                    i = items.index(other)
                    counts[i, j] += weight
                    counts[j, i] += weight
        had.append(item)
    return counts


TAKINGS = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 8)), max_size=60)


@given(TAKINGS, st.integers(1, 9))
def test_pairs_are_counted_as_by_the_plain_reference(rows: list[tuple[int, int]], most: int) -> None:
    of = taken([u for u, _ in rows], [i for _, i in rows], list(range(len(rows))), now=len(rows))
    gram = gram_of(of, most, HALF_LIFE)
    assert len(gram.items) <= most
    np.testing.assert_allclose(gram.counts, plain_gram(of, gram.items.tolist()), rtol=1e-5)


def test_the_heaviest_items_are_kept_and_ties_go_by_hash() -> None:
    gram = gram_of(taken([1, 2, 3, 4, 1, 2, 3, 1, 2, 3], [9, 9, 9, 9, 7, 7, 7, 5, 5, 5]), 2, HALF_LIFE)
    assert gram.items.tolist() == [5, 9]


def test_what_a_single_user_took_is_in_no_model() -> None:
    assert LEAST_TAKEN > 1
    assert len(gram_of(taken([1], [9]), 5, HALF_LIFE).items) == 0
    assert len(gram_of(taken([], []), 5, HALF_LIFE).items) == 0


def test_a_pair_a_half_life_ago_counts_half() -> None:
    users, items = [1, 1, 2, 2, 3, 3], [5, 6, 5, 6, 5, 6]
    now = gram_of(taken(users, items), 2, HALF_LIFE).counts
    later = gram_of(taken(users, items, [0] * 6, now=int(HALF_LIFE)), 2, HALF_LIFE).counts
    np.testing.assert_allclose(later, now / 2)


def test_far_apart_in_a_long_history_makes_no_pair() -> None:
    history = [*range(10, 10 + PAIRED + 2)]
    of = taken([1] * len(history) + [2] * len(history), history + history)
    gram = gram_of(of, len(history), HALF_LIFE)
    assert gram.counts[0, PAIRED] == 2
    assert gram.counts[0, PAIRED + 1] == 0


@given(st.lists(st.integers(0, 7), max_size=20))
def test_the_window_keeps_the_last_in_order(sizes: list[int]) -> None:
    takings, all_of_them = Takings(5), np.empty(0, np.uint64)
    for clock, size in enumerate(sizes):
        some = np.arange(len(all_of_them), len(all_of_them) + size).astype(np.uint64)
        takings.fold(some, some + np.uint64(100), clock)
        all_of_them = np.concatenate([all_of_them, some])
        read = takings.read(now=clock)
        assert read.user.tolist() == all_of_them[-5:].tolist()
        assert read.item.tolist() == (all_of_them[-5:] + np.uint64(100)).tolist()
        assert len(takings) == len(read.user)


def test_memory_is_bounded() -> None:
    takings = Takings(2_000)
    for clock in range(50):
        takings.fold(np.arange(100, dtype=np.uint64), np.arange(100, dtype=np.uint64), clock)
    assert len(takings._user) == 2_000
    assert takings.read(50).clock.min() == 30


def test_the_counts_are_symmetric() -> None:
    rng = np.random.default_rng(0)
    gram = gram_of(taken(rng.integers(1, 9, 300).tolist(), rng.integers(1, 30, 300).tolist()), 20, HALF_LIFE)
    np.testing.assert_array_equal(gram.counts, gram.counts.T)
