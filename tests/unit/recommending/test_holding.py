"""Which lists are published, for each setting."""

from __future__ import annotations

import numpy as np
import pytest

from stream.config import ProfileSettings
from stream.config_lists import PublishSettings
from stream.profiles.layout import RowLayout, Rows
from stream.recommending.holding import to_publish

NEW = np.array([[5, 6, 7]] * 4, np.uint64)


@pytest.fixture
def rows() -> Rows:
    """Users without a list, with the new one, with its items in another order, and with others."""
    layout = RowLayout.of(ProfileSettings(), 3, 4, "encoder", 1)
    rows = layout.blank(np.arange(4).astype(np.uint64))
    rows["list_item"] = [[0, 0, 0], [5, 6, 7], [6, 5, 7], [5, 6, 8]]
    rows["list_time"] = [0, 1_000, 1_000, 1_400]
    return rows


def chosen(rows: Rows, not_before: int | None = None, taught: bool = True, **settings: object) -> list[int]:
    times, learnt = np.full(4, 2_000), np.full(4, taught)
    return to_publish(rows, NEW, times, learnt, PublishSettings.model_validate(settings), not_before).tolist()


def test_always_is_all(rows: Rows) -> None:
    assert chosen(rows) == [0, 1, 2, 3]


def test_who_was_only_shown_something_keeps_the_list(rows: Rows) -> None:
    assert chosen(rows, taught=False) == [0]
    assert chosen(rows, taught=False, mode="changed") == [0]


def test_changed_looks_at_items_and_their_order(rows: Rows) -> None:
    assert chosen(rows, mode="changed") == [0, 2, 3]


def test_an_empty_list_is_published_once(rows: Rows) -> None:
    empty = np.zeros((4, 3), np.uint64)
    rows["list_item"] = 0
    settings = PublishSettings(mode="changed")
    assert to_publish(rows, empty, np.full(4, 2_000), np.ones(4, np.bool_), settings, None).tolist() == [0]


@pytest.mark.parametrize(("interval_ms", "wanted"), [(600, [0, 1, 2, 3]), (601, [0, 1, 2]), (1_001, [0])])
def test_interval_counts_from_the_last_list(rows: Rows, interval_ms: int, wanted: list[int]) -> None:
    assert chosen(rows, mode="interval", interval_ms=interval_ms) == wanted


def test_what_is_too_old_is_held_back(rows: Rows) -> None:
    assert chosen(rows, not_before=2_000) == [0, 1, 2, 3]
    assert chosen(rows, not_before=2_001) == []
