"""Vectors by text, so that each text goes through the model once."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import xxhash

from stream.encoder.interface import TextEncoder, Vectors, distinct, spread, unit
from stream.encoder.vector_store import VectorStore
from stream.errors import EncoderError


class CachedEncoder:
    """An encoder with a memory. It keeps float16: half the bytes, at a cosine of 1 - 1e-7.

    A vector that has just been made is rounded as the store rounds it, so that a text has one vector, today
    and after a restart; the same where two threads or processes make it at once. ``encoder_id`` says so: it
    ends in ``:f16``.

    Parameters
    ----------
    encoder
        What makes the vectors that are missing.
    store
        What keeps them; ``close`` closes it.

    Examples
    --------
    >>> from stream.encoder.hashing import HashingEncoder
    >>> from stream.encoder.vector_store import MemoryStore
    >>> encoder = CachedEncoder(HashingEncoder(), MemoryStore(limit=1_000_000))
    >>> first, again = encoder.encode(["shoe"]), encoder.encode(["shoe", "hat"])
    >>> bool((first[0] == again[0]).all()), encoder.hits, encoder.misses
    (True, 1, 2)
    """

    def __init__(self, encoder: TextEncoder, store: VectorStore) -> None:
        self._encoder = encoder
        self._store = store
        self._prefix = xxhash.xxh3_64_digest(self.encoder_id.encode())
        self._counting = threading.Lock()
        self.hits = 0  # distinct texts of a call that were there
        self.misses = 0  # and that were not

    @property
    def encoder_id(self) -> str:
        """The inner encoder's, with ``:f16``, as rounding changes a vector."""
        return f"{self._encoder.encoder_id}:f16"

    @property
    def dimensions(self) -> int:
        """The inner encoder's."""
        return self._encoder.dimensions

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors of ``texts``, float32 (n, d); see ``TextEncoder``.

        Raises EncoderError also when the store is damaged.
        """
        unique, index = distinct(texts)
        hashes = self.hashes(unique)
        rows = self.stored(hashes)
        missing = [i for i, row in enumerate(rows) if row is None]
        if missing:
            made = self._encoder.encode([unique[i] for i in missing]).astype(np.float16)
            standing = self.keep([hashes[i] for i in missing], [row.tobytes() for row in made])
            for i, row in zip(missing, standing, strict=True):
                rows[i] = row
        with self._counting:
            self.hits += len(unique) - len(missing)
            self.misses += len(missing)
        return spread(self.restore([row for row in rows if row is not None]), index)

    @staticmethod
    def hashes(texts: Sequence[str]) -> list[bytes]:
        """What texts are known by here, 16 bytes each: XXH3-128 of what is encoded of them."""
        return [xxhash.xxh3_128_digest(text.encode("utf-8", "replace")) for text in texts]

    def stored(self, hashes: Sequence[bytes]) -> list[bytes | None]:
        """Give the vectors of texts as they are kept, 2 d bytes each, None where there is none: none is made."""
        return self._store.get([self._prefix + text for text in hashes])

    def keep(self, hashes: Sequence[bytes], rows: Sequence[bytes]) -> list[bytes]:
        """Keep ``rows``, vectors of texts that have none yet; those that stand now. Also what another has made."""
        return self._store.add([self._prefix + text for text in hashes], rows)

    def restore(self, rows: Sequence[bytes]) -> Vectors:
        """Make unit vectors, float32 (n, d), of ``rows`` as they are kept. Raises EncoderError."""
        stored = b"".join(rows)
        if len(stored) != 2 * len(rows) * self.dimensions:
            raise EncoderError(
                "the vector cache holds rows of a wrong length: it is damaged, delete encoder.cache"
            )
        return unit(np.frombuffer(stored, np.float16).reshape(-1, self.dimensions).astype(np.float32))

    def close(self) -> None:
        """Close the store. Idempotent."""
        self._store.close()
