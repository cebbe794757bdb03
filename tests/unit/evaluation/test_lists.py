"""Lists as arrays of item hashes."""

from __future__ import annotations

import numpy as np

from stream.evaluation.lists import padded, places, without


def hashes(*rows: list[int]) -> list[np.ndarray]:
    return [np.array(row, np.uint64) for row in rows]


def test_what_was_had_leaves_its_place_to_the_next() -> None:
    lists = np.array([[1, 2, 3], [1, 2, 0]], np.uint64)
    assert without(lists, hashes([2, 9], [1, 2])).tolist() == [[1, 3, 0], [0, 0, 0]]


def test_places_are_from_0_and_a_list_that_is_not_there_is_no_miss() -> None:
    lists = np.array([[5, 6], [0, 0]], np.uint64)
    step = np.array([0, 0, 0, 1])
    assert places(lists, step, np.array([6, 5, 7, 5], np.uint64)).tolist() == [1, 0, -1, -2]


def test_rows_of_no_length_are_padded() -> None:
    assert padded(hashes([], [4])).tolist() == [[0], [4]]
    assert padded([], 3).shape == (0, 3)
    assert padded(hashes([]), 2).tolist() == [[0, 0]]
