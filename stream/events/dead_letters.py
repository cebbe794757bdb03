"""Dead letters as records: what was refused, where it stood, why, and its very bytes, to be sent again."""

from __future__ import annotations

import msgspec

from stream.broker.interface import Records
from stream.errors import FormatError
from stream.events.batch import DeadLetter

# Characters of the readable copy beside the bytes: it is for eyes, and a long one would swell the record.
PREVIEW = 1_000


class DeadLetterRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One dead letter; bytes are base64 in its JSON. ``*_text`` is the beginning of what is valid UTF-8."""

    topic: str
    partition: int
    offset: int
    timestamp: int  # ms, append time of the refused record
    reason: str
    detail: str
    key: bytes | None = None
    value: bytes | None = None
    key_text: str | None = None
    value_text: str | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(DeadLetterRecord).decode


def dead_letter_record(records: Records, dead: DeadLetter) -> bytes:
    """Write the record for ``dead``, a row of ``records``: 4/3 as long as what was refused, and a little.

    Examples
    --------
    >>> import numpy as np
    >>> records = Records("events", np.zeros(1, np.int32), np.array([5]), np.array([9]), [None], [b"?"])
    >>> parse_dead_letter(dead_letter_record(records, DeadLetter(0, "bad_json", "no JSON"))).value
    b'?'
    """
    key, value = records.keys[dead.row], records.values[dead.row]
    return _encode(
        DeadLetterRecord(
            topic=records.topic,
            partition=int(records.partition[dead.row]),
            offset=int(records.offset[dead.row]),
            timestamp=int(records.timestamp[dead.row]),
            reason=str(dead.reason),
            detail=dead.detail,
            key=key,
            value=value,
            key_text=_preview(key),
            value_text=_preview(value),
        )
    )


def parse_dead_letter(value: bytes) -> DeadLetterRecord:
    """Read back what ``dead_letter_record`` wrote. Raises FormatError."""
    try:
        return _decode(value)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"not a dead letter of Shoal ({error}): is this the dead-letters topic?") from error


def _preview(raw: bytes | None) -> str | None:
    try:
        return raw.decode()[:PREVIEW] if raw is not None else None
    except UnicodeDecodeError:
        return None


def coordinates(records: Records, row: int) -> bytes:
    """The key of a dead letter: where it stood. The topic is compacted by it, so that writing one twice leaves one."""
    return f"{records.topic}/{records.partition[row]}/{records.offset[row]}".encode()
