"""Texts per second of the packaged encoder on titles, by batch budget and precision; its cache; the stand-in.

Run: python bench/encoder_cpu.py [threads]. Prints one line a scenario; titles have 2 to 20 words, mean 9.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stream.config import EncoderSettings
from stream.encoder.cache import CachedEncoder
from stream.encoder.checkpoint import locate
from stream.encoder.forward import Precision
from stream.encoder.hashing import HashingEncoder
from stream.encoder.interface import TextEncoder
from stream.encoder.transformer import TransformerEncoder
from stream.encoder.vector_store import LmdbStore, MemoryStore

TITLES = 2_048
ROUNDS = 3


def titles(n: int) -> list[str]:
    words = [
        w
        for w in (locate(EncoderSettings()) / "vocab.txt").read_text().split("\n")[2000:12_000]
        if w.isalpha()
    ]
    rng = np.random.default_rng(0)
    sizes = rng.normal(9, 4, n).clip(2, 20).astype(int)
    return [" ".join(rng.choice(words, size)) for size in sizes]


def report(name: str, encoder: TextEncoder, texts: Sequence[str]) -> None:
    encoder.encode(texts[:64])
    best = min(timed(encoder, texts) for _ in range(ROUNDS))
    print(f"{name:40} {len(texts) / best:10,.0f} texts/s", flush=True)


def timed(encoder: TextEncoder, texts: Sequence[str]) -> float:
    start = time.perf_counter()
    encoder.encode(texts)
    return time.perf_counter() - start


def main(threads: int) -> None:
    texts = titles(TITLES)
    start = time.perf_counter()
    TransformerEncoder(EncoderSettings(device="cpu", threads=threads))
    print(f"load {time.perf_counter() - start:.2f} s", flush=True)
    precisions: tuple[Precision, ...] = ("float32", "bfloat16")
    for precision in precisions:
        for budget in (1_024, 2_048, 4_096, 8_192):
            settings = EncoderSettings(device="cpu", threads=threads, batch_tokens=budget)
            encoder = TransformerEncoder(settings, precision=precision)
            report(f"MiniLM {precision}, budget {budget}", encoder, texts)
    report("hashing, 384 dimensions", HashingEncoder(), texts)
    with tempfile.TemporaryDirectory() as directory:
        for name, store in (("memory", MemoryStore(1 << 30)), ("LMDB", LmdbStore(Path(directory), 1 << 30))):
            cached = CachedEncoder(HashingEncoder(), store)
            cached.encode(texts)
            report(f"found in {name}", cached, texts)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
