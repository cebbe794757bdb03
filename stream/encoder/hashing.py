"""An encoder without a model: words and their letters, hashed onto random directions."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numba import njit

from stream.encoder.interface import Vectors, distinct, spread, unit
from stream.errors import EncoderError

# Part of ``encoder_id``. Raise it with any change to a vector.
VERSION = 1

# A whole word against each of its letter trigrams. Higher: only equal words are alike; lower: spelling is all
# there is.
WORD_WEIGHT = 1.0
TRIGRAM_WEIGHT = 0.35

TOKEN = re.compile(r"\w+|[^\w\s]")  # a word, or a single sign: punctuation, an emoji


class HashingEncoder:
    """Texts are near each other when they share words, or parts of words; it knows nothing of meaning.

    A feature's direction is random, of +1 and -1, drawn by its hash, so that no vocabulary is kept: feature
    hashing (Weinberger et al., 2009) and random projection (Achlioptas, 2003). For tests, for benchmarks
    of all but the encoder, and for running without a model (``encoder.model = "hashing"``).

    Parameters
    ----------
    dimensions
        Unrelated texts have a cosine of about 1 / sqrt(dimensions).

    Examples
    --------
    >>> shoe, shoes, lamp = HashingEncoder().encode(["red running shoe", "running shoes, red", "desk lamp"])
    >>> bool(shoe @ shoes > 0.6), bool(abs(shoe @ lamp) < 0.2)
    (True, True)
    """

    def __init__(self, dimensions: int = 384) -> None:
        if dimensions < 1:
            raise EncoderError(f"HashingEncoder needs at least 1 dimension, not {dimensions}")
        self._dimensions = dimensions

    @property
    def encoder_id(self) -> str:
        """As ``hashing:1:384``."""
        return f"hashing:{VERSION}:{self._dimensions}"

    @property
    def dimensions(self) -> int:
        """As given."""
        return self._dimensions

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors of ``texts``, float32 (n, d); see ``TextEncoder``."""
        unique, index = distinct(texts)
        words = [" ".join(TOKEN.findall(text.lower())) for text in unique]
        ends = np.cumsum([len(w) for w in words], dtype=np.int64)
        letters = np.frombuffer("".join(words).encode("utf-32-le"), np.uint32)
        sums = np.zeros((len(unique), self._dimensions), np.float32)
        add_features(letters, ends, sums)
        return spread(unit(sums), index)


@njit(cache=True)
def scramble(x):  # type: ignore[no-untyped-def]
    """Return a scrambled uint64: the finaliser of SplitMix64 (Steele et al., 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True)
def add_direction(seed, weight, out):  # type: ignore[no-untyped-def]
    """Add ``weight`` times the direction of ``seed`` to ``out`` (d,): signs are the bits of random words."""
    bits = np.uint64(0)
    for j in range(len(out)):
        if j % 64 == 0:
            bits = scramble(seed + np.uint64(j // 64 + 1) * np.uint64(0x9E3779B97F4A7C15))
        out[j] += weight if bits & np.uint64(1) else -weight
        bits >>= np.uint64(1)


@njit(cache=True)
def add_features(letters, ends, sums):  # type: ignore[no-untyped-def]
    """Add the features of n texts to their rows of ``sums`` (n, d).

    ``letters`` holds the code points of all texts in turn, words parted by single spaces; ``ends`` (n,) where
    each ends. A word's trigrams see a space before and behind it.
    """
    space = np.uint64(32)
    start = 0
    for row in range(len(ends)):
        before, last, word = space, space, np.uint64(0)
        for i in range(start, ends[row] + 1):
            letter = np.uint64(letters[i]) if i < ends[row] else space
            if letter == space:
                add_direction(scramble(word), np.float32(WORD_WEIGHT), sums[row])
                word = np.uint64(0)
            else:
                word = scramble(word + letter)
            if last != space:
                # Code points have 21 bits: three fit into a number, its top bit apart.
                trigram = (
                    before << np.uint64(42) | last << np.uint64(21) | letter | np.uint64(1) << np.uint64(63)
                )
                add_direction(scramble(trigram), np.float32(TRIGRAM_WEIGHT), sums[row])
            before, last = last, letter
        start = ends[row]
