"""The profiles of one partition as a file: a copy on this machine, from which the changelog's tail leads on.

It is no state of record: whatever is wrong with it, the changelog has everything.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import xxhash

from stream.errors import FormatError
from stream.profiles.layout import RowLayout, Rows
from stream.wire import pack, unpack

# "shoal" and the format of the file; a change is another number. Rows have a format of their own.
MAGIC = b"shoal\x00\x00\x01"
LENGTH_BYTES = 4  # of the header, before it
DIGEST_BYTES = 8  # at the end: XXH3-64 of all before
MOST_HEADER = 64 * 1024  # bytes; a header of more is damage


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the rows."""

    topic: str  # identity of the changelog: offsets in another say nothing
    partition: int
    offset: int  # of the changelog: all before it is in the rows; they may hold some of what follows
    time_ms: int  # wall clock when that was so
    layout: int  # of the rows


def layout_code(layout: RowLayout) -> int:
    """Tell layouts apart: fields and their order, encoder, generation, and the row's format."""
    first = layout.blank(np.zeros(1, np.uint64))["format"]
    parts = (layout.dtype.descr, layout.encoder, layout.generation, first.tolist())
    return xxhash.xxh3_64_intdigest(repr(parts).encode())


class Writer:
    """Writes a file row by row, in place of what ``path`` holds, when it is finished.

    Readers see the old file or the whole new one, after a power cut too. All methods raise OSError; the old file stays
    then. ``who`` tells writers of one machine apart, two of whom may have had the partition.
    """

    def __init__(self, path: Path, header: Header, who: str) -> None:
        self._path = path
        self._unfinished = path.with_name(f"{path.name}{_unfinished(who)}")
        self._digest = xxhash.xxh3_64()
        self.size = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._unfinished.open("wb")
        packed = pack(asdict(header))
        self._write(MAGIC + len(packed).to_bytes(LENGTH_BYTES, "little") + packed)

    def add(self, rows: Rows) -> None:
        """Write ``rows``, each user's once."""
        self._write(_bytes(np.ascontiguousarray(rows)))

    def finish(self) -> None:
        """Put the file in its place, to last."""
        self._write(self._digest.digest())
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._unfinished.replace(self._path)
        _sync(self._path.parent)

    def abandon(self) -> None:
        """Leave no trace."""
        self._file.close()
        self._unfinished.unlink(missing_ok=True)

    def _write(self, data: bytes | memoryview) -> None:
        self._digest.update(data)
        self._file.write(data)
        self.size += len(data)


def tidy(directory: Path, name: str, who: str) -> int:
    """Take away what ``who`` has left unfinished of files whose names begin with ``name``; how many these were.

    To be called where no other process of that name writes any more. Raises OSError.
    """
    left = [
        path
        for path in (directory.iterdir() if directory.is_dir() else ())
        if path.name.startswith(name) and path.name.endswith(_unfinished(who))
    ]
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)


def _unfinished(who: str) -> str:
    return f".{who}.unfinished"


def _bytes(rows: Rows) -> memoryview:
    """Give the bytes of ``rows`` without a copy."""
    return rows.view(np.uint8).data.cast("B")


def _sync(directory: Path) -> None:
    """Make the renaming of a file in ``directory`` last."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path, layout: RowLayout, topic: str, partition: int) -> tuple[Header, Rows]:
    """Give header and rows, which may be changed.

    Raises
    ------
    FormatError
        If the file is torn, or of another changelog, partition or layout.
    OSError
        If there is none, or it cannot be read.
    """
    with path.open("rb") as file:
        start, header = _read_header(file)
        wanted: Mapping[str, Any] = {"topic": topic, "partition": partition, "layout": layout_code(layout)}
        for name, value in wanted.items():
            if getattr(header, name) != value:
                raise FormatError(f"it is of another {name}")
        left = os.fstat(file.fileno()).st_size - file.tell() - DIGEST_BYTES
        if left < 0 or left % layout.dtype.itemsize:
            raise FormatError("it was not written to its end")
        rows = np.fromfile(file, layout.dtype, left // layout.dtype.itemsize)
        digest = xxhash.xxh3_64(start)
        digest.update(_bytes(rows))
        if file.read() != digest.digest():
            raise FormatError("its bytes are not those that were written")
    return header, rows


def _read_header(file: BinaryIO) -> tuple[bytes, Header]:
    start = file.read(len(MAGIC) + LENGTH_BYTES)
    size = int.from_bytes(start[len(MAGIC) :], "little")
    if not start.startswith(MAGIC) or len(start) < len(MAGIC) + LENGTH_BYTES or size > MOST_HEADER:
        raise FormatError("it is no snapshot of profiles in this format")
    packed = file.read(size)
    try:
        return start + packed, Header(**unpack(packed))
    except TypeError as error:
        raise FormatError(f"its header is damaged ({error})") from error
