from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from stream.errors import InputError
from stream.events.mapping import Source
from stream.events.tables import read_table

CSV = b'id,name\n007,"Lamp, red"\n8,\n'


def write(folder: Path, raw: bytes, name: str = "log") -> Path:
    path = folder / name
    path.write_bytes(raw)
    return path


def tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, raw in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            archive.addfile(info, io.BytesIO(raw))
    return out.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, raw in files.items():
            archive.writestr(name, raw)
    return out.getvalue()


@pytest.mark.parametrize("compress", [bytes, gzip.compress, lzma.compress, bz2.compress])
def test_compression_is_known_by_the_first_bytes(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    table = read_table(write(tmp_path, compress(CSV)), Source())
    assert table["id"].to_list() == ["007", "8"]
    assert table["name"].to_list() == ["Lamp, red", None]
    assert table["row"].to_list() == [0, 1]
    assert table["file"].to_list() == ["log", "log"]


@pytest.mark.parametrize("pack", [tar, zipped, lambda files: gzip.compress(tar(files))])
def test_members_of_an_archive_are_read_in_the_order_of_names(
    tmp_path: Path, pack: Callable[[dict[str, bytes]], bytes]
) -> None:
    path = write(tmp_path, pack({"d/b.csv": b"id\n2\n", "d/a.csv": b"id\n1\n", "d/read.me": b"?"}))
    table = read_table(path, Source(member="d/*.csv"))
    assert table.select("id", "row", "file").rows() == [("1", 0, "a.csv"), ("2", 0, "b.csv")]
    with pytest.raises(InputError, match=r"no member 'x\*'; there are: d/a.csv"):
        read_table(path, Source(member="x*"))
    with pytest.raises(InputError, match="several members: say which"):
        read_table(path, Source())


def test_separators_of_several_characters_and_missing_cells(tmp_path: Path) -> None:
    table = read_table(
        write(tmp_path, b"1::a::x\r\n2::b\r\n"), Source(separator="::", columns=["id", "n", "g"])
    )
    assert table.select("id", "n", "g").rows() == [("1", "a", "x"), ("2", "b", None)]
    named = read_table(write(tmp_path, b"id::n\n1::a\n"), Source(separator="::"))
    assert named.select("id", "n").rows() == [("1", "a")]


def test_a_star_takes_what_the_others_leave(tmp_path: Path) -> None:
    lines = b"d\tx\ty\te\nd\te\nd\n\nd\tx\te\n"
    table = read_table(write(tmp_path, lines), Source(format="tsv", columns=["first", "*many", "last"]))
    assert table["many"].to_list() == [["x", "y"], [], [], [], ["x"]]
    assert table["last"].to_list() == ["e", "e", None, None, "e"]
    assert table["row"].to_list() == [0, 1, 2, 3, 4]


def test_parquet_and_json_lines(tmp_path: Path) -> None:
    parquet = io.BytesIO()
    pl.DataFrame({"id": [1], "many": [["x"]]}).write_parquet(parquet)
    assert read_table(write(tmp_path, parquet.getvalue()), Source(format="parquet"))["many"].to_list() == [
        ["x"]
    ]
    lines = write(tmp_path, b'{"a": {"b": 1}}\n{"a": {"b": 2}, "row": 9}\n')
    table = read_table(lines, Source(format="ndjson"))
    assert table["a"].to_list() == [{"b": 1}, {"b": 2}]
    assert table["row"].to_list() == [None, 9]  # the file's own column


def test_encodings(tmp_path: Path) -> None:
    path = write(tmp_path, "id\nCafé\n".encode("latin-1"))
    assert read_table(path, Source(encoding="latin-1"))["id"].to_list() == ["Café"]
    with pytest.raises(InputError, match="not utf-8 at byte 6; set encoding"):
        read_table(path, Source())
    with pytest.raises(InputError, match="unknown encoding"):
        read_table(path, Source(encoding="klingon"))


@pytest.mark.parametrize(
    ("raw", "source"),
    [
        (b"\x1f\x8bnot gzip", Source()),
        (b"PK\x03\x04not zip", Source()),
        (b"\xfd7zXZ\x00", Source()),
        (b"no parquet", Source(format="parquet")),
        (b"{no json", Source(format="ndjson")),
        (b"", Source()),
    ],
)
def test_a_file_that_is_something_else(tmp_path: Path, raw: bytes, source: Source) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_table(write(tmp_path, raw), source)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read: .*No such file"):
        read_table(tmp_path / "none", Source())
