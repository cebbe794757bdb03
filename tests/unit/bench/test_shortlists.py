"""The comparison of shortlists with a scan, where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from bench.shortlists import compare
from stream.recommending.content import NEAREST


@pytest.fixture
def items() -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    drawn = np.random.default_rng(1).normal(size=(200, 8)).astype(np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)


@pytest.mark.parametrize(("held", "recall"), [(200, 1.0), (0, 0.0)])
def test_a_shortlist_of_all_items_finds_what_a_scan_finds_and_an_empty_one_nothing(
    items: np.ndarray[tuple[int, int], np.dtype[np.float32]], held: int, recall: float
) -> None:
    shortlist = np.full((1, 200), -1, np.int32)
    shortlist[0, :held] = np.arange(held)
    found = compare("all", items, np.arange(200), shortlist, np.zeros(5, np.int64), items[:5])
    assert found[f"recall@{NEAREST}"] == recall
    assert found["items"] == 200
