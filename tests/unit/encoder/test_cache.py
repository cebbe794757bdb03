from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.config import EncoderSettings
from stream.encoder import make_encoder
from stream.encoder.cache import CachedEncoder
from stream.encoder.hashing import HashingEncoder
from stream.encoder.interface import Vectors, unit
from stream.encoder.vector_store import LmdbStore, MemoryStore
from stream.errors import EncoderError

MB = 1 << 20


class Counting(HashingEncoder):
    """Counts what it is asked for; each call's vectors differ a little, as those of a model's batches do."""

    def __init__(self, dimensions: int = 384) -> None:
        super().__init__(dimensions)
        self.asked: list[list[str]] = []

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.asked.append(list(texts))
        noise = np.random.default_rng(len(self.asked)).normal(0, 1e-3, (len(texts), self.dimensions))
        return unit((super().encode(texts) + noise).astype(np.float32))


def test_a_text_goes_to_the_encoder_once() -> None:
    inner = Counting()
    encoder = CachedEncoder(inner, MemoryStore(MB))
    encoder.encode(["shoe", "hat", "shoe", ""])
    encoder.encode(["lamp", "hat"])
    encoder.encode(["hat", "lamp"])
    assert inner.asked == [["shoe", "hat"], ["lamp"]]
    assert (encoder.hits, encoder.misses) == (3, 3)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=9), max_size=6))
def test_a_text_has_one_vector_to_the_bit(calls: list[list[str]]) -> None:
    encoder = CachedEncoder(Counting(), MemoryStore(MB))
    first: dict[str, bytes] = {}
    for texts in calls:
        for text, vector in zip(texts, encoder.encode(texts), strict=True):
            assert first.setdefault(text, vector.tobytes()) == vector.tobytes()


def test_two_that_make_a_vector_at_once_return_the_same() -> None:
    store = MemoryStore(MB)
    other = CachedEncoder(Counting(), store)
    theirs: list[Vectors] = []

    class Slow(Counting):
        def encode(self, texts: Sequence[str]) -> Vectors:
            theirs.append(other.encode(["sooner", *texts])[1:])
            return super().encode(texts)

    ours = CachedEncoder(Slow(), store).encode(["shoe", "hat"])
    np.testing.assert_array_equal(ours, theirs[0])


def test_rounding_is_small_and_shows_in_the_id() -> None:
    inner = HashingEncoder()
    encoder = CachedEncoder(inner, MemoryStore(MB))
    texts = ["red shoe", "blue hat", "desk lamp"]
    assert ((inner.encode(texts) * encoder.encode(texts)).sum(1) > 1 - 1e-6).all()
    assert encoder.encoder_id == inner.encoder_id + ":f16"


def test_encoders_do_not_share_vectors() -> None:
    store = MemoryStore(MB)
    small, large = CachedEncoder(HashingEncoder(32), store), CachedEncoder(HashingEncoder(64), store)
    assert small.encode(["shoe"]).shape == (1, 32)
    assert large.encode(["shoe"]).shape == (1, 64)
    assert large.hits == 0


def test_a_cache_too_small_for_a_call_still_answers() -> None:
    inner = HashingEncoder()
    encoder = CachedEncoder(inner, MemoryStore(limit=2_000))
    texts = [f"text {i}" for i in range(50)]
    np.testing.assert_allclose(encoder.encode(texts), inner.encode(texts), atol=1e-3)


def test_rows_of_a_wrong_length_are_an_error() -> None:
    store = MemoryStore(MB)
    encoder = CachedEncoder(HashingEncoder(), store)
    encoder.encode(["shoe"])
    store._values = dict.fromkeys(store._values, b"short")
    with pytest.raises(EncoderError, match="damaged"):
        encoder.encode(["shoe"])


ENCODE = """
import pathlib, sys
from stream.encoder.cache import CachedEncoder
from stream.encoder.hashing import HashingEncoder
from stream.encoder.vector_store import LmdbStore
encoder = CachedEncoder(HashingEncoder(), LmdbStore(pathlib.Path(sys.argv[1]), 16 << 20))
print(encoder.encode(sys.argv[2:]).tobytes().hex(), encoder.hits, encoder.misses)
"""


def test_another_process_finds_the_same_vectors(
    tmp_path: Path, start_python: Callable[..., subprocess.Popen[str]]
) -> None:
    texts = ["red shoe", "红色跑鞋", "🎧"]
    here = CachedEncoder(HashingEncoder(), LmdbStore(tmp_path, 16 * MB))
    vectors = here.encode(texts)
    out, err = start_python(ENCODE, tmp_path, *texts, "something new").communicate(timeout=60)
    assert not err
    row, hits, misses = out.split()
    assert bytes.fromhex(row)[: vectors.nbytes] == vectors.tobytes()
    assert (int(hits), int(misses)) == (3, 1)
    here.encode(["something new"])
    assert here.hits == 1


def test_make_encoder(tiny_bert: Path, tmp_path: Path) -> None:
    kept = EncoderSettings(model=str(tiny_bert), device="cpu", cache=tmp_path / "deep" / "cache", cache_mb=16)
    encoder = make_encoder(kept)
    assert isinstance(encoder, CachedEncoder)
    assert encoder.encoder_id.startswith("tiny-bert:")
    before = encoder.encode(["red shoe", "hat"])
    encoder.close()
    again = make_encoder(kept)
    np.testing.assert_array_equal(again.encode(["hat", "red shoe"]), before[::-1])
    assert isinstance(again, CachedEncoder)
    assert again.misses == 0
    in_memory = make_encoder(kept.model_copy(update={"cache": None}))
    np.testing.assert_array_equal(in_memory.encode(["red shoe", "hat"]), before)
    assert isinstance(make_encoder(EncoderSettings(model="hashing")), HashingEncoder)
