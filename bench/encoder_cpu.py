"""The encoder on the CPU against sentence-transformers with the same weights, and against the bare model.

Contestants take turns over the same texts of mixed lengths; a rate is the median of the rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from bench.encoder_texts import SEED, mixed
from bench.report import Measured
from stream.config import EncoderSettings
from stream.encoder.batching import plan
from stream.encoder.checkpoint import locate
from stream.encoder.forward import Precision
from stream.encoder.transformer import WINDOW, TransformerEncoder

TEXTS = 768  # some seconds of each contestant
ROUNDS = 5
TRIAL = 192  # texts by which sentence-transformers' best batch size is found
BATCH_SIZES = (8, 16, 32, 64, 128, 256)

Run = Callable[[], object]


def encoder_cpu() -> Measured:
    """Texts per second, and how near bfloat16 comes to float32."""
    texts = mixed(TEXTS)
    theirs, best_size = _sentence_transformers(texts)
    ours = {name: _ours(name) for name in ("float32", "bfloat16")}
    runs: dict[str, Run] = {f"sentence-transformers, batches of {best_size}": theirs}
    for name, encoder in ours.items():
        runs[f"Shoal, {name}"] = lambda encoder=encoder: encoder.encode(texts)
        runs[f"bare forward pass, {name}"] = _bare(encoder, texts)
    rates = {name: len(texts) / seconds for name, seconds in _take_turns(runs).items()}
    st, f32, bare32, bf16, bare16 = rates.values()
    vectors = {name: encoder.encode(texts) for name, encoder in ours.items()}
    cosine = float((vectors["float32"] * vectors["bfloat16"]).sum(1).min())
    rows = [{"contestant": name, "texts/s": rate} for name, rate in rates.items()]
    ratios = {
        "bfloat16/sentence-transformers": bf16 / st,
        "float32/sentence-transformers": f32 / st,
        "float32/bare forward pass": f32 / bare32,
        "bfloat16/bare forward pass": bf16 / bare16,
        "least cosine of bfloat16 to float32": cosine,
    }
    notes = [
        f"{TEXTS} texts, three quarters of 2 to 20 words, the rest up to 90; {torch.get_num_threads()} threads"
    ]
    return Measured(rows, ratios, SEED, notes)


def _ours(precision: Precision) -> TransformerEncoder:
    return TransformerEncoder(EncoderSettings(device="cpu"), precision=precision)


def _sentence_transformers(texts: Sequence[str]) -> tuple[Run, int]:
    """Its ``encode`` at the batch size that is best here; it sorts by length itself."""
    model = SentenceTransformer(str(locate(EncoderSettings())), device="cpu")
    model.max_seq_length = EncoderSettings().max_tokens

    def run(size: int, some: Sequence[str]) -> None:
        model.encode(some, batch_size=size, normalize_embeddings=True, show_progress_bar=False)

    trials = {size: lambda size=size: run(size, texts[:TRIAL]) for size in BATCH_SIZES}
    seconds = _take_turns({str(size): trial for size, trial in trials.items()}, rounds=2)
    best = int(min(seconds, key=lambda size: seconds[size]))
    return lambda: run(best, texts), best


def _bare(encoder: TransformerEncoder, texts: Sequence[str]) -> Run:
    """The model alone on batches that are tokenised and padded already: what no encoder can beat."""
    batches = []
    for start in range(0, len(texts), WINDOW):
        tokens = encoder._tokenise(texts[start : start + WINDOW])
        for rows in plan([len(row) for row in tokens], encoder._settings.batch_tokens):
            width = len(tokens[rows[0]])
            ids = np.array([tokens[i] + [0] * (width - len(tokens[i])) for i in rows])
            own = np.arange(width) < np.array([len(tokens[i]) for i in rows])[:, None]
            batches.append((torch.from_numpy(ids), torch.from_numpy(own.astype(np.int64))))

    @torch.inference_mode()
    def run() -> None:
        for ids, mask in batches:
            encoder._forward._model(input_ids=ids, attention_mask=mask)

    return run


def _take_turns(runs: dict[str, Run], rounds: int = ROUNDS) -> dict[str, float]:
    """Seconds of each, the median of ``rounds``; a first one warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for n in range(rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if n:
                seconds[name].append(time.perf_counter() - start)
    return {name: median(taken) for name, taken in seconds.items()}
