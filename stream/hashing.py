"""64-bit ids of texts, and an index from such ids to dense rows that works on whole arrays."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import xxhash
from numba import njit

GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads consecutive ids over the table (Knuth)
EMPTY = np.int64(-1)


def hash_text(text: str) -> int:
    """Give the id of a text: XXH3-64 of its UTF-8 bytes, never 0, which stands for "none".

    Examples
    --------
    >>> hash_text("user-1") == hash_text("user-1") != hash_text("user-2")
    True
    """
    return xxhash.xxh3_64_intdigest(text.encode()) or 1


def hash_bytes(data: bytes) -> int:
    """XXH3-64 of ``data``: to know the same bytes again."""
    return xxhash.xxh3_64_intdigest(data)


def hash_texts(texts: Iterable[str | None]) -> npt.NDArray[np.uint64]:
    """Ids of texts, uint64 (n,); 0 for None."""
    digest = xxhash.xxh3_64_intdigest
    return np.array([0 if t is None else digest(t.encode()) or 1 for t in texts], np.uint64)


def action_code(name: str) -> int:
    """Give a stable 16-bit code of an action's name, never 0: what state rows hold of it."""
    return xxhash.xxh3_64_intdigest(name.encode()) % 65_535 + 1


@njit(cache=True)
def mix(keys, salts):  # type: ignore[no-untyped-def]
    """Scramble uint64 ``keys`` (n,) with ``salts`` (n,): SplitMix64's finaliser (Steele et al., 2014)."""
    out = np.empty_like(keys)
    for i in range(len(keys)):
        x = keys[i] + salts[i] * GOLDEN
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        out[i] = x ^ (x >> np.uint64(31))
    return out


@njit(cache=True)
def _find(slots, keys, wanted, out):  # type: ignore[no-untyped-def]
    mask = np.uint64(len(slots) - 1)
    for i in range(len(wanted)):
        key = wanted[i]
        h = (key * GOLDEN) >> np.uint64(20) & mask
        out[i] = -1
        while slots[h] >= 0:
            if keys[slots[h]] == key:
                out[i] = slots[h]
                break
            h = (h + np.uint64(1)) & mask


@njit(cache=True)
def _insert(slots, keys, n, wanted, out):  # type: ignore[no-untyped-def]
    mask = np.uint64(len(slots) - 1)
    for i in range(len(wanted)):
        key = wanted[i]
        h = (key * GOLDEN) >> np.uint64(20) & mask
        while slots[h] >= 0 and keys[slots[h]] != key:
            h = (h + np.uint64(1)) & mask
        if slots[h] < 0:
            slots[h] = n
            keys[n] = key
            n += 1
        out[i] = slots[h]
    return n


def distinct(keys: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Give what ``np.unique(keys, return_inverse=True)`` gives, and sort only what is different.

    Examples
    --------
    >>> distinct(np.array([7, 9, 7, 3], np.uint64))
    (array([3, 7, 9], dtype=uint64), array([1, 2, 1, 0]))
    """
    index = HashIndex(max(1, len(keys)))
    codes = index.insert(keys)
    order = np.argsort(index.keys)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return index.keys[order], rank[codes]


class HashIndex:
    """Gives every distinct uint64 key a row: 0, 1, 2 ... in order of first appearance.

    Open addressing, linear probing.

    Examples
    --------
    >>> index = HashIndex()
    >>> index.insert(np.array([7, 9, 7], np.uint64))
    array([0, 1, 0])
    >>> index.find(np.array([9, 8], np.uint64))
    array([ 1, -1])
    """

    def __init__(self, capacity: int = 1024) -> None:
        self._keys = np.zeros(capacity, np.uint64)
        self._slots = np.full(self._table_size(capacity), EMPTY, np.int64)
        self._n = 0

    @staticmethod
    def _table_size(rows: int) -> int:
        # At most half full, or linear probing degenerates.
        return 1 << int(2 * rows - 1).bit_length()

    def __len__(self) -> int:
        return self._n

    @property
    def keys(self) -> npt.NDArray[np.uint64]:
        """The keys by row, uint64 (n,); a view."""
        return self._keys[: self._n]

    def find(self, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """Rows of ``keys`` (m,), -1 where a key is unknown."""
        out = np.empty(len(keys), np.int64)
        _find(self._slots, self._keys, keys, out)
        return out

    def insert(self, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """Rows of ``keys`` (m,), new ones for those unknown."""
        self._reserve(self._n + len(keys))
        out = np.empty(len(keys), np.int64)
        self._n = int(_insert(self._slots, self._keys, self._n, keys, out))
        return out

    def state(self) -> npt.NDArray[np.uint64]:
        """The keys by row, (n,): what ``from_state`` takes."""
        return self.keys.copy()

    @classmethod
    def from_state(cls, keys: npt.NDArray[np.uint64]) -> HashIndex:
        """Make an index with ``keys`` (n,), all different, in rows 0 .. n-1."""
        index = cls(max(1024, len(keys)))
        index.insert(keys)
        return index

    def _reserve(self, rows: int) -> None:
        if rows > len(self._keys):
            grown = np.zeros(max(rows, 2 * len(self._keys)), np.uint64)
            grown[: self._n] = self.keys
            self._keys = grown
        if self._table_size(rows) > len(self._slots):
            self._rebuild(self._table_size(len(self._keys)))

    def _rebuild(self, size: int) -> None:
        self._slots = np.full(size, EMPTY, np.int64)
        keys = self.keys.copy()
        _insert(self._slots, self._keys, 0, keys, np.empty(len(keys), np.int64))
