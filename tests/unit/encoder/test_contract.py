"""What ``TextEncoder`` promises, for every encoder there is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from stream.encoder.cache import CachedEncoder
from stream.encoder.interface import TextEncoder
from stream.encoder.vector_store import MemoryStore

TEXTS = [
    "Red running shoe, size 42",
    "desk lamp",
    "Lautsprecher für draußen",
    "红色跑鞋",
    "🎧🔥",
    "🎧",
    "?!",
    "\u200b",
    "a",
    "half a pair \ud83d here",
    "nul \x00 inside",
    "word " * 5_000,
    "x" * 20_000,
]
TOLERANCE = 1e-5


@pytest.fixture(params=["hashing", "packaged", "cached hashing", "cached packaged"])
def encoder(request: pytest.FixtureRequest) -> TextEncoder:
    kind = request.param.split()
    inner = request.getfixturevalue(kind[-1])
    return CachedEncoder(inner, MemoryStore(limit=10_000_000)) if "cached" in kind else inner


def test_vectors_are_float32_rows_of_length_one(encoder: TextEncoder) -> None:
    vectors = encoder.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), encoder.dimensions)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_empty_and_blank_texts_are_zeros(encoder: TextEncoder) -> None:
    vectors = encoder.encode(["", "shoe", " \t\n", "\u3000"])
    assert not vectors[[0, 2, 3]].any()
    assert vectors[1].any()


def test_no_texts_no_rows(encoder: TextEncoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.dimensions)
    assert encoder.encode([""]).shape == (1, encoder.dimensions)


def test_a_vector_does_not_depend_on_the_texts_beside_it(encoder: TextEncoder) -> None:
    together = encoder.encode(TEXTS)
    fresh = [encoder.encode([text])[0] for text in TEXTS]
    np.testing.assert_allclose(together, fresh, atol=TOLERANCE)


def test_order_is_kept_and_duplicates_are_equal(encoder: TextEncoder) -> None:
    forward = encoder.encode([*TEXTS, *TEXTS])
    np.testing.assert_array_equal(forward[: len(TEXTS)], forward[len(TEXTS) :])
    np.testing.assert_allclose(encoder.encode(TEXTS[::-1])[::-1], forward[: len(TEXTS)], atol=TOLERANCE)


def test_equal_calls_give_equal_bits(encoder: TextEncoder) -> None:
    np.testing.assert_array_equal(encoder.encode(TEXTS), encoder.encode(TEXTS))


def test_texts_that_share_words_are_nearer(encoder: TextEncoder) -> None:
    shoe, shoes, lamp = encoder.encode(["red running shoe", "blue running shoes", "a lamp for the desk"])
    assert shoe @ shoes > shoe @ lamp + 0.2


def test_callers_may_write_into_what_they_get(encoder: TextEncoder) -> None:
    before = encoder.encode(["shoe"])
    encoder.encode(["shoe"])[:] = 7
    np.testing.assert_array_equal(encoder.encode(["shoe"]), before)


def test_threads_may_share_one(encoder: TextEncoder) -> None:
    few = TEXTS[:6]
    expected = encoder.encode(few)
    with ThreadPoolExecutor(4) as pool:
        for vectors in pool.map(lambda _: encoder.encode(few), range(12)):
            np.testing.assert_allclose(vectors, expected, atol=TOLERANCE)


def test_one_text_instead_of_a_list_is_refused(encoder: TextEncoder) -> None:
    with pytest.raises(TypeError, match="list of texts"):
        encoder.encode("shoe")


def test_the_id_is_short_and_stable(encoder: TextEncoder) -> None:
    assert encoder.encoder_id == encoder.encoder_id
    assert 0 < len(encoder.encoder_id) < 80
    assert encoder.encoder_id.isascii()
