from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from stream.config import EncoderSettings
from stream.encoder.checkpoint import checksum, locate
from stream.errors import EncoderError

NAME = "someone/some-model"


class Hub:
    """Stands in for ``snapshot_download``: what is in the local cache, and what the network would bring."""

    def __init__(self, local: Path | None = None, remote: Path | None = None) -> None:
        self.local, self.remote = local, remote
        self.asked: list[dict[str, Any]] = []

    def __call__(self, name: str, **options: Any) -> str:
        self.asked.append(options)
        found = self.local if options["local_files_only"] else self.remote
        if found is None:
            raise LocalEntryNotFoundError("no answer")
        return str(found)


def hub(monkeypatch: pytest.MonkeyPatch, **where: Path) -> Hub:
    stand_in = Hub(**where)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", stand_in)
    return stand_in


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EncoderError, match=r"shoal\[minilm\]"):
        locate(EncoderSettings())


def test_a_directory_is_taken_as_it_is(tiny_bert: Path) -> None:
    assert locate(EncoderSettings(model=str(tiny_bert))) == tiny_bert


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_directory_without_the_files_is_an_error(tiny_bert: Path, name: str) -> None:
    (tiny_bert / name).unlink()
    with pytest.raises(EncoderError, match="save_pretrained"):
        locate(EncoderSettings(model=str(tiny_bert)))


def test_a_model_in_the_local_cache_needs_no_network(
    tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = hub(monkeypatch, local=tiny_bert)
    assert locate(EncoderSettings(model=NAME, revision="abc")) == tiny_bert
    assert [asked["local_files_only"] for asked in stand_in.asked] == [True]
    assert stand_in.asked[0]["revision"] == "abc"


def test_a_model_that_is_not_there_is_fetched(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch, remote=tiny_bert)
    assert locate(EncoderSettings(model=NAME)) == tiny_bert


def test_no_network_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch)
    with pytest.raises(EncoderError, match=f"hf download {NAME}"):
        locate(EncoderSettings(model=NAME))


def test_the_hub_library_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(EncoderError, match="cannot be downloaded"):
        locate(EncoderSettings(model=NAME))


def test_a_path_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(EncoderError, match="no directory here"):
        locate(EncoderSettings(model="./no/such/directory"))


def test_the_checksum_is_of_the_deciding_files_only(tiny_bert: Path) -> None:
    before = checksum(tiny_bert)
    (tiny_bert / "README.md").write_text("about")
    assert checksum(tiny_bert) == before
    assert len(before) == 12
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        path = tiny_bert / name
        content = path.read_bytes()
        path.write_bytes(content + b" ")
        assert checksum(tiny_bert) != before
        path.write_bytes(content)
    assert checksum(tiny_bert) == before
