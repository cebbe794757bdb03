"""The transformer encoder against transformers used in the plainest way: one text at a time, no batches."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModel,
    AutoTokenizer,
    BertConfig,
    BertModel,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)

from stream.config import EncoderSettings
from stream.encoder.checkpoint import locate
from stream.encoder.forward import Hidden, choose_device, choose_dtype
from stream.encoder.interface import Vectors
from stream.encoder.transformer import TransformerEncoder
from stream.errors import EncoderError

TEXTS = ["red shoe", "a blue hat", "desk", "a red lamp a blue lamp a desk", "shoe hat", "unknown word"]


def settings(model: Path | str, **changes: Any) -> EncoderSettings:
    return EncoderSettings(model=str(model), device="cpu", **changes)


def plain(checkpoint: Path, texts: Sequence[str], pooling: str, max_tokens: int = 128) -> Vectors:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModel.from_pretrained(checkpoint).eval()
    rows = []
    for text in texts:
        inputs = tokenizer(text, truncation=True, max_length=max_tokens, return_tensors="pt")
        with torch.no_grad():
            hidden = model(**inputs).last_hidden_state[0].numpy()
        row = {"mean": hidden.mean(0), "cls": hidden[0], "last": hidden[-1]}[pooling]
        rows.append(row / np.linalg.norm(row))
    return np.array(rows, np.float32)


def rewrite(model: PreTrainedModel, checkpoint: Path) -> None:
    """Put ``model`` in the place of a tiny one, with a tokeniser that cuts nothing."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.3)
    model.save_pretrained(checkpoint)
    config = checkpoint / "tokenizer_config.json"
    config.write_text(config.read_text().replace('"model_max_length": 32', '"model_max_length": 100000'))


def test_the_packaged_model_agrees_with_plain_transformers(packaged: TransformerEncoder) -> None:
    texts = [
        "Trail running shoe",
        "🎧 headphones",
        "红色跑鞋",
        "a " * 500,
        "x",
        "Noise cancelling over-ear headphones",
    ]
    expected = plain(locate(EncoderSettings()), texts, "mean")
    np.testing.assert_allclose(packaged.encode(texts), expected, atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
@pytest.mark.parametrize("model", ["tiny_bert", "tiny_gpt2"])
def test_pooling_agrees_with_plain_transformers(
    request: pytest.FixtureRequest, model: str, pooling: str
) -> None:
    checkpoint = request.getfixturevalue(model)
    # One batch for all lengths between 17 and 20, so that padding takes part.
    texts = TEXTS + [" ".join(["a red hat"] * 5 + ["desk"] * n) for n in range(4)]
    encoder = TransformerEncoder(settings(checkpoint, pooling=pooling, max_tokens=32))
    np.testing.assert_allclose(encoder.encode(texts), plain(checkpoint, texts, pooling, 32), atol=1e-5)


def test_small_budgets_change_nothing(tiny_bert: Path) -> None:
    texts = [" ".join(TEXTS[: i % 6 + 1]) for i in range(400)]
    small = TransformerEncoder(settings(tiny_bert, batch_tokens=128)).encode(texts)
    large = TransformerEncoder(settings(tiny_bert, batch_tokens=100_000)).encode(texts)
    np.testing.assert_allclose(small, large, atol=1e-5)


def test_each_distinct_text_runs_once(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = TransformerEncoder(settings(tiny_bert))
    seen: list[int] = []
    forward = encoder._forward

    def watched(rows: Sequence[Sequence[int]]) -> Hidden:
        seen.append(len(rows))
        return forward(rows)

    monkeypatch.setattr(encoder, "_forward", watched)
    encoder.encode(["red shoe", "", "hat", "red shoe", "hat"] * 10)
    assert sum(seen) == 2


def test_a_device_without_memory_gets_smaller_batches(
    tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = TransformerEncoder(settings(tiny_bert))
    expected = encoder.encode(TEXTS * 3)
    forward = encoder._forward

    def small_device(rows: Sequence[Sequence[int]]) -> Hidden:
        if len(rows) > 1:
            raise torch.OutOfMemoryError
        return forward(rows)

    monkeypatch.setattr(encoder, "_forward", small_device)
    np.testing.assert_allclose(encoder.encode(TEXTS * 3), expected, atol=1e-5)


def test_threads_take_turns(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = TransformerEncoder(settings(tiny_bert))
    inside: list[int] = []
    forward = encoder._forward

    def alone(rows: Sequence[Sequence[int]]) -> Hidden:
        inside.append(0)
        time.sleep(0.01)
        assert len(inside) == 1
        inside.pop()
        return forward(rows)

    monkeypatch.setattr(encoder, "_forward", alone)
    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(encoder.encode, [TEXTS[:1]] * 8))) == 8


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For stages that overlap on the CPU, which they do not outside of tests: they would hinder each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("overlaps", [False, True])
@pytest.mark.parametrize("model", ["tiny_bert", "tiny_gpt2", "tiny_xlmr"])
def test_stages_that_overlap_give_what_one_after_the_other_gives(
    request: pytest.FixtureRequest, model: str, overlaps: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = TransformerEncoder(settings(request.getfixturevalue(model), pooling="last", batch_tokens=128))
    texts = [f"{'red ' * (n % 9)}{'hat ' * (n % 7)}shoe {'a ' * (n % 5)}" for n in range(100)] + [""]
    expected = encoder.encode(texts)
    monkeypatch.setattr("stream.encoder.transformer.WINDOW", 16)
    monkeypatch.setattr(encoder._lane, "overlaps", overlaps)
    np.testing.assert_allclose(encoder.encode(texts), expected, atol=1e-5)


@pytest.mark.usefixtures("one_thread")
def test_an_error_in_a_stage_that_overlaps_comes_out(
    tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.encoder.transformer.WINDOW", 2)
    encoder = TransformerEncoder(settings(tiny_bert))
    forward = encoder._forward

    def full(rows: Sequence[Sequence[int]]) -> Hidden:
        if len(rows[0]) > 6:
            raise torch.OutOfMemoryError
        return forward(rows)

    monkeypatch.setattr(encoder._lane, "overlaps", True)
    monkeypatch.setattr(encoder, "_forward", full)
    with pytest.raises(EncoderError, match="not enough memory for one text"):
        encoder.encode(TEXTS)
    assert encoder.encode(TEXTS[:3]).all()  # and the next call finds nothing in its way


def test_a_description_of_five_hundred_words_is_read_to_its_end(tiny_bert: Path) -> None:
    config = BertConfig.from_pretrained(tiny_bert)
    config.max_position_embeddings = 600
    rewrite(BertModel(config), tiny_bert)
    encoder = TransformerEncoder(settings(tiny_bert, max_tokens=512))
    words = ["red shoe"] * 249
    texts = [" ".join([*words, "hat"]), " ".join([*words, "lamp"]), "hat"]
    vectors = encoder.encode(texts)
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-4
    np.testing.assert_allclose(vectors, plain(tiny_bert, texts, "mean", 512), atol=1e-5)


def test_a_multilingual_model_has_fewer_tokens_than_positions(tiny_xlmr: Path) -> None:
    encoder = TransformerEncoder(settings(tiny_xlmr, max_tokens=500))
    assert ":30:" in encoder.encoder_id  # of 32 positions, two lie before the first token's
    assert encoder.encode(["red " * 400]).all()


def test_a_compiled_model_is_asked_for_any_shape(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def fake(model: Any, **options: Any) -> Any:
        asked.append(options)
        return model

    monkeypatch.setattr(torch, "compile", fake)
    plain_vectors = TransformerEncoder(settings(tiny_bert)).encode(TEXTS)
    assert asked == []
    compiled = TransformerEncoder(settings(tiny_bert, compile=True)).encode(TEXTS)
    assert asked == [{"dynamic": True}]
    np.testing.assert_array_equal(compiled, plain_vectors)


def test_texts_are_cut_to_what_the_model_takes(tiny_bert: Path) -> None:
    encoder = TransformerEncoder(settings(tiny_bert, max_tokens=500))
    long, longer = encoder.encode(["red " * 40, "red " * 400])
    np.testing.assert_allclose(long, longer, atol=1e-6)
    assert ":32:" in encoder.encoder_id


def test_a_text_without_tokens_is_zeros(tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = TransformerEncoder(settings(tiny_gpt2, pooling="last"))
    tokenise = encoder._tokenise
    monkeypatch.setattr(encoder, "_tokenise", lambda texts: [[], *tokenise(texts)[1:]])
    none, some = encoder.encode(["red", "shoe"])
    assert not none.any()
    assert some.any()


def test_an_encoder_decoder_gives_its_encoder(tiny_bert: Path) -> None:
    config = T5Config(vocab_size=11, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    T5ForConditionalGeneration(config).save_pretrained(tiny_bert)
    assert TransformerEncoder(settings(tiny_bert)).encode(["red shoe"]).shape == (1, 16)


def test_every_setting_that_changes_a_vector_changes_the_id(tiny_bert: Path) -> None:
    def id_of(**changes: Any) -> str:
        return TransformerEncoder(settings(tiny_bert, **changes)).encoder_id

    base = id_of()
    assert base == id_of(batch_tokens=128)
    assert len({base, id_of(pooling="cls"), id_of(max_tokens=16)}) == 3
    assert TransformerEncoder(settings(tiny_bert), precision="bfloat16").encoder_id != base
    weights = tiny_bert / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert id_of() != base


def test_half_precision_is_close(packaged: TransformerEncoder) -> None:
    half = TransformerEncoder(EncoderSettings(device="cpu"), precision="bfloat16")
    texts = ["Trail running shoe", "Noise cancelling over-ear headphones", "红色跑鞋"]
    assert ((packaged.encode(texts) * half.encode(texts)).sum(1) > 0.999).all()


def test_values_that_are_not_finite_are_an_error(tiny_bert: Path) -> None:
    encoder = TransformerEncoder(settings(tiny_bert))
    encoder._forward._model.embeddings.word_embeddings.weight.data[:] = float("nan")
    with pytest.raises(EncoderError, match=r"overflows in torch\.float32"):
        encoder.encode(["red"])


def test_weights_of_another_model_are_an_error(tiny_bert: Path, tiny_gpt2: Path) -> None:
    (tiny_bert / "model.safetensors").write_bytes((tiny_gpt2 / "model.safetensors").read_bytes())
    with pytest.raises(EncoderError, match="are missing"):
        TransformerEncoder(settings(tiny_bert))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_damaged_file_is_an_error(tiny_bert: Path, name: str) -> None:
    (tiny_bert / name).write_bytes(b"\x00 not what it should be")
    with pytest.raises(EncoderError, match=r"cannot be (read|loaded)"):
        TransformerEncoder(settings(tiny_bert))


def test_no_code_of_a_checkpoint_runs(tiny_bert: Path) -> None:
    ran = tiny_bert / "ran"
    (tiny_bert / "evil.py").write_text(f"open({str(ran)!r}, 'w')\nclass M: pass\nclass C: pass\n")
    auto = '"auto_map": {"AutoConfig": "evil.C", "AutoModel": "evil.M"}'
    (tiny_bert / "config.json").write_text(f'{{"model_type": "evil", {auto}}}')
    with pytest.raises(EncoderError):
        TransformerEncoder(settings(tiny_bert))
    assert not ran.exists()


def test_a_model_that_is_no_text_encoder_is_an_error(
    tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise IndexError("index out of range in self")

    monkeypatch.setattr("stream.encoder.forward.Forward.__call__", refuse)
    with pytest.raises(EncoderError, match=r"lower encoder\.max_tokens"):
        TransformerEncoder(settings(tiny_bert))


def test_cuda_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EncoderError, match=r"encoder\.device"):
        choose_device("cuda")
    assert choose_device("auto").type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto").type == "cuda"
    assert choose_device("cpu").type == "cpu"


def test_automatic_precision() -> None:
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert choose_dtype("auto", cpu, torch.bfloat16) == torch.float32
    assert choose_dtype("auto", cuda, torch.float32) == torch.float16
    assert choose_dtype("auto", cuda, torch.bfloat16) == torch.bfloat16
    assert choose_dtype("bfloat16", cpu, torch.float32) == torch.bfloat16
