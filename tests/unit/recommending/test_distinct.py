"""A sketch of different items, against the number of them."""

from __future__ import annotations

import numpy as np
import pytest

from stream.hashing import hash_texts
from stream.recommending.distinct import REGISTERS, count_distinct, empty_sketch, sketch_of


@pytest.mark.parametrize("n", [0, 1, 20, 900, 3_000, 40_000, 300_000])
def test_a_count_is_right_to_within_four_standard_errors(n: int) -> None:
    hashes = hash_texts([f"item-{i}" for i in range(n)])
    assert count_distinct(sketch_of(hashes)) == pytest.approx(n, rel=4 * 1.04 / REGISTERS**0.5, abs=1)


def test_sketches_merge_and_repetitions_and_free_places_do_not_count() -> None:
    hashes = hash_texts([f"item-{i}" for i in range(2_000)])
    merged = np.maximum(sketch_of(hashes[:1_500]), sketch_of(hashes[500:]))
    padded = np.concatenate([hashes, hashes, np.zeros(100, np.uint64)]).reshape(-1, 100)
    assert merged.tolist() == sketch_of(padded).tolist() == sketch_of(hashes).tolist()
    assert count_distinct(empty_sketch()) == 0


def test_a_hash_whose_rest_is_empty_has_the_highest_rank() -> None:
    assert sketch_of(np.array([5], np.uint64))[5] == 55
