"""Records of the topic ``item-vectors``: what one worker's encoder made of an item's text, for all others.

The key is the encoder (8 bytes) and the item (8 bytes); so an item's next text replaces the one before, and vectors of
two encoders stand beside each other. The value names the text, so that nobody takes it for another.
"""

from __future__ import annotations

from dataclasses import dataclass

from stream.errors import FormatError
from stream.hashing import hash_text

FORMAT = 1
VECTOR, REFUSAL = 0, 1  # kinds
_HEADER = 18  # format, kind, text


@dataclass(frozen=True, slots=True)
class SharedRecord:
    """What became of one text: its vector as ``CachedEncoder`` keeps it, or else why there is none.

    Examples
    --------
    >>> record = SharedRecord(b"t" * 16, vector=b"1234")
    >>> parse_shared(write_shared(record)) == record
    True
    """

    text: bytes  # hash, 16 bytes
    vector: bytes = b""  # 2 bytes for each dimension
    refusal: str = ""  # what the encoder raised


def encoder_key(encoder_id: str) -> bytes:
    """Give the first half of an encoder's keys."""
    return hash_text(encoder_id).to_bytes(8, "big")


def write_shared(record: SharedRecord) -> bytes:
    """Give ``record`` as bytes."""
    kind = VECTOR if record.vector else REFUSAL
    return bytes((FORMAT, kind)) + record.text + (record.vector or record.refusal.encode())


def parse_shared(value: bytes) -> SharedRecord:
    """Make what ``write_shared`` was given. Raises FormatError."""
    if len(value) <= _HEADER or value[0] != FORMAT or value[1] not in (VECTOR, REFUSAL):
        raise FormatError(f"not a record of a vector of format {FORMAT}")
    text, body = value[2:_HEADER], value[_HEADER:]
    return (
        SharedRecord(text, body)
        if value[1] == VECTOR
        else SharedRecord(text, refusal=body.decode("utf-8", "replace"))
    )
