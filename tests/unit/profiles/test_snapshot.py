"""Profiles of a partition as a file: the same bytes come back, and what is torn is noticed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import FormatError
from stream.profiles import snapshot
from stream.profiles.layout import RowLayout, Rows
from stream.profiles.table import ProfileTable

LAYOUT = RowLayout(dimensions=4, history=3, event_ids=2, list_length=2, encoder=7, generation=1)


def some_rows(n: int) -> Rows:
    rows = LAYOUT.blank(np.arange(1, n + 1, dtype=np.uint64))
    rows["vector"] = np.random.default_rng(n).normal(size=(n, 4))
    rows["events"] = np.arange(n)
    return rows


def write(path: Path, *parts: Rows) -> None:
    header = snapshot.Header("topic", 3, 41, 1_000, snapshot.layout_code(LAYOUT))
    writer = snapshot.Writer(path, header, "w")
    try:
        for rows in parts:
            writer.add(rows)
        writer.finish()
    except OSError:
        writer.abandon()
        raise
    assert writer.size == path.stat().st_size


@pytest.mark.parametrize("n", [0, 1, 50])
def test_rows_come_back_as_they_were(tmp_path: Path, n: int) -> None:
    path, rows = tmp_path / "new" / "p3.rows", some_rows(n)
    write(path, rows[::2])
    write(path, rows[: n // 2], rows[n // 2 :])
    header, found = snapshot.read(path, LAYOUT, "topic", 3)
    assert found.tobytes() == rows.tobytes()
    assert (header.offset, header.time_ms) == (41, 1_000)
    assert [file.name for file in path.parent.iterdir()] == ["p3.rows"]
    found["events"] = 0


@pytest.mark.parametrize(
    ("topic", "partition", "layout", "word"),
    [
        ("other", 3, LAYOUT, "topic"),
        ("topic", 2, LAYOUT, "partition"),
        ("topic", 3, replace(LAYOUT, generation=2), "layout"),
        ("topic", 3, replace(LAYOUT, encoder=8), "layout"),
        ("topic", 3, replace(LAYOUT, history=4), "layout"),
    ],
)
def test_rows_of_something_else_are_refused(
    tmp_path: Path, topic: str, partition: int, layout: RowLayout, word: str
) -> None:
    write(tmp_path / "file", some_rows(5))
    with pytest.raises(FormatError, match=word):
        snapshot.read(tmp_path / "file", layout, topic, partition)


@given(st.data())
def test_damage_of_any_kind_is_noticed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("damage") / "file"
    write(path, some_rows(4))
    whole = path.read_bytes()
    kind = data.draw(st.sampled_from(["cut", "longer", "flipped"]))
    at = data.draw(st.integers(0, len(whole) - 1))
    if kind == "cut":
        path.write_bytes(whole[:at])
    elif kind == "longer":
        path.write_bytes(whole + b"x")
    else:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :])
    with pytest.raises(FormatError):
        snapshot.read(path, LAYOUT, "topic", 3)


def test_a_failure_leaves_the_file_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write(path, some_rows(3))

    def full(_: int) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        write(path, some_rows(9))
    assert len(snapshot.read(path, LAYOUT, "topic", 3)[1]) == 3
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_table_gives_and_takes_the_rows_of_a_partition() -> None:
    table, other = ProfileTable(LAYOUT), ProfileTable(LAYOUT)
    table.load(0, some_rows(3))
    table.load(1, some_rows(2))
    assert table.rows[table.rows_of(1)].tobytes() == some_rows(2).tobytes()
    other.load(0, some_rows(2))
    other.load(0, table.rows[table.rows_of(0)])
    assert len(other) == 3
    assert other.rows[other.rows_of(0)].tobytes() == table.rows[table.rows_of(0)].tobytes()
    assert len(other.rows_of(5)) == 0
    users = np.array([3, 99, 1], np.uint64)
    assert table.of_users(users, 0)["user"].tolist() == [3, 1]
    assert table.of_users(users, 1)["user"].tolist() == [1]
