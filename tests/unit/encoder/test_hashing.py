from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.encoder.hashing import TOKEN, TRIGRAM_WEIGHT, WORD_WEIGHT, HashingEncoder
from stream.encoder.interface import Vectors
from stream.errors import EncoderError

LOW = (1 << 64) - 1


def scramble(x: int) -> int:
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & LOW
    x = (x ^ x >> 27) * 0x94D049BB133111EB & LOW
    return x ^ x >> 31


def direction(seed: int, d: int) -> Vectors:
    words = [scramble((seed + (i + 1) * 0x9E3779B97F4A7C15) & LOW) for i in range(-(-d // 64))]
    return np.array([1 if words[j // 64] >> j % 64 & 1 else -1 for j in range(d)], np.float32)


def plain(text: str, d: int) -> Vectors:
    """Features of one text, one after the other, in Python's own integers."""
    total = np.zeros(d)
    for word in TOKEN.findall(text.lower()):
        state = 0
        for letter in word:
            state = scramble(state + ord(letter) & LOW)
        total += WORD_WEIGHT * direction(scramble(state), d)
        padded = [32, *map(ord, word), 32]
        for a, b, c in zip(padded, padded[1:], padded[2:], strict=False):
            total += TRIGRAM_WEIGHT * direction(scramble(a << 42 | b << 21 | c | 1 << 63), d)
    norm = np.linalg.norm(total)
    return (total / norm if norm > 1e-4 else total).astype(np.float32)


@given(st.lists(st.text(max_size=20), max_size=5))
def test_the_kernel_agrees_with_plain_python(texts: list[str]) -> None:
    vectors = HashingEncoder(100).encode(texts)
    expected = np.array([plain(t, 100) for t in texts], np.float32).reshape(-1, 100)
    np.testing.assert_allclose(vectors, expected, atol=1e-4)


def test_case_and_punctuation_say_little() -> None:
    one, other = HashingEncoder().encode(["Running SHOE", "running shoe"])
    np.testing.assert_array_equal(one, other)


def test_unrelated_texts_are_nearly_orthogonal() -> None:
    rng = np.random.default_rng(0)
    texts = ["".join(chr(c) for c in rng.integers(0x4E00, 0x9FFF, 12)) for _ in range(200)]
    vectors = HashingEncoder(384).encode(texts)
    cosines = (vectors @ vectors.T)[~np.eye(200, dtype=bool)]
    assert cosines.std() < 2 / np.sqrt(384)
    assert abs(cosines.mean()) < 0.01


def test_the_vectors_of_version_1_stay() -> None:
    """Caches and item vectors outlive a release: a change here needs another VERSION."""
    expected = [0.5259, 0.4177, -0.2011, 0.0, -0.3094, -0.3094, -0.2011, 0.5259]
    np.testing.assert_allclose(HashingEncoder(8).encode(["desk lamp"])[0], expected, atol=1e-4)


def test_dimensions_are_positive() -> None:
    with pytest.raises(EncoderError, match="at least 1"):
        HashingEncoder(0)
