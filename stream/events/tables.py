"""Files of rows as polars frames of texts: compression, archives, separators, encodings."""

from __future__ import annotations

import bz2
import fnmatch
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import polars as pl

from stream.errors import InputError
from stream.events.mapping import Source

# How a compressed file begins, by its format's definition.
_COMPRESSIONS: dict[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": gzip.decompress,
    b"\xfd7zXZ\x00": lzma.decompress,
    b"BZh": bz2.decompress,
}


def read_table(path: Path, source: Source) -> pl.DataFrame:
    """Read all rows of ``path``, or of the members of it, as ``source`` describes them.

    Columns of csv and tsv are texts as they stand. Adds ``file`` and ``row``, unless there are such columns.
    All of it is in memory, as logs are put into the order of time. Raises InputError.
    """
    try:
        parts = [_read_part(name, raw, source) for name, raw in read_members(path, source.member)]
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{path}: cannot be read as {source.format}: {error}") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not {source.encoding} at byte {error.start}; set encoding in the mapping's source"
        ) from error
    except LookupError as error:
        raise InputError(f"{path}: {error}; set encoding in the mapping's source") from error
    return pl.concat(parts, how="diagonal_relaxed")


def read_members(path: Path, member: str | None) -> list[tuple[str, bytes]]:
    """Read names and decompressed contents: of the file itself, or of an archive's members by name.

    Raises InputError when it cannot be read, or ``member`` (a glob, needed if there are several) fits none.
    """
    try:
        raw = _decompress(path.read_bytes())
        files = _archive(raw)
    except (OSError, EOFError, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    if files is None:
        return [(path.name, raw)]
    chosen = sorted(name for name in files if fnmatch.fnmatchcase(name, member or "*"))
    if not chosen or (member is None and len(chosen) > 1):
        wanted = f"has no member {member!r}" if member else "has several members: say which in source.member"
        raise InputError(f"{path}: {wanted}; there are: {', '.join(sorted(files)[:20])}")
    return [(PurePosixPath(name).name, files[name]) for name in chosen]


def _decompress(raw: bytes) -> bytes:
    for magic, decompress in _COMPRESSIONS.items():
        if raw.startswith(magic):
            return decompress(raw)
    return raw


def _archive(raw: bytes) -> dict[str, bytes] | None:
    """Contents of the files in a zip or tar archive by name; None if ``raw`` is neither."""
    stream = io.BytesIO(raw)
    if raw.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(stream) as archive:
            return {i.filename: archive.read(i) for i in archive.infolist() if not i.is_dir()}
    if raw[257:262] == b"ustar":
        with tarfile.open(fileobj=stream) as tar:
            return {m.name: found.read() for m in tar if (found := tar.extractfile(m)) is not None}
    return None


def _read_part(name: str, raw: bytes, source: Source) -> pl.DataFrame:
    if source.format == "parquet":
        table = pl.read_parquet(io.BytesIO(raw))
    elif source.format == "ndjson":
        table = pl.read_ndjson(raw, infer_schema_length=None)
    elif source.quoted:
        table = _read_quoted(raw.decode(source.encoding).encode(), source)
    else:
        table = _read_split(raw.decode(source.encoding), source)
    if "row" not in table.columns:
        table = table.with_row_index("row")
    return table if "file" in table.columns else table.with_columns(file=pl.lit(name))


def _read_quoted(raw: bytes, source: Source) -> pl.DataFrame:
    return pl.read_csv(
        raw,
        separator=source.delimiter,
        has_header=source.columns is None,
        new_columns=source.columns,
        infer_schema=False,  # an id such as 0042 is a text
    )


def _read_split(text: str, source: Source) -> pl.DataFrame:
    """Cut lines at the separator, without quoting; a ``*`` column takes what the others leave, as a list."""
    lines = [line.rstrip("\r") for line in text.removesuffix("\n").split("\n")]
    columns = source.columns
    if columns is None:
        columns, lines = lines[0].split(source.delimiter), lines[1:]
    cells = pl.Series("cells", lines).str.split(source.delimiter)
    star = next((i for i, column in enumerate(columns) if column.startswith("*")), len(columns))
    all_cells = pl.col("cells").list
    many = (all_cells.len().cast(pl.Int64) - (len(columns) - 1)).clip(0)  # how many the list takes
    taken = [all_cells.get(i, null_on_oob=True).alias(column) for i, column in enumerate(columns[:star])]
    if star < len(columns):
        taken.append(all_cells.slice(star, many).alias(columns[star][1:]))
    taken += [
        all_cells.get(many + star + i, null_on_oob=True).alias(column)
        for i, column in enumerate(columns[star + 1 :])
    ]
    return cells.to_frame().select(taken)
