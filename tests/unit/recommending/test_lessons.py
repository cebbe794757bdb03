"""Whom the recommender learns from, and how users are read from their profiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stream.config import RecommendingSettings
from stream.hashing import HashIndex, hash_texts
from stream.profiles.layout import RowLayout
from stream.profiles.update import Touched
from stream.recommending.lessons import LESSONS_PER_BATCH, choose_lessons
from stream.recommending.readers import item_rows, read_profiles


def touched_of(slots: list[int]) -> Touched:
    slot = np.array(slots, np.int64)
    m = len(set(slots))
    last = np.array([max(i for i, s in enumerate(slots) if s == u) for u in range(m)], np.int64)
    return Touched(np.arange(m), np.zeros(m, np.int32), slot, last)


def index_of(*items: str) -> HashIndex:
    index = HashIndex()
    index.insert(hash_texts(items))
    return index


def test_lessons_are_what_each_user_took_that_counts(make_batch: Any) -> None:
    users, items = list("ababca"), ["i0", "i1", "i2", "unknown", "i1", "i3"]
    batch = make_batch(users, [0] * 6, items, weights=[1, 1, 1, 1, -1, 1])
    wanted = np.array([True, True, False, True, True, True])
    lessons = choose_lessons(batch, touched_of([0, 1, 0, 1, 2, 0]), wanted, index_of("i0", "i1", "i2", "i3"))
    assert lessons.users.tolist() == [0, 1]
    assert lessons.target.tolist() == [0, 3, 1]
    assert lessons.first.tolist() == [0, 2, 3]


def test_no_lessons_of_nothing(make_batch: Any) -> None:
    batch = make_batch(["a"], [0], [None])
    lessons = choose_lessons(batch, touched_of([0]), np.ones(1, np.bool_), HashIndex())
    assert (len(lessons.users), lessons.first.tolist()) == (0, [0])


@pytest.mark.parametrize("offset", [0, 7_000])
def test_of_many_users_some_are_drawn_and_other_batches_draw_others(make_batch: Any, offset: int) -> None:
    n = 5 * LESSONS_PER_BATCH
    batch = make_batch([f"u{i}" for i in range(n)], [0] * n, ["i0"] * n, first_offset=offset)
    every = np.ones(n, np.bool_)
    users = choose_lessons(batch, touched_of(list(range(n))), every, index_of("i0")).users
    assert len(set(users.tolist())) == LESSONS_PER_BATCH
    assert (np.diff(users) > 0).all()
    later = make_batch([f"u{i}" for i in range(n)], [0] * n, ["i0"] * n, first_offset=offset + n)
    assert (
        choose_lessons(later, touched_of(list(range(n))), every, index_of("i0")).users.tolist()
        != users.tolist()
    )


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_a_reader_likes_what_was_not_taken_back_and_has_seen_all(exclude_seen: bool) -> None:
    layout = RowLayout(dimensions=2, history=5, event_ids=1, list_length=1, encoder=1, generation=1)
    rows = layout.blank(np.ones(1, np.uint64))
    rows["history_item"][0, :4] = hash_texts(["a", "b", "c", "d"])
    rows["history_weight"][0, :4] = [10, -10, 20, 30]
    settings = RecommendingSettings(recent=3, exclude_seen=exclude_seen)
    index = index_of("d", "c", "b", "a")
    readers = read_profiles(rows, np.array([4]), np.zeros((1, 1), np.float32), index, settings)
    assert readers.history.tolist() == [[3, -1, 1]]
    assert readers.seen.tolist() == [[3, 2, 1, 0, -1] if exclude_seen else []]
    assert readers.length.tolist() == [4]


def test_rows_of_items_keep_their_shape() -> None:
    rows = item_rows(hash_texts(["a", "?", None, "b"]).reshape(2, 2)[:, ::-1], index_of("a", "b"))
    assert rows.tolist() == [[-1, 0], [1, -1]]
    assert rows.dtype == np.int32
