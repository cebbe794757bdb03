"""From token ids to hidden states: the model itself, the device it runs on, and the precision it runs in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from transformers import AutoModel
from transformers.utils import logging

from stream.encoder.lanes import Lane
from stream.errors import EncoderError

Precision = Literal["auto", "float32", "bfloat16", "float16"]

SHORT_NAMES = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16"}


def choose_device(wanted: str) -> torch.device:
    """Return the device to run on: ``auto`` is CUDA where there is one.

    Raises EncoderError when ``cuda`` is asked for and there is none.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise EncoderError(
            "encoder.device is 'cuda', but torch finds no CUDA device: set it to 'auto' or 'cpu', "
            "or install a torch built for this machine's driver"
        )
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def choose_dtype(precision: Precision, device: torch.device, stored: torch.dtype) -> torch.dtype:
    """Return the type that a model runs in whose weights are ``stored`` in some type.

    ``auto``: on CUDA half precision, the checkpoint's own if it has one, else float16, which keeps three bits
    more than bfloat16; on a CPU float32, which all of them have, so that machines agree on a vector and on
    ``encoder_id``.
    """
    if precision != "auto":
        chosen: torch.dtype = getattr(torch, precision)
        return chosen
    if device.type == "cpu":
        return torch.float32
    return torch.bfloat16 if stored == torch.bfloat16 else torch.float16


@dataclass(frozen=True, slots=True)
class Hidden:
    """What the model says of b texts, on its device."""

    states: Tensor  # (b, t, d), t tokens of the longest text
    lengths: Tensor  # (b,) tokens of each
    mark: Any  # of the lane: when they are complete


class Forward:
    """A transformer encoder (or the encoder half of an encoder-decoder, or a decoder) without any head.

    ``compiled`` has torch compile it, which takes a minute at the first batches and a C compiler.
    Raises EncoderError when ``checkpoint`` cannot be loaded, or does not hold all of the model's weights.
    """

    def __init__(
        self,
        checkpoint: Path,
        device: torch.device,
        precision: Precision,
        pad_id: int,
        lane: Lane,
        *,
        compiled: bool = False,
    ) -> None:
        model = load(checkpoint)
        self.dtype = choose_dtype(precision, device, model.dtype)
        self.max_positions = count_positions(model)
        self._pad_id = pad_id
        self._lane = lane
        self._model = model.to(device=device, dtype=self.dtype)
        # Of any shape, or each new one would be compiled for itself.
        self._run = torch.compile(self._model, dynamic=True) if compiled else self._model

    @torch.inference_mode()
    def __call__(self, tokens: Sequence[Sequence[int]]) -> Hidden:
        """Run b rows of ids.

        Padding is on the right, so that positions count from a text's first token in every kind of model.
        """
        lengths = np.array([len(row) for row in tokens])
        ids = np.full((len(tokens), lengths.max()), self._pad_id, np.int64)
        own = np.arange(ids.shape[1]) < lengths[:, None]
        ids[own] = np.concatenate(tokens)
        upload = self._lane.upload
        output = self._run(input_ids=upload(ids), attention_mask=upload(own.astype(np.int64)))
        return Hidden(output.last_hidden_state, upload(lengths), self._lane.mark())


def count_positions(model: Any) -> int | None:
    """Tell how many tokens ``model`` has positions for; None where it has no limit.

    RoBERTa and its kin (XLM-R, most multilingual encoders) count positions from behind that of the padding.
    """
    positions: int | None = getattr(model.config, "max_position_embeddings", None)
    padding = getattr(getattr(model, "embeddings", None), "padding_idx", None)
    return positions if positions is None or padding is None else positions - padding - 1


def load(checkpoint: Path) -> Any:
    """Load the model in ``checkpoint`` for inference. Runs no code of the checkpoint; safetensors only."""
    try:
        with _no_progress_bar():
            model, report = AutoModel.from_pretrained(
                checkpoint,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
            )
    except Exception as error:
        raise EncoderError(f"the model in {checkpoint} cannot be loaded: {error}") from error
    # transformers fills weights that are missing with noise. Only the pooler's may be: its output is not
    # used.
    missing = sorted(key for key in report["missing_keys"] if "pooler" not in key)
    if missing:
        raise EncoderError(
            f"the weights in {checkpoint} are not those of the model in its config.json: "
            f"{len(missing)} are missing, the first is {missing[0]}"
        )
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    model.config.use_cache = False  # of keys and values, for generating: only memory here
    return model.eval()


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
