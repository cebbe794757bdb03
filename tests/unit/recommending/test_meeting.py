"""Counts of how events met lists, against ones made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stream.config import ProfileSettings
from stream.events.batch import EventBatch
from stream.hashing import action_code, hash_texts
from stream.profiles.layout import RowLayout, Rows
from stream.recommending.answers import Answers
from stream.recommending.meeting import IMPRESSION, attribute, count_places, measure, numbered

SOURCES = numbered(
    ["popular", "popular", "next"]
)  # two columns of one source; then catalogue and exploration
NOW, HOUR = 1_736_200_000_000, 3_600_000
CLICK = action_code("click")


@pytest.fixture
def before() -> Rows:
    """Ann, in her first session, has a list; Bob has come back, and has one; Cy has none."""
    rows = RowLayout.of(ProfileSettings(), 3, 4, "encoder", 1).blank(hash_texts(["ann", "bob", "cy"]))
    rows["list_item"][:2] = [hash_texts(["a", "b", "c"]), [*hash_texts(["d", "e"]), 0]]
    rows["list_source"][:2] = [[0, 1, 2], [2, 4, 0]]
    rows["list_id"][:2] = hash_texts(["list-ann", "list-bob"])
    rows["list_variant"] = [0, 1, 0]
    rows["earlier_list"][0] = hash_texts(["list-2", "list-1", "list-0"]).astype(np.uint32)
    rows["earlier_variant"][0] = [0, 1, 0]
    rows["steps"], rows["session_steps"], rows["step_time"] = [3, 9, 0], [3, 1, 0], NOW
    return rows


def events_of(make_batch: Any, *parts: tuple[str, str, int, float, str | None, int]) -> EventBatch:
    users, items, actions, weights, lists, positions = zip(*parts, strict=True)
    batch: EventBatch = make_batch(users, [NOW] * len(users), items, weights, actions=actions)
    batch.list_id[:] = hash_texts(lists)
    batch.position[:] = positions
    return batch


def test_hits_gain_and_sources_add_up_beside_popularity(before: Rows, make_batch: Any) -> None:
    of = np.array([0, 0, 1, 1, 2])
    events = make_batch(
        ["ann", "ann", "bob", "bob", "cy"], [NOW, NOW + HOUR, NOW, NOW, NOW], ["a", "c", "e", "x", "a"]
    )
    answers = Answers(np.array([0, 2, 1, -1, -2], np.int16), np.array([-1, 0, -1, -1, -2], np.int16))
    new = np.array([True, False, False, True, True])
    gain = [1.0, 0.5, 1 / np.log2(3)]
    expected = {
        "scored": 4, "hits": 3, "gain": sum(gain), "popular_hits": 1, "popular_gain": 1,
        "new.scored": 2, "new.hits": 1, "new.gain": gain[0],
        "first_session.scored": 1, "first_session.hits": 1, "first_session.gain": gain[0],
        "returning.scored": 3, "returning.hits": 2, "returning.gain": gain[1] + gain[2],
        "returning.popular_hits": 1, "returning.popular_gain": 1,
        "hits.popular": 1, "hits.next": 1, "hits.exploration": 1,
    }  # fmt: skip
    assert measure(events, before, of, new, answers, SOURCES) == pytest.approx(expected)


def test_places_are_counted_by_source(before: Rows) -> None:
    assert count_places(before["list_item"], before["list_source"], SOURCES) == {
        "places.popular": 2,
        "places.next": 2,
        "places.exploration": 1,
    }


def test_what_was_shown_and_clicked_is_attributed_to_the_last_list(before: Rows, make_batch: Any) -> None:
    events = events_of(
        make_batch,
        ("ann", "a", IMPRESSION, 0.0, "list-ann", 0),
        ("ann", "c", IMPRESSION, 0.0, "list-ann", 2),
        ("ann", "c", CLICK, 0.3, "list-ann", -1),  # the list says where it stood
        ("bob", "e", CLICK, 0.3, "list-bob", 1),
        ("bob", "e", CLICK, 0.3, None, 1),  # answers nothing
        ("bob", "d", action_code("dislike"), -1.0, "list-bob", 0),  # nor is this a click
    )
    of = np.array([0, 0, 0, 1, 1, 1])
    assert attribute(events, before, of, SOURCES) == {
        "impressions": 2, "impressions.place.0": 1, "impressions.place.2": 1,
        "impressions.source.popular": 1, "impressions.source.next": 1, "impressions.variant.plain": 2,
        "clicks": 2, "clicks.place.2": 1, "clicks.place.1": 1, "clicks.source.next": 1,
        "clicks.source.exploration": 1, "clicks.variant.plain": 1, "clicks.variant.explore": 1,
    }  # fmt: skip


def test_answers_to_earlier_lists_count_for_the_variant(before: Rows, make_batch: Any) -> None:
    events = events_of(
        make_batch,
        ("ann", "z", IMPRESSION, 0.0, "list-1", 4),
        ("ann", "z", CLICK, 0.3, "list-1", 4),
        ("ann", "y", CLICK, 0.3, "list-2", -1),
        ("ann", "a", CLICK, 0.3, "list-ann", 0),
        ("bob", "z", CLICK, 0.3, "list-1", 4),  # hers
    )
    assert attribute(events, before, np.array([0, 0, 0, 0, 1]), SOURCES) == {
        "impressions.earlier_list": 1, "impressions.variant.explore": 1,
        "clicks": 1, "clicks.place.0": 1, "clicks.source.popular": 1,
        "clicks.earlier_list": 2, "clicks.variant.plain": 2, "clicks.variant.explore": 1, "clicks.other_list": 1,
    }  # fmt: skip


def test_other_lists_and_other_places_are_counted_apart(before: Rows, make_batch: Any) -> None:
    events = events_of(
        make_batch,
        ("ann", "a", CLICK, 0.3, "list-before", 0),
        ("cy", "a", IMPRESSION, 0.0, "list-ann", 0),  # whose it is not
        ("ann", "a", CLICK, 0.3, "list-ann", 1),  # stands at 0
        ("ann", "z", IMPRESSION, 0.0, "list-ann", -1),
        ("ann", "a", CLICK, 0.3, "list-ann", 255),  # longer than any list
    )
    assert attribute(events, before, np.array([0, 2, 0, 0, 0]), SOURCES) == {
        "clicks.other_list": 1,
        "impressions.other_list": 1,
        "clicks.not_listed": 2,
        "impressions.not_listed": 1,
    }


def test_nothing_of_nothing(before: Rows, make_batch: Any) -> None:
    none, nobody = make_batch([], [], []), np.empty(0, np.int64)
    answers = Answers(np.empty(0, np.int16), np.empty(0, np.int16))
    assert measure(none, before, nobody, np.empty(0, np.bool_), answers, SOURCES) == {}
    assert attribute(none, before, nobody, SOURCES) == {}
