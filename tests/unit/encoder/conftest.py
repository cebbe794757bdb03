"""Encoders to test: the packaged model, loaded once, and tiny random models with a toy tokeniser."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2Model,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from stream.config import EncoderSettings
from stream.encoder.checkpoint import PACKAGE
from stream.encoder.hashing import HashingEncoder
from stream.encoder.transformer import TransformerEncoder

WORDS = ["a", "red", "blue", "shoe", "hat", "lamp", "desk"]


@pytest.fixture(scope="session")
def start_python() -> Callable[..., subprocess.Popen[str]]:
    """Starts another Python process on ``code`` with arguments. LMDB's files do not survive a fork."""

    def start(code: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


@pytest.fixture(scope="session")
def hashing() -> HashingEncoder:
    return HashingEncoder()


@pytest.fixture(scope="session")
def packaged() -> TransformerEncoder:
    if importlib.util.find_spec(PACKAGE) is None:
        pytest.skip("the extra minilm is not installed")
    return TransformerEncoder(EncoderSettings(device="cpu"))


@pytest.fixture
def tiny_bert(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    config = BertConfig(
        vocab_size=len(special + WORDS),
        max_position_embeddings=32,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
    )
    tokenizer = toy_tokenizer(special + WORDS)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return save(tmp_path / "tiny-bert", BertModel(config), tokenizer, **names)


@pytest.fixture
def tiny_xlmr(tmp_path: Path) -> Path:
    """A multilingual model's kind: positions count from behind the padding's. Its tokeniser names no limit."""
    torch.manual_seed(0)
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    config = XLMRobertaConfig(
        vocab_size=len(special + WORDS),
        max_position_embeddings=32,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        pad_token_id=1,
    )
    tokenizer = toy_tokenizer(special + WORDS, "<unk>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = {"pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>"}
    return save(tmp_path / "tiny-xlmr", XLMRobertaModel(config), tokenizer, limit=100_000, **names)


@pytest.fixture
def tiny_gpt2(tmp_path: Path) -> Path:
    """Without a pad token and without special tokens around a text, as GPT-2 comes."""
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=1 + len(WORDS), n_positions=32, n_embd=32, n_layer=2, n_head=2)
    tokenizer = toy_tokenizer(["[UNK]", *WORDS])
    return save(tmp_path / "tiny-gpt2", GPT2Model(config), tokenizer, unk_token="[UNK]")


def toy_tokenizer(vocabulary: list[str], unknown: str = "[UNK]") -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(vocabulary)}, unk_token=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def save(
    directory: Path, model: PreTrainedModel, tokenizer: Tokenizer, limit: int = 32, **names: str
) -> Path:
    # Weights large enough that texts of random models differ clearly.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.3)
    model.save_pretrained(directory)
    wrapped: Any = PreTrainedTokenizerFast
    wrapped(tokenizer_object=tokenizer, model_max_length=limit, **names).save_pretrained(directory)
    return directory
