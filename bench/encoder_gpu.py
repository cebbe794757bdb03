"""The encoder on a GPU: how much of what the card can compute is used, and how much of that reaches the texts.

BERT-base with random weights: speed does not depend on them, and nothing has to be downloaded. ``make bench
only=encoder-gpu`` is all that it takes where there is a CUDA device.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from transformers import AutoTokenizer, BertConfig, BertModel

from bench.encoder_texts import SEED, mixed, words
from bench.report import Measured, Row
from bench.scenarios import Unavailable
from stream.config import EncoderSettings
from stream.encoder.checkpoint import locate
from stream.encoder.transformer import TransformerEncoder

# Dense half precision of the cards that are likely, in TFLOP/s, from their makers' data sheets.
PEAK_TFLOPS = {"H100": 989.0, "H200": 989.0, "A100": 312.0, "L4": 121.0, "A10": 125.0, "T4": 65.0}
LENGTHS = (32, 128, 512)  # tokens
TOKENS_AT_ONCE = 131_072  # what a GPU wants: sixteen times the default, which is for CPUs
TEXTS = 20_000
ROUNDS = 5


def encoder_gpu() -> Measured:
    """Model FLOP utilisation by length, and the whole encoder beside the bare forward pass."""
    if not torch.cuda.is_available():
        raise Unavailable("torch finds no CUDA device; on a machine with one: make bench only=encoder-gpu")
    with tempfile.TemporaryDirectory() as directory:
        checkpoint = bert_base(Path(directory))
        rows: list[Row] = []
        ratios: dict[str, float] = {}
        for compiled in (False, True):
            encoder = on_gpu(checkpoint, compiled)
            name = "compiled" if compiled else "eager"
            for length in LENGTHS:
                rows.append(utilisation(encoder, length, name))
                ratios[f"FLOP utilisation, {length} tokens, {name}"] = float(rows[-1]["of peak"])
            ratios[f"encoder/bare forward pass, {name}"] = share_of_bare(encoder)
    return Measured(rows, ratios, SEED, [f"BERT-base, half precision, peak of {peak():.0f} TFLOP/s"])


def bert_base(directory: Path) -> Path:
    """Write BERT-base with random weights and the packaged tokeniser, which has BERT's own vocabulary."""
    torch.manual_seed(SEED)
    BertModel(BertConfig()).save_pretrained(directory)
    AutoTokenizer.from_pretrained(locate(EncoderSettings()), model_max_length=512).save_pretrained(directory)
    return directory


def on_gpu(checkpoint: Path, compiled: bool) -> TransformerEncoder:
    settings = EncoderSettings(
        model=str(checkpoint), device="cuda", max_tokens=512, batch_tokens=TOKENS_AT_ONCE, compile=compiled
    )
    return TransformerEncoder(settings)


def peak() -> float:
    """TFLOP/s of this card in half precision. Raises Unavailable where it is not in the table."""
    card = torch.cuda.get_device_name()
    for name, tflops in PEAK_TFLOPS.items():
        if name in card:
            return tflops
    raise Unavailable(f"the peak of {card!r} is not known: add it to PEAK_TFLOPS in bench/encoder_gpu.py")


def flops(length: int, layers: int = 12, width: int = 768) -> float:
    """Floating point operations of BERT for a text of ``length`` tokens: matrix products alone.

    Per layer and token 24 width^2 for projections and feed-forward, and 4 length width for attention.
    """
    return layers * length * (24 * width**2 + 4 * length * width)


def utilisation(encoder: TransformerEncoder, length: int, name: str) -> Row:
    rng = np.random.default_rng(SEED)
    batch = rng.integers(1_000, 20_000, (TOKENS_AT_ONCE // length, length)).tolist()
    seconds = timed(lambda: encoder._forward(batch))
    rate = len(batch) / seconds
    tflops = rate * flops(length) / 1e12
    return {"model": name, "tokens": length, "texts/s": rate, "TFLOP/s": tflops, "of peak": tflops / peak()}


def share_of_bare(encoder: TransformerEncoder) -> float:
    """Texts per second of ``encode`` as a share of the passes alone, over texts of mixed lengths."""
    texts = mixed(TEXTS // 2) + words(TEXTS // 2, 5, 60)
    batches = encoder._batches(texts, 0)
    sample = [text for batch in batches for text in (texts[i] for i in batch.rows)]
    bare = timed(lambda: [encoder._forward(batch.tokens) for batch in batches]) / len(sample)
    whole = timed(lambda: encoder.encode(texts)) / len(texts)
    return bare / whole


def timed(run: Callable[[], object]) -> float:
    """Seconds, the median of the rounds; a first one warms up."""
    taken = []
    for n in range(ROUNDS + 1):
        torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        if n:
            taken.append(time.perf_counter() - start)
    return median(taken)
