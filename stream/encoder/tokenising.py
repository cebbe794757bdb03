"""From text to token ids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from stream.errors import EncoderError


class Tokeniser:
    """A checkpoint's own tokeniser, with its special tokens. Not for several threads at once.

    Raises EncoderError when the checkpoint has none that transformers can read.
    """

    def __init__(self, checkpoint: Path, max_tokens: int) -> None:
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(
                checkpoint, local_files_only=True, trust_remote_code=False
            )
        except Exception as error:
            raise EncoderError(f"the tokeniser in {checkpoint} cannot be read: {error}") from error
        self.max_tokens = min(max_tokens, int(self._tokenizer.model_max_length))

    @property
    def pad_id(self) -> int:
        """What fills a row up; it is masked out, so 0 will do where a model (GPT-2) has no such token."""
        pad = self._tokenizer.pad_token_id
        return 0 if pad is None else int(pad)

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, special tokens included, at most ``max_tokens``: what is beyond is cut."""
        encoded = self._tokenizer(
            list(texts),
            truncation=True,
            max_length=self.max_tokens,
            return_attention_mask=False,
            return_token_type_ids=False,
        )
        ids: list[list[int]] = encoded["input_ids"]
        return ids
