"""An encoder from any Hugging Face checkpoint: tokenise, forward, pool."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from stream.config import EncoderSettings
from stream.encoder.batching import Tokens, plan, run_halving
from stream.encoder.checkpoint import checksum, locate
from stream.encoder.forward import SHORT_NAMES, Forward, Hidden, Precision, choose_device
from stream.encoder.interface import Vectors, distinct, spread
from stream.encoder.lanes import make_lane
from stream.encoder.pooling import pool
from stream.encoder.stages import ahead, in_turn
from stream.encoder.tokenising import Tokeniser
from stream.errors import EncoderError

# Texts that are tokenised, sorted and batched together. With fewer, batches hold more padding; with more, the model
# waits longer for its first batch, and all of their tokens are in memory.
WINDOW = 2_048


class Batch(NamedTuple):
    """Texts that go through the model together."""

    rows: npt.NDArray[np.intp]  # (b,) places among the texts of a call
    tokens: list[Tokens]


class TransformerEncoder:
    """A transformer as a ``TextEncoder``. Threads take turns: one call keeps all cores, or the GPU, busy.

    Parameters
    ----------
    settings
        Which model, where it runs, how its tokens are pooled and batched. ``settings.threads`` sets torch's
        number of threads for the whole process.
    precision
        What the model computes in; part of ``encoder_id``. ``auto`` is float32 on a CPU and half precision on
        CUDA. ``bfloat16`` is about 1.7 times as fast on a CPU with such instructions, at a cosine of 0.9999
        to float32.

    Raises
    ------
    EncoderError
        When the model cannot be found or loaded, or does not answer as an encoder.
    """

    def __init__(self, settings: EncoderSettings, *, precision: Precision = "auto") -> None:
        if settings.threads:
            torch.set_num_threads(settings.threads)
        checkpoint = locate(settings)
        self._lock = threading.Lock()
        self._settings = settings
        self._tokenise = Tokeniser(checkpoint, settings.max_tokens)
        device = choose_device(settings.device)
        self._lane = make_lane(device)
        self._forward = Forward(
            checkpoint, device, precision, self._tokenise.pad_id, self._lane, compiled=settings.compile
        )
        positions = self._forward.max_positions or self._tokenise.max_tokens
        self._tokenise.max_tokens = min(self._tokenise.max_tokens, positions)
        self._dimensions = self._probe()
        self._id = self._name(checkpoint)

    @property
    def encoder_id(self) -> str:
        """As ``packaged:0123456789ab:mean:128:f32:unit``: name, checksum, pooling, tokens, type, norm."""
        return self._id

    @property
    def dimensions(self) -> int:
        """The model's hidden size."""
        return self._dimensions

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors of ``texts``, float32 (n, d); see ``TextEncoder``. Equal texts run once.

        Of many texts the stages work at the same time; a few are not worth the threads.
        """
        unique, index = distinct(texts)
        vectors = np.zeros((len(unique), self._dimensions), np.float32)
        windows = range(0, len(unique), WINDOW)
        tokenising = ahead if len(windows) > 1 else in_turn
        running = ahead if len(windows) > 1 and self._lane.overlaps else in_turn
        with self._lock:
            batches = chain.from_iterable(tokenising(windows, lambda start: self._batches(unique, start)))
            for rows, parts in running(batches, self._run):
                vectors[rows] = np.concatenate([self._pool(hidden) for hidden in parts])
        return spread(vectors, index)

    def _batches(self, texts: Sequence[str], start: int) -> list[Batch]:
        """First stage: the window of ``texts`` from ``start`` on, as rows of token ids that fit together."""
        tokens = self._tokenise(texts[start : start + WINDOW])
        # A text of characters that the tokeniser drops altogether has no tokens, and keeps its zeros.
        present = [i for i, row in enumerate(tokens) if row]
        batches = plan([len(tokens[i]) for i in present], self._settings.batch_tokens)
        return [
            Batch(start + rows, [tokens[i] for i in rows])
            for rows in (np.array(present, np.intp)[batch] for batch in batches)
        ]

    def _run(self, batch: Batch) -> tuple[npt.NDArray[np.intp], list[Hidden]]:
        """Second stage: a batch through the model, in parts where the device has too little memory."""
        return batch.rows, run_halving(self._forward, batch.tokens)

    @torch.inference_mode()
    def _pool(self, hidden: Hidden) -> Vectors:
        """Third stage: one vector per text, here."""
        with self._lane.behind(hidden.mark, hidden.states, hidden.lengths):
            vectors = self._lane.download(pool(hidden.states, hidden.lengths, self._settings.pooling))
        if not np.isfinite(vectors).all():
            raise EncoderError(
                f"encoder.model {self._settings.model!r} overflows in {self._forward.dtype}: "
                "run it in bfloat16 or float32"
            )
        return vectors

    def _probe(self) -> int:
        """Encode the longest text there can be, so that a model that will not do fails now; return d."""
        limit = self._tokenise.max_tokens
        try:
            return len(self._pool(self._forward(self._tokenise(["a " * limit])))[0])
        except EncoderError:
            raise
        except Exception as error:
            raise EncoderError(
                f"encoder.model {self._settings.model!r} does not answer as an encoder for {limit} tokens: "
                f"{error!r}. Choose a text encoder, or lower encoder.max_tokens to what it takes"
            ) from error

    def _name(self, checkpoint: Path) -> str:
        name = self._settings.model.rstrip("/").rpartition("/")[2]
        precision = SHORT_NAMES[self._forward.dtype]
        pooling, limit = self._settings.pooling, self._tokenise.max_tokens
        return f"{name}:{checksum(checkpoint)}:{pooling}:{limit}:{precision}:unit"
