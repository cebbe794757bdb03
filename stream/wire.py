"""Binary records: MessagePack with arrays, cut into parts that any broker takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from stream.errors import FormatError

FORMAT = 1
PART_BYTES = 512 * 1024  # half of Kafka's usual limit of 1 MiB a record
_ARRAY = 1  # MessagePack extension code


class _Array(msgspec.Struct, array_like=True):
    dtype: str
    shape: tuple[int, ...]
    data: bytes


def _write(value: object) -> msgspec.msgpack.Ext:
    if isinstance(value, np.ndarray):
        little = value.dtype.newbyteorder("<")
        body = _Array(little.str, value.shape, np.ascontiguousarray(value, little).tobytes())
        return msgspec.msgpack.Ext(_ARRAY, msgspec.msgpack.encode(body))
    raise TypeError(f"cannot write a {type(value).__name__}")


def _read(code: int, data: memoryview) -> object:
    if code != _ARRAY:
        raise FormatError(f"unknown extension {code} in a binary record")
    body = msgspec.msgpack.decode(data, type=_Array)
    return np.frombuffer(body.data, np.dtype(body.dtype)).reshape(body.shape).copy()


def pack(fields: Mapping[str, Any]) -> bytes:
    """Numbers, texts, lists, maps and arrays as bytes.

    Examples
    --------
    >>> unpack(pack({"n": 1, "x": np.arange(3)}))
    {'n': 1, 'x': array([0, 1, 2])}
    """
    return msgspec.msgpack.encode(fields, enc_hook=_write)


def unpack(data: bytes) -> dict[str, Any]:
    """Give what ``pack`` was given. Raises FormatError."""
    try:
        fields = msgspec.msgpack.decode(data, type=dict[str, Any], ext_hook=_read)
    # NumPy reads a damaged dtype as Python source, and deep nesting exhausts the stack.
    except (TypeError, ValueError, SyntaxError, RecursionError) as error:
        raise FormatError(f"not a binary record of Shoal's: {error}") from error
    return fields


class _Part(msgspec.Struct, array_like=True):
    format: int
    sender: str
    sequence: int
    part: int
    parts: int
    data: bytes


def split(sender: str, sequence: int, data: bytes, limit: int = PART_BYTES) -> list[bytes]:
    """Cut ``data`` into records of about ``limit`` bytes.

    ``sender`` and ``sequence`` together name it and nothing else.
    """
    parts = max(1, -(-len(data) // limit))
    return [
        msgspec.msgpack.encode(_Part(FORMAT, sender, sequence, n, parts, data[n * limit : (n + 1) * limit]))
        for n in range(parts)
    ]


@dataclass(frozen=True, slots=True)
class Whole:
    """What ``split`` was given, put together again."""

    sender: str
    sequence: int
    data: bytes


class Assembler:
    """Puts parts together, of many senders at once; each sender's arrive in order.

    Parameters
    ----------
    settled
        Offset in the log up to which all is known that is whole. A part up to there may have lost its beginning,
        which was not read: it is passed over.
    """

    def __init__(self, settled: int = -1) -> None:
        self._settled = settled
        self._parts: dict[tuple[str, int], list[bytes]] = {}
        self._since: dict[tuple[str, int], int] = {}  # offsets of first parts

    def oldest(self) -> int | None:
        """Offset of the first part of what is not whole yet; None where there is nothing."""
        return min(self._since.values(), default=None)

    def add(self, record: bytes, offset: int = 0) -> Whole | None:
        """Give the whole that ``record``, at ``offset`` of its log, completes, if it does. Raises FormatError."""
        try:
            part = msgspec.msgpack.decode(record, type=_Part)
        except ValueError as error:  # msgspec's own, or bytes that are no UTF-8
            raise FormatError(f"a record of the model log is no part of anything: {error}") from error
        if part.format != FORMAT:
            raise FormatError(f"the model log has format {part.format}; this version reads {FORMAT}")
        name = (part.sender, part.sequence)
        if part.part and name not in self._parts and offset <= self._settled:
            return None
        got = self._parts.setdefault(name, [])
        if part.part != len(got):
            raise FormatError(f"part {part.part} of {name} follows part {len(got) - 1}")
        self._since.setdefault(name, offset)
        got.append(part.data)
        if len(got) < part.parts:
            return None
        del self._since[name]
        return Whole(part.sender, part.sequence, b"".join(self._parts.pop(name)))
