"""Follows the items topic: the catalogue as every worker has it, with a vector for each text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import structlog

from consumers.following import SILENCE_S
from consumers.poison import Poison, is_blameless
from consumers.shared_vectors import SharedVectors
from stream.broker.interface import Broker, Records
from stream.broker.topics import Topics
from stream.catalogue import Catalogue
from stream.clock import Clock
from stream.encoder import TextEncoder
from stream.encoder.cache import CachedEncoder
from stream.events.batch import DeadLetter
from stream.events.dead_letters import coordinates, dead_letter_record
from stream.events.items import decode_items
from stream.events.reasons import Reason
from stream.hashing import hash_texts

log = structlog.get_logger()

Rows = npt.NDArray[np.int64]

READ_RECORDS = 500  # at a time, while the worker runs: bounds how long batches of events wait
# Items whose records are kept, at a start, until all of them have vectors: fewer make batches with more padding, more
# are memory, of some hundred bytes to some KB each. Also the most that are encoded in one turn.
KEPT_AT_ONCE = 8_192
# How long one turn of encoding is to take: longer keeps events, and workers that wait for vectors, waiting; shorter
# makes batches with more padding.
TURN_S = 1.0
FIRST_TURN = (
    256  # texts, before it is known how long they take; on two cores a small BERT takes half a second
)
# How long a worker that starts waits between two looks for vectors of others.
LOOK_S = 0.1


class CatalogueFollower:
    """Keeps the catalogue as the items topic has it. Belongs to the processing thread.

    Texts are encoded by whoever holds their partition, ``held``, and by others where nothing is heard of their vectors
    for ``patience_s`` seconds. An encoder without a cache is one that is faster than reading vectors would be: then
    every worker encodes all.

    An item on whose text the encoder raises stays in the catalogue without a vector, on every worker, since whether it
    does is a matter of that text alone: it is encoded by itself before it is refused. ``poison`` counts these.
    """

    def __init__(
        self,
        broker: Broker,
        topics: Topics,
        catalogue: Catalogue,
        encoder: TextEncoder,
        poison: Poison,
        held: Callable[[], frozenset[int]],
        patience_s: float,
        clock: Clock,
    ) -> None:
        self.catalogue = catalogue
        self.encoded = 0  # texts, here, up to now
        # Of items that could not be read or encoded, by their place, until the learner writes them.
        self.dead_letters: dict[bytes, bytes] = {}
        self._encoder, self._poison, self._clock = encoder, poison, clock
        self._held, self._patience_s = held, patience_s
        self._shared: SharedVectors | None = None
        if isinstance(encoder, CachedEncoder):
            self._shared = SharedVectors(broker, topics, encoder, held, clock)
        self._reader = broker.reader(topics.items.name, "earliest")
        self._stood: dict[
            int, tuple[Records, int]
        ] = {}  # where the entries of rows stood that wait for a vector
        self._waits_since = clock.monotonic()  # for vectors of others; nothing of them was heard since
        self._turn = FIRST_TURN if self._shared else KEPT_AT_ONCE

    def catch_up(self) -> None:
        """Take in all items that are there now, until each has its vector.

        Raises BrokerUnavailable, EncoderError, ProcessingFailed.
        """
        if self._shared:
            self._shared.catch_up()
        for records in self._reader.read_to_end(SILENCE_S):
            self._go_on(self._apply(records))
            if len(self._stood) >= KEPT_AT_ONCE:
                self._finish()
        self._finish()

    def poll(self) -> None:
        """Take in what has come, and encode for a moment; does not wait for more. Raises as ``catch_up``."""
        records = self._reader.read(READ_RECORDS, 0.0)
        self._go_on(self._apply(records) if len(records) else np.empty(0, np.int64))
        self._encode_mine()

    def close(self) -> None:
        """Give connections back."""
        self._reader.close()
        if self._shared:
            self._shared.close()

    def _apply(self, records: Records) -> Rows:
        """Take in ``records``; the rows whose texts need vectors by them."""
        if not self._stood:
            self._waits_since = self._clock.monotonic()
        decoded = decode_items(records)
        rows = self.catalogue.upsert(decoded.items)
        self.catalogue.remove(decoded.removed)
        for row, item, at in zip(rows.tolist(), decoded.items, decoded.rows, strict=True):
            if self.catalogue.item(row) is item:  # no newer one is in force
                self._stood[row] = records, at
        for letter in decoded.dead:
            self._refuse(records, letter)
        if self._shared:
            self._shared.forget(hash_texts(decoded.removed))
        return rows[self.catalogue.is_pending(rows)]

    def _go_on(self, new: Rows, timeout: float = 0.0) -> None:
        """Give vectors that are known to ``new`` rows and to those of which others have written, for which it waits."""
        if self._shared is None:
            return
        heard = self.catalogue.rows(self._shared.poll(timeout))
        if len(heard):
            self._waits_since = self._clock.monotonic()
            new = np.union1d(new, heard[heard >= 0])
        new = new[self.catalogue.is_pending(new)]
        if not len(new):
            return
        there, vectors, refusals = self._shared.recall(
            self.catalogue.index.keys[new], self.catalogue.texts(new)
        )
        self.catalogue.set_vectors(new[there], vectors)
        for row, refusal in zip(new[~there].tolist(), refusals, strict=True):
            if refusal and row in self._stood:
                self._poison.count(*self._stood[row], refusal)
                self._leave_without_vector(row, refusal)

    def _finish(self) -> None:
        """Encode what is to be encoded here, and wait for the rest."""
        while len(self._waiting()):
            self._go_on(np.empty(0, np.int64), 0.0 if self._encode_mine() else LOOK_S)

    def _waiting(self) -> Rows:
        """Rows without a vector for their text; the others are forgotten."""
        rows = np.array(sorted(self._stood), np.int64)
        rows = rows[self.catalogue.is_pending(rows)]
        self._stood = {row: self._stood[row] for row in rows.tolist()}
        return rows

    def _encode_mine(self) -> bool:
        """Encode for a moment; whether there was anything to be encoded here."""
        rows = self._mine(self._waiting())[: self._turn]
        if not len(rows):
            return False
        began = self._clock.monotonic()
        self._encode(rows)
        if self._shared:
            told = rows[self.catalogue.has_vector[rows]]
            self._shared.tell(self.catalogue.index.keys[told], self.catalogue.texts(told))
            speed = len(rows) / max(self._clock.monotonic() - began, TURN_S / 4)
            self._turn = min(max(1, round(speed * TURN_S)), KEPT_AT_ONCE)
        return True

    def _mine(self, rows: Rows) -> Rows:
        """Those of ``rows`` that are to be encoded here."""
        if self._shared is None or not len(rows):
            return rows
        stood = [self._stood[row] for row in rows.tolist()]
        mine = rows[np.isin([records.partition[at] for records, at in stood], list(self._held()))]
        overdue = self._clock.monotonic() - self._waits_since > self._patience_s
        if overdue and len(mine) < len(rows):
            log.warning("vectors of others waited for in vain; they are made here", items=len(rows))
            return rows
        return mine

    def _encode(self, rows: Rows, again: bool = True) -> None:
        """Encode the texts of ``rows`` (m,); where the encoder raises, by halves, down to those on which it does."""
        try:
            self.catalogue.set_vectors(rows, self._encoder.encode(self.catalogue.texts(rows)))
            self.encoded += len(rows)
        except Exception as failure:
            if is_blameless(failure):
                raise
            if len(rows) > 1:
                for half in np.array_split(rows, 2):
                    self._encode(half)
            elif again:  # since not every failure repeats
                self._encode(rows, again=False)
            else:
                row = int(rows[0])
                detail = self._poison.note(*self._stood[row], failure)
                if self._shared:
                    self._shared.refuse(self.catalogue.index.keys[row], self.catalogue.text(row), detail)
                self._leave_without_vector(row, detail)

    def _leave_without_vector(self, row: int, detail: str) -> None:
        records, at = self._stood[row]
        self.catalogue.leave_without_vectors(np.array([row]))
        self._refuse(records, DeadLetter(at, Reason.PROCESSING_FAILED, detail))

    def _refuse(self, records: Records, letter: DeadLetter) -> None:
        self.dead_letters[coordinates(records, letter.row)] = dead_letter_record(records, letter)
        log.warning("item refused", offset=int(records.offset[letter.row]), reason=letter.reason)
