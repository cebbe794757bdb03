"""The profiles of the partitions at hand: one growing array of rows, with before-images during a commit."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from stream.hashing import HashIndex, mix
from stream.profiles.layout import RowLayout, Rows


class ProfileTable:
    """Rows by user and partition.

    A user whose events come in several partitions has a profile in each: the partition's row is written to
    the same partition of the changelog, and whoever holds the partition must find in it all that it needs.

    Changes are made between ``begin`` and ``commit`` or ``rollback``; the latter brings every row back, byte
    for byte.
    """

    def __init__(self, layout: RowLayout) -> None:
        self.layout = layout
        self.rows: Rows = layout.blank(np.empty(0, np.uint64))
        self._partition = np.empty(0, np.int32)
        self._index = HashIndex()
        self._before: tuple[npt.NDArray[np.int64], Rows] | None = None
        self._n_before = 0
        self._open = False

    def __len__(self) -> int:
        return len(self._index)

    def begin(self) -> None:
        """Start a commit's changes."""
        assert not self._open, "begin inside begin"
        self._open = True
        self._n_before = len(self)
        self._before = None

    def gather(
        self, users: npt.NDArray[np.uint64], partitions: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.int64]:
        """Rows of distinct ``users`` (m,) of ``partitions`` (m,), int64 (m,); blank ones for the unknown.

        Their before-images are kept: called once between ``begin`` and its end.
        """
        assert self._open, "gather outside of begin"
        assert self._before is None, "gather twice after one begin"
        rows = self._rows_of(users, partitions)
        old = rows[rows < self._n_before]
        self._before = (old, self.rows[old])
        return rows

    def peek(self, users: npt.NDArray[np.uint64], partitions: npt.NDArray[np.int32]) -> Rows:
        """Copy the rows of ``users`` (m,) of ``partitions`` (m,), blank ones for the unknown."""
        rows = self._index.find(mix(users, partitions.astype(np.uint64)))
        known = rows >= 0
        copies = self.layout.blank(users)
        copies[known] = self.rows[rows[known]]
        return copies

    def commit(self) -> None:
        """Keep the changes."""
        assert self._open
        self._open = False
        self._before = None

    def rollback(self) -> None:
        """Undo the changes."""
        assert self._open
        self._open = False
        if self._before is not None:
            old, images = self._before
            self.rows[old] = images
            self._before = None
        if len(self) > self._n_before:
            self._keep(np.arange(self._n_before))

    def settle(self) -> None:
        """Undo changes that nobody has kept, if there are any."""
        if self._open:
            self.rollback()

    def keys(self, rows: npt.NDArray[np.int64]) -> list[bytes | None]:
        """Changelog keys of ``rows``: 8 bytes of the user's hash."""
        raw = self.rows["user"][rows].astype(">u8").tobytes()
        return [raw[i : i + 8] for i in range(0, len(raw), 8)]

    def serialise(self, rows: npt.NDArray[np.int64]) -> list[bytes | None]:
        """Changelog values of ``rows``."""
        raw = self.rows[rows].tobytes()
        size = self.layout.dtype.itemsize
        return [raw[i : i + size] for i in range(0, len(raw), size)]

    def restore(self, partition: int, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> None:
        """Take in changelog records of ``partition``; a later one of a key replaces an earlier one.

        Raises FormatError, as ``RowLayout.decode``, and changes nothing then.
        """
        assert not self._open, "restore inside begin"
        latest = dict(zip(keys, values, strict=True))
        rows = self.layout.decode([value for value in latest.values() if value is not None])
        gone = np.array(
            [int.from_bytes(k, "big") for k, v in latest.items() if v is None and k is not None], np.uint64
        )
        at = self._rows_of(rows["user"].astype(np.uint64), np.full(len(rows), partition, np.int32))
        self.rows[at] = rows
        if len(gone):
            dead = (self._partition[: len(self)] == partition) & np.isin(self.rows["user"][: len(self)], gone)
            self._keep(np.flatnonzero(~dead))

    def load(self, partition: int, rows: Rows) -> None:
        """Take in ``rows`` (m,) of distinct users of ``partition``; they replace those of the same users."""
        assert not self._open, "load inside begin"
        self._reserve(len(self) + len(rows))
        at = self._rows_of(rows["user"].astype(np.uint64), np.full(len(rows), partition, np.int32))
        self.rows[at] = rows

    def rows_of(self, partition: int) -> npt.NDArray[np.int64]:
        """Rows of the users of ``partition``, int64 (m,); good until rows are taken out."""
        return np.flatnonzero(self._partition[: len(self)] == partition)

    def of_users(self, users: npt.NDArray[np.uint64], partition: int) -> Rows:
        """Copy the rows of those of ``users`` (m,) who are in ``partition``."""
        rows = self._index.find(mix(users, np.full(len(users), partition, np.uint64)))
        copies: Rows = self.rows[rows[rows >= 0]]
        return copies

    def drop(self, partitions: Sequence[int]) -> None:
        """Forget the rows of ``partitions``."""
        assert not self._open, "drop inside begin"
        self._keep(np.flatnonzero(~np.isin(self._partition[: len(self)], partitions)))

    def idle(self, ttl_ms: int) -> npt.NDArray[np.int64]:
        """Rows of users who have done nothing for ``ttl_ms`` before the newest event of their partition."""
        time = self.rows["time"][: len(self)]
        partition = self._partition[: len(self)]
        newest = np.full(int(partition.max(initial=-1)) + 1, np.iinfo(np.int64).min)
        np.maximum.at(newest, partition, time)
        return np.flatnonzero(time < newest[partition] - ttl_ms)

    def partitions(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """The partition of each of ``rows`` (m,), int32 (m,)."""
        return self._partition[rows]

    def split_users(self, rows: npt.NDArray[np.int64], partitions: Collection[int]) -> int:
        """How many users of ``rows`` (m,) have a new one, since ``begin``, and a row in another of ``partitions``."""
        fresh = rows[rows >= self._n_before]
        users = self.rows["user"][fresh].astype(np.uint64)
        elsewhere = np.zeros(len(fresh), np.bool_)
        for partition in partitions:
            there = self._index.find(mix(users, np.full(len(users), partition, np.uint64)))
            elsewhere |= (there >= 0) & (self._partition[fresh] != partition)
        return len(np.unique(users[elsewhere]))

    def forget(self, rows: npt.NDArray[np.int64]) -> None:
        """Drop ``rows``; those that are left move up."""
        assert not self._open, "forget inside begin"
        if not len(rows):  # as after nearly every commit: the rest need not move
            return
        kept = np.ones(len(self), np.bool_)
        kept[rows] = False
        self._keep(np.flatnonzero(kept))

    def _rows_of(
        self, users: npt.NDArray[np.uint64], partitions: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.int64]:
        n = len(self)
        rows = self._index.insert(mix(users, partitions.astype(np.uint64)))
        if len(self) > n:
            self._reserve(len(self))
            fresh = rows >= n
            self.rows[rows[fresh]] = self.layout.blank(users[fresh])
            self._partition[rows[fresh]] = partitions[fresh]
        return rows

    def _reserve(self, n: int) -> None:
        if n > len(self.rows):
            size = max(n, 2 * len(self.rows), 1024)
            self.rows, self._partition = (
                np.concatenate([old, np.zeros(size - len(old), old.dtype)])
                for old in (self.rows, self._partition)
            )

    def _keep(self, rows: npt.NDArray[np.int64]) -> None:
        """Leave only ``rows``, in their order, and give memory back."""
        self.rows = self.rows[rows]
        self._partition = self._partition[rows]
        self._index = HashIndex(max(1024, len(rows)))
        self._index.insert(mix(self.rows["user"].astype(np.uint64), self._partition.astype(np.uint64)))
