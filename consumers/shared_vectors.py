"""Vectors of the catalogue's texts, shared by all workers through the compacted topic ``item-vectors``.

Whoever holds a partition of ``items`` in the group ``encoders`` encodes what came in it and writes the vectors; all
others read them, into their cache of vectors. That cache is what makes the order of the two topics, and of two workers,
of no matter: a vector may come before its item, or after the item's text has changed; it is found by its text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import structlog

from stream.broker.interface import Broker, Publisher, Records
from stream.broker.topics import Topics
from stream.clock import Clock
from stream.encoder.cache import CachedEncoder
from stream.encoder.shared_record import SharedRecord, encoder_key, parse_shared, write_shared
from stream.errors import BrokerUnavailable, FormatError
from stream.hashing import HashIndex

log = structlog.get_logger()

Items = npt.NDArray[np.uint64]  # hashes of their ids

READ_RECORDS = 2_000  # at a time, below a KB each at 384 dimensions
# Without a record of the topic for so long, though there must be one, its broker is taken to be away.
SILENCE_S = 60.0
# Records written in one turn, of those that are owed: bounds how long the batches of events wait for it.
PAID_AT_ONCE = 8_192
# How long it is believed that the encoder raises on a text: an update that mends it takes effect so much later. Longer
# leaves items without vectors that could have some; shorter makes more workers try for themselves.
REFUSED_FOR_MS = 24 * 3_600_000


class SharedVectors:
    """What the topic has of one encoder, and what this worker still owes it. Belongs to the processing thread.

    Parameters
    ----------
    encoder
        Vectors that come go into its cache.
    held
        The partitions of ``items`` whose items this worker encodes, now.
    """

    def __init__(
        self,
        broker: Broker,
        topics: Topics,
        encoder: CachedEncoder,
        held: Callable[[], frozenset[int]],
        clock: Clock,
    ) -> None:
        self._broker, self._topic = broker, topics.item_vectors.name
        self._encoder, self._held, self._clock = encoder, held, clock
        self._prefix = encoder_key(encoder.encoder_id)
        self._reader = broker.reader(self._topic, "earliest")
        self._publisher: Publisher | None = None
        # Of which text of an item the topic has the vector: first half of its hash, 0 for none.
        self._index = HashIndex()
        self._texts = np.zeros(1024, np.uint64)
        self._refusals: dict[bytes, str] = {}  # by hash of the text
        # What the topic should have and does not, by item: hash of its text; empty, as the item is gone. They may have
        # been in the cache before the topic was there.
        self._owed: dict[int, bytes] = {}

    def catch_up(self) -> None:
        """Read all that is there now. Raises BrokerUnavailable, EncoderError."""
        for records in self._reader.read_to_end(SILENCE_S):
            self._take(records)

    def poll(self, timeout: float) -> Items:
        """Read what has come, waiting up to ``timeout`` seconds for it; the items it is of. Write what is owed."""
        heard = self._take(self._reader.read(READ_RECORDS, timeout))
        if self._owed and self._held():
            self._pay()
        return heard

    def recall(
        self, items: Items, texts: Sequence[str]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32], list[str]]:
        """Give what is known of ``texts`` (m) of ``items`` (m,).

        Returns
        -------
        tuple
            Which have a vector, bool (m,); these vectors, (f, d); and why the encoder made none of the m - f others,
            empty where nothing is known of them.
        """
        hashes = self._encoder.hashes(texts)
        rows = self._encoder.stored(hashes)
        has = self._has(items, hashes)
        for item, text, row, told in zip(items.tolist(), hashes, rows, has.tolist(), strict=True):
            if told:
                self._owed.pop(item, None)
            elif row is not None:
                self._owed[item] = text
        there = np.array([row is not None for row in rows], np.bool_)
        vectors = self._encoder.restore([row for row in rows if row is not None])
        others = [text for text, row in zip(hashes, rows, strict=True) if row is None]
        return there, vectors, [self._refusals.get(text, "") for text in others]

    def tell(self, items: Items, texts: Sequence[str]) -> None:
        """Write the vectors of ``texts`` (m) of ``items`` (m,), which were encoded here."""
        self._write(items, self._encoder.hashes(texts))

    def refuse(self, item: np.uint64, text: str, detail: str) -> None:
        """Write that the encoder raises on ``text`` of ``item``."""
        [known_by] = self._encoder.hashes([text])
        self._send(np.array([item], np.uint64), [write_shared(SharedRecord(known_by, refusal=detail))])

    def forget(self, items: Items) -> None:
        """Note that ``items`` (m,) are gone from the catalogue."""
        rows = self._index.find(items)
        for item, row in zip(items.tolist(), rows.tolist(), strict=True):
            self._owed.pop(item, None)
            if row >= 0 and self._texts[row]:
                self._owed[item] = b""

    def close(self) -> None:
        """Give connections back."""
        self._reader.close()
        if self._publisher is not None:
            self._publisher.close()

    def _take(self, records: Records) -> Items:
        """Keep what ``records`` hold of this encoder; the items of which something is new."""
        items: list[int] = []
        found: list[SharedRecord] = []
        oldest = self._clock.now_ms() - REFUSED_FOR_MS
        for key, value, written in zip(records.keys, records.values, records.timestamp.tolist(), strict=True):
            if key is None or not key.startswith(self._prefix):
                continue
            record = self._read(value)
            if record is not None and (record.vector or written > oldest):
                items.append(int.from_bytes(key[8:], "big"))
                found.append(record)
        heard, texts = np.array(items, np.uint64), [record.text for record in found]
        new = ~self._has(heard, texts)
        self._refusals |= {record.text: record.refusal for record in found if record.refusal}
        vectors = [record for record in found if record.vector]
        self._encoder.keep([r.text for r in vectors], [r.vector for r in vectors])
        self._note(heard, [record.text if record.vector else b"" for record in found])
        return heard[new]

    def _read(self, value: bytes | None) -> SharedRecord | None:
        """Give a record that can be used; a deletion has no text."""
        if value is None:
            return SharedRecord(b"")
        try:
            record = parse_shared(value)
        except FormatError as error:
            log.warning("vector left aside", topic=self._topic, reason=str(error))
            return None
        if record.vector and len(record.vector) != 2 * self._encoder.dimensions:
            log.warning("vector left aside", topic=self._topic, bytes=len(record.vector))
            return None
        return record

    def _pay(self) -> None:
        some = dict(list(self._owed.items())[:PAID_AT_ONCE])
        self._owed = dict(list(self._owed.items())[PAID_AT_ONCE:])
        gone = np.array([item for item, text in some.items() if not text], np.uint64)
        self._send(gone, [None] * len(gone))
        self._note(gone, [b""] * len(gone))
        there = {item: text for item, text in some.items() if text}
        self._write(np.array(list(there), np.uint64), list(there.values()))

    def _write(self, items: Items, texts: Sequence[bytes]) -> None:
        """Write vectors that are in the cache; one that is too small for the catalogue may have lost some by now."""
        rows = self._encoder.stored(texts)
        has = self._has(items, texts).tolist()
        new = [i for i, row in enumerate(rows) if row is not None and not has[i]]
        self._send(items[new], [write_shared(SharedRecord(texts[i], rows[i] or b"")) for i in new])
        self._note(items[new], [texts[i] for i in new])

    def _send(self, items: Items, values: Sequence[bytes | None]) -> None:
        if not len(items):
            return
        self._publisher = self._publisher or self._broker.publisher()
        keys = [self._prefix + item.to_bytes(8, "big") for item in items.tolist()]
        try:
            self._publisher.send(self._topic, keys, values)
        except BrokerUnavailable as error:
            log.warning("vectors not shared; others make their own", reason=str(error))

    def _has(self, items: Items, texts: Sequence[bytes]) -> npt.NDArray[np.bool_]:
        """Whether the topic has the vectors of ``texts`` (m hashes) of ``items`` (m,), bool (m,)."""
        rows = self._index.find(items)
        return np.asarray((rows >= 0) & (self._texts[rows] == _halves(texts)) & (_halves(texts) != 0))

    def _note(self, items: Items, texts: Sequence[bytes]) -> None:
        """Note that the topic has the vectors of ``texts`` (m hashes, empty for none) of ``items`` (m,)."""
        rows = self._index.insert(items)
        if len(self._index) > len(self._texts):
            self._texts = np.concatenate([self._texts, np.zeros(len(self._index), np.uint64)])
        self._texts[rows] = _halves(texts)


def _halves(texts: Sequence[bytes]) -> npt.NDArray[np.uint64]:
    return np.array([int.from_bytes(text[:8], "big") for text in texts], np.uint64)
