"""Where the cache keeps its bytes: in memory, or in an LMDB file that several processes share.

Both keep what is there: the first value of a key stands. Both are bounded and forget the oldest entries
first. Any number of threads may use one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import lmdb

from stream.errors import EncoderError

T = TypeVar("T")
if TYPE_CHECKING:
    Txn = lmdb.Transaction[bytes]  # generic in the stubs only

FORMAT_KEY, FORMAT = b"format", b"shoal-vectors-1"

# Of the map's pages, how many may hold entries. LMDB never overwrites a page, it writes a new one: without
# room to spare a full map could not even delete.
FILL = 0.75

# Entries in one write transaction, as a part of the map's pages: each may rewrite a page of its own.
TRANSACTION_SHARE = 1 / 64


class VectorStore(Protocol):
    """Bytes by key."""

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the value of each key, None where there is none."""
        ...

    def add(self, keys: Sequence[bytes], values: Sequence[bytes]) -> list[bytes]:
        """Keep each value unless its key has one already; return the value that each key has now."""
        ...

    def close(self) -> None:
        """Give the file back. Idempotent."""
        ...


class MemoryStore:
    """In a dict, for as long as the process lives; at most ``limit`` bytes of keys and values.

    Examples
    --------
    >>> store = MemoryStore(limit=4)
    >>> store.add([b"a", b"b", b"a"], [b"1", b"2", b"3"])
    [b'1', b'2', b'1']
    >>> store.add([b"c"], [b"4"]), store.get([b"a", b"b"])
    ([b'4'], [None, b'2'])
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._values: dict[bytes, bytes] = {}
        self._lock = threading.Lock()

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See ``VectorStore``."""
        with self._lock:
            return [self._values.get(key) for key in keys]

    def add(self, keys: Sequence[bytes], values: Sequence[bytes]) -> list[bytes]:
        """See ``VectorStore``."""
        with self._lock:
            standing = []
            for key, value in zip(keys, values, strict=True):
                if key not in self._values:
                    self._size += len(key) + len(value)
                standing.append(self._values.setdefault(key, value))
            while self._size > self._limit:
                oldest = next(iter(self._values))
                self._size -= len(oldest) + len(self._values.pop(oldest))
            return standing

    def close(self) -> None:
        """Forget nothing: memory is all there is."""


class LmdbStore:
    """In an LMDB file, kept over restarts. Not for network file systems: its lock needs shared memory.

    When entries take three quarters of ``limit`` bytes, every new one pushes out the two oldest. Should LMDB
    find no room all the same (another process with a far larger limit has filled the file), values are not
    kept and ``unstored`` counts them: the cache then costs time, never correctness. After a power cut the
    file is whole; the last entries may be missing.

    Raises
    ------
    EncoderError
        Here and in every call: the file is damaged, is not such a store, or cannot be opened or written.
        Deleting it costs nothing but the time to encode again.
    """

    def __init__(self, directory: Path, limit: int) -> None:
        self._directory = directory
        self._limit = limit
        self._lock = threading.Lock()
        self.unstored = 0  # values for which there was no room
        with self._translated():
            directory.mkdir(parents=True, exist_ok=True)
            # Without metasync a commit waits for the disk once, not twice, and the file stays whole.
            self._env = lmdb.open(str(directory), map_size=limit, max_dbs=2, metasync=False)
            self._chunk = max(1, int(limit / self._env.stat()["psize"] * TRANSACTION_SHARE))
            self._env.reader_check()  # killed processes would keep old pages from being reused
            with self._env.begin(write=True) as txn:
                self._extend_file()
                self._check_format(txn)
                self._values = self._env.open_db(b"values", txn=txn)  # key -> value
                self._order = self._env.open_db(b"order", txn=txn)  # serial number -> key

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See ``VectorStore``."""
        return self._transact(lambda txn: [txn.get(key, db=self._values) for key in keys], write=False)

    def add(self, keys: Sequence[bytes], values: Sequence[bytes]) -> list[bytes]:
        """See ``VectorStore``."""
        standing: list[bytes] = []
        items = list(zip(keys, values, strict=True))
        for start in range(0, len(items), self._chunk):
            some = items[start : start + self._chunk]
            try:
                standing += self._transact(partial(self._add_some, items=some), write=True)
            except lmdb.MapFullError:
                self.unstored += len(some)
                standing += [value for _, value in some]
        return standing

    def close(self) -> None:
        """See ``VectorStore``."""
        with self._lock:
            self._env.close()

    def _add_some(self, txn: Txn, items: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        if self._is_full(txn):
            self._forget(txn, 2 * len(items))
        serial = self._next_serial(txn)
        standing = []
        for key, value in items:
            if txn.put(key, value, overwrite=False, db=self._values):
                txn.put(serial.to_bytes(8, "big"), key, append=True, db=self._order)
                serial += 1
                standing.append(value)
            else:
                standing.append(txn.get(key, default=value, db=self._values))
        return standing

    def _is_full(self, txn: Txn) -> bool:
        used = 0
        for db in (self._values, self._order):
            stat = txn.stat(db)
            pages = stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
            used += pages * stat["psize"]
        return used > FILL * self._limit

    def _forget(self, txn: Txn, count: int) -> None:
        oldest = list(islice(txn.cursor(self._order), count))
        for serial, key in oldest:
            txn.delete(serial, db=self._order)
            txn.delete(key, db=self._values)

    def _next_serial(self, txn: Txn) -> int:
        cursor = txn.cursor(self._order)
        return int.from_bytes(cursor.key(), "big") + 1 if cursor.last() else 0

    def _check_format(self, txn: Txn) -> None:
        found = txn.get(FORMAT_KEY)
        if found is None and txn.stat()["entries"] == 0:
            txn.put(FORMAT_KEY, FORMAT)
        elif found != FORMAT:
            raise EncoderError(
                f"encoder.cache {self._directory} is an LMDB file of something else: choose another directory"
            )

    def _extend_file(self) -> None:
        """Lengthen a file that was cut short, so that reading it raises an error and kills no process.

        Only inside a write transaction: then no other process is making it longer.
        """
        needed = (self._env.info()["last_pgno"] + 1) * self._env.stat()["psize"]
        path = self._directory / "data.mdb"
        if path.stat().st_size < needed:
            os.truncate(path, needed)

    def _transact(self, work: Callable[[Txn], T], *, write: bool) -> T:
        with self._lock, self._translated():
            try:
                txn = self._env.begin(write=write)
            except lmdb.MapResizedError:
                self._env.set_mapsize(0)  # another process has a larger limit: take the file as it is
                txn = self._env.begin(write=write)
            with txn:
                return work(txn)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except lmdb.MapFullError:
            raise
        except (lmdb.Error, OSError) as error:
            raise EncoderError(
                f"encoder.cache {self._directory} cannot be used: {error}. Another encoder of this "
                "process may have it open (make one and share it), it may not be writable, or it is damaged: "
                "then delete it, its vectors are made again"
            ) from error
