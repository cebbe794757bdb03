from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import lmdb
import numpy as np
import pytest

from stream.encoder.vector_store import LmdbStore, MemoryStore, VectorStore
from stream.errors import EncoderError

MB = 1 << 20
StartPython = Callable[..., subprocess.Popen[str]]

ROWS = """
import pathlib, sys
import numpy as np
from stream.encoder.vector_store import LmdbStore
from stream.errors import EncoderError

def rows(n, start=0, size=768):
    rng = np.random.default_rng(start)
    keys = [rng.bytes(16) + i.to_bytes(8, "big") for i in range(start, start + n)]
    return keys, [(key * (size // 24 + 1))[:size] for key in keys]

"""
WRITE = (
    ROWS
    + """
store = LmdbStore(pathlib.Path(sys.argv[1]), int(sys.argv[2]))
start, n = int(sys.argv[3]), int(sys.argv[4])
keys, values = rows(n, start)
for i in range(0, n, 100):
    store.add(keys[i : i + 100], values[i : i + 100])
"""
)
READ = (
    ROWS
    + """
keys, values = rows(5_000)
try:
    found = LmdbStore(pathlib.Path(sys.argv[1]), 16 << 20).get(keys)
    print("whole" if found == values else "wrong")
except EncoderError as error:
    print(error)
"""
)


@pytest.fixture(params=["memory", "lmdb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> VectorStore:
    return MemoryStore(16 * MB) if request.param == "memory" else LmdbStore(tmp_path / "cache", 16 * MB)


def rows(n: int, start: int = 0, size: int = 768) -> tuple[list[bytes], list[bytes]]:
    """Keys spread like hashes, and values that tell their key; the same as in ``ROWS``."""
    rng = np.random.default_rng(start)
    keys = [rng.bytes(16) + i.to_bytes(8, "big") for i in range(start, start + n)]
    return keys, [(key * (size // 24 + 1))[:size] for key in keys]


def test_what_was_added_is_found(store: VectorStore) -> None:
    keys, values = rows(300)
    assert store.get(keys) == [None] * 300
    assert store.add(keys, values) == values
    assert store.get([*keys[::-1], b"?" * 24]) == [*values[::-1], None]
    assert store.get([]) == store.add([], []) == []


def test_the_first_value_stands(store: VectorStore) -> None:
    keys, values = rows(2)
    store.add(keys[:1], values[:1])
    assert store.add([keys[1], keys[0], keys[1]], [b"b", b"c", b"d"]) == [b"b", values[0], b"b"]
    assert store.get(keys) == [values[0], b"b"]


def test_a_full_store_forgets_the_oldest(store: VectorStore) -> None:
    total = 60_000  # about three times what there is room for
    keys, values = rows(total)
    for start in range(0, total, 3_000):
        end = start + 3_000
        assert store.add(keys[start:end], values[start:end]) == values[start:end]
    found = store.get(keys)
    kept = np.array([value is not None for value in found])
    assert kept[-5_000:].all()
    assert not kept[:30_000].any()
    assert all(value in (None, expected) for value, expected in zip(found, values, strict=True))
    assert getattr(store, "unstored", 0) == 0


def test_a_file_outlives_its_store(tmp_path: Path) -> None:
    keys, values = rows(10)
    first = LmdbStore(tmp_path, 16 * MB)
    first.add(keys, values)
    first.close()
    first.close()
    assert LmdbStore(tmp_path, 16 * MB).get(keys) == values


def test_processes_share_a_file(tmp_path: Path, start_python: StartPython) -> None:
    store = LmdbStore(tmp_path, 16 * MB)
    writers = [start_python(WRITE, tmp_path, 16 * MB, i * 1_000, 500) for i in range(2)]
    own_keys, own_values = rows(500, 5_000)
    store.add(own_keys, own_values)
    for writer in writers:
        assert writer.communicate(timeout=60) == ("", "")
    for start in (0, 1_000, 5_000):
        keys, values = rows(500, start)
        assert store.get(keys) == values


def test_another_process_with_a_larger_limit(tmp_path: Path, start_python: StartPython) -> None:
    store = LmdbStore(tmp_path, 16 * MB)
    assert start_python(WRITE, tmp_path, 64 * MB, 0, 30_000).communicate(timeout=60) == ("", "")
    keys, values = rows(30_000)
    assert store.get(keys[-100:]) == values[-100:]
    new_keys, new_values = rows(200, 50_000)
    assert store.add(new_keys, new_values) == new_values  # kept or not
    assert all(
        value in (None, expected) for value, expected in zip(store.get(new_keys), new_values, strict=True)
    )


def test_no_room_costs_the_cache_not_the_caller(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path, 1 * MB)
    assert store.add([b"key"], [bytes(2 * MB)]) == [bytes(2 * MB)]
    assert store.unstored == 1
    assert store.add([b"key"], [b"small"]) == store.get([b"key"]) == [b"small"]


def test_random_bytes_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(os.urandom(100_000))
    with pytest.raises(EncoderError, match="delete it"):
        LmdbStore(tmp_path, 16 * MB)


def test_a_foreign_file_is_left_alone(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path)) as other, other.begin(write=True) as txn:
        txn.put(b"someone", b"else")
    with pytest.raises(EncoderError, match="something else"):
        LmdbStore(tmp_path, 16 * MB)
    with lmdb.open(str(tmp_path)) as other, other.begin() as txn:
        assert list(txn.cursor()) == [(b"someone", b"else")]


@pytest.mark.parametrize("part", [0.02, 0.5, 0.95])
def test_a_file_cut_short_is_an_error_and_no_crash(
    tmp_path: Path, part: float, start_python: StartPython
) -> None:
    keys, values = rows(5_000)
    store = LmdbStore(tmp_path, 16 * MB)
    store.add(keys, values)
    store.close()
    file = tmp_path / "data.mdb"
    os.truncate(file, int(file.stat().st_size * part))
    reader = start_python(READ, tmp_path)
    out, err = reader.communicate(timeout=60)
    assert (reader.returncode, err) == (0, "")
    assert "delete it" in out


def test_a_place_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EncoderError, match=r"encoder\.cache"):
        LmdbStore(tmp_path / "file" / "cache", 16 * MB)


def test_opening_a_file_twice_says_to_share(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path, 16 * MB)
    with pytest.raises(EncoderError, match="make one and share it"):
        LmdbStore(tmp_path, 16 * MB)
    store.close()
    with pytest.raises(EncoderError):
        store.get([b"key"])
