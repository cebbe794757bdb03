"""64-bit ids, and the index from them to rows."""

from __future__ import annotations

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from stream.hashing import HashIndex, action_code, distinct, hash_text, hash_texts, mix

U64 = st.integers(0, 2**64 - 1)
MASK = 2**64 - 1


def splitmix(key: int, salt: int) -> int:
    """The finaliser as its authors wrote it, on Python's integers."""
    x = (key + salt * 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


@given(st.lists(st.tuples(st.booleans(), st.lists(U64 | st.integers(0, 5), max_size=40)), max_size=12))
def test_index_is_a_dict_that_numbers_its_keys(calls: list[tuple[bool, list[int]]]) -> None:
    index, reference = HashIndex(capacity=1), {}
    for inserts, keys in calls:
        array = np.array(keys, np.uint64)
        if inserts:
            expected = [reference.setdefault(key, len(reference)) for key in keys]
            assert index.insert(array).tolist() == expected
        else:
            assert index.find(array).tolist() == [reference.get(key, -1) for key in keys]
    assert index.keys.tolist() == list(reference)


@pytest.mark.parametrize("keys", [np.arange(5_000), np.arange(5_000) << 44, np.arange(5_000) * 7 + 1])
def test_index_grows_far_beyond_its_capacity(keys: np.ndarray) -> None:
    index = HashIndex(capacity=4)
    keys = keys.astype(np.uint64)
    for part in np.array_split(keys, 17):
        index.insert(part)
    assert len(index) == len(keys)
    assert index.find(keys).tolist() == list(range(len(keys)))
    assert (index.find(keys + np.uint64(2**63)) == -1).all()


@given(st.lists(st.tuples(U64, U64), min_size=1, max_size=20))
def test_mix_is_splitmix(pairs: list[tuple[int, int]]) -> None:
    keys, salts = (np.array(column, np.uint64) for column in zip(*pairs, strict=True))
    assert mix(keys, salts).tolist() == [splitmix(key, salt) for key, salt in pairs]


@given(st.lists(U64 | st.integers(0, 5), max_size=40))
def test_distinct_is_unique(keys: list[int]) -> None:
    found, places = distinct(np.array(keys, np.uint64))
    expected, at = np.unique(np.array(keys, np.uint64), return_inverse=True)
    assert (found.tolist(), places.tolist()) == (expected.tolist(), at.tolist())


def test_mix_tells_the_same_user_in_two_partitions_apart() -> None:
    user = np.full(64, hash_text("ann"), np.uint64)
    assert len(np.unique(mix(user, np.arange(64, dtype=np.uint64)))) == 64


def test_hash_of_a_text_is_that_of_a_column_and_never_nought() -> None:
    texts = ["", "a", "ä", "😀" * 50]
    assert hash_texts(texts).tolist() == [hash_text(text) for text in texts]
    assert hash_texts([None, "a"]).tolist() == [0, xxhash.xxh3_64_intdigest(b"a")]
    assert 0 not in hash_texts(texts)


def test_action_codes_fit_their_column() -> None:
    codes = [action_code(f"action {i}") for i in range(2_000)]
    assert min(codes) >= 1
    assert max(codes) <= 65_535
    assert action_code("view") == action_code("view") != action_code("cart")
