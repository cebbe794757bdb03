"""Texts of mixed lengths for the encoder's scenarios: real words of the packaged vocabulary, drawn."""

from __future__ import annotations

import numpy as np

from stream.config import EncoderSettings
from stream.encoder.checkpoint import locate

SEED = 0


def words(n: int, least: int, most: int, seed: int = SEED) -> list[str]:
    """Make ``n`` texts of ``least`` to ``most`` words, evenly."""
    lines = (locate(EncoderSettings()) / "vocab.txt").read_text().split("\n")[2_000:12_000]
    known = [word for word in lines if word.isalpha()]
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(known, size)) for size in rng.integers(least, most + 1, n)]


def mixed(n: int) -> list[str]:
    """Make a catalogue's texts: three quarters titles of 2 to 20 words, the rest with descriptions up to 90."""
    long = n // 4
    texts = words(n - long, 2, 20) + words(long, 20, 90, SEED + 1)
    order = np.random.default_rng(SEED).permutation(n)
    return [texts[i] for i in order]
