"""Followers of the logs that every worker reads whole: the model's and the catalogue's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import structlog

from consumers.poison import Poison, is_blameless
from stream.broker.interface import Broker, Records
from stream.broker.topics import Topics
from stream.catalogue import Catalogue
from stream.clock import Clock
from stream.encoder import TextEncoder
from stream.entries import Entry, decode_entry, encode_entry
from stream.events.batch import DeadLetter
from stream.events.dead_letters import dead_letter_record
from stream.events.items import decode_items
from stream.events.reasons import Reason
from stream.model import Model
from stream.wire import Assembler, split

log = structlog.get_logger()

# Records read at a time; a part of a delta is at most 512 KiB, so this bounds what is in memory.
READ_RECORDS = 500
# Items whose records are kept, at a start, until they are encoded together: fewer make batches with more padding, more
# are memory, of some hundred bytes to some KB each.
ENCODED_AT_ONCE = 8_192
# With no record of a log for so long, though there must be one, its broker is taken to be away.
SILENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Logged:
    """An entry, and where it stands in the model log."""

    offset: int  # of its last part
    sender: str
    sequence: int  # of the sender's entries
    entry: Entry

    @property
    def instance(self) -> str:
        """Name of the worker that wrote it; the rest of ``sender`` tells its processes apart."""
        return self.sender.rpartition("/")[0]


class EntryReader:
    """Reads the entries of the model log: all of them, or those that a snapshot does not hold.

    Parameters
    ----------
    start, version
        Where the snapshot says to read on, and its version; entries up to that are left out.

    Raises
    ------
    OffsetOutOfRange
        If the log does not hold ``start``: it was trimmed.
    """

    def __init__(self, broker: Broker, topics: Topics, start: int = 0, version: int = -1) -> None:
        self._reader = broker.reader(topics.model_updates.name, {0: start})
        self._version = version
        self._assembler = Assembler(settled=version)

    def read_to_end(self) -> Iterator[Logged]:
        """Yield all that stands in the log now. Raises BrokerUnavailable, FormatError."""
        for records in self._reader.read_to_end(SILENCE_S):
            yield from self._entries(records)

    def read(self, timeout: float) -> tuple[bool, list[Logged]]:
        """Whether anything has come, waiting up to ``timeout`` seconds for it, and the entries that are whole by it."""
        records = self._reader.read(READ_RECORDS, timeout)
        return len(records) > 0, list(self._entries(records))

    def lag(self) -> int:
        """See ``Reader.lag``."""
        return self._reader.lag()

    def start_after(self, version: int) -> int:
        """Where somebody who has folded up to ``version``, as the owner of this has, would have to read on."""
        oldest = self._assembler.oldest()
        return version + 1 if oldest is None else min(oldest, version + 1)

    def close(self) -> None:
        """Give connections back."""
        self._reader.close()

    def _entries(self, records: Records) -> Iterator[Logged]:
        for offset, value in zip(records.offset.tolist(), records.values, strict=True):
            whole = self._assembler.add(value or b"", offset)
            if whole is not None and offset > self._version:
                yield Logged(offset, whole.sender, whole.sequence, decode_entry(whole.data))


class ModelFollower:
    """Folds the model log into a model, from where its snapshot says to read on."""

    def __init__(self, broker: Broker, topics: Topics, model: Model, start: int = 0) -> None:
        self.model = model
        self._entries = EntryReader(broker, topics, start, model.version)
        self._seen: dict[str, int] = {}  # last sequence folded, by sender

    def catch_up(self) -> None:
        """Fold all that stands in the log now. Raises BrokerUnavailable, FormatError."""
        for logged in self._entries.read_to_end():
            self._fold(logged)

    def poll(self, timeout: float) -> bool:
        """Fold what has come, waiting up to ``timeout`` seconds for it; whether anything had."""
        came, entries = self._entries.read(timeout)
        for logged in entries:
            self._fold(logged)
        return came

    def lag(self) -> int:
        """How many offsets of the log are not folded yet, open transactions included, as far as is known."""
        return self._entries.lag()

    def start(self) -> int:
        """Where a model that is as this one now has to read on."""
        return self._entries.start_after(self.model.version)

    def has(self, sender: str, sequence: int) -> bool:
        """Whether ``sender``'s entry ``sequence`` is folded; of a sender's entries -1 comes before the first."""
        return self._seen.get(sender, -1) >= sequence

    def wait_for(self, sender: str, sequence: int, clock: Clock, patience: float) -> bool:
        """Fold until ``sender``'s entry ``sequence`` is in, for at most ``patience`` seconds; whether it is."""
        deadline = clock.monotonic() + patience
        while not self.has(sender, sequence):
            left = deadline - clock.monotonic()
            if left <= 0:
                return False
            self.poll(left)
        return True

    def _fold(self, logged: Logged) -> None:
        self.model.fold(logged.offset, logged.entry)
        self._seen[logged.sender] = logged.sequence

    def close(self) -> None:
        """Give connections back."""
        self._entries.close()


class EntryWriter:
    """Numbers what one process writes into the model log, so that it knows its own entries again."""

    def __init__(self, sender: str) -> None:
        self.sender = sender
        self.sequence = -1

    def parts(self, entry: Entry) -> list[bytes | None]:
        """The records that make up ``entry``."""
        self.sequence += 1
        return list(split(self.sender, self.sequence, encode_entry(entry)))


class CatalogueFollower:
    """Keeps the catalogue as the items topic has it, with a vector for each text.

    An item on whose text the encoder raises stays in the catalogue without a vector, on every worker, since whether it
    does is a matter of that text alone: it is encoded by itself before it is refused. ``poison`` counts these.
    """

    def __init__(
        self, broker: Broker, topics: Topics, catalogue: Catalogue, encoder: TextEncoder, poison: Poison
    ) -> None:
        self.catalogue = catalogue
        self.encoded = 0  # texts, up to now
        # Of items that could not be read or encoded, by their place, until the learner writes them.
        self.dead_letters: dict[bytes, bytes] = {}
        self._encoder, self._poison = encoder, poison
        self._reader = broker.reader(topics.items.name, "earliest")
        self._stood: dict[
            int, tuple[Records, int]
        ] = {}  # where the entries of rows stood that may be pending

    def catch_up(self) -> None:
        """Take in all items that are there now. Raises BrokerUnavailable, EncoderError, ProcessingFailed."""
        for records in self._reader.read_to_end(SILENCE_S):
            self._apply(records)
            if len(self._stood) >= ENCODED_AT_ONCE:
                self._encode_pending()
        self._encode_pending()

    def poll(self) -> None:
        """Take in what has come; does not wait for more. Raises as ``catch_up``."""
        records = self._reader.read(READ_RECORDS, 0.0)
        if len(records):
            self._apply(records)
            self._encode_pending()

    def close(self) -> None:
        """Give connections back."""
        self._reader.close()

    def _apply(self, records: Records) -> None:
        decoded = decode_items(records)
        rows = self.catalogue.upsert(decoded.items)
        self.catalogue.remove(decoded.removed)
        for row, item, at in zip(rows.tolist(), decoded.items, decoded.rows, strict=True):
            if self.catalogue.item(row) is item:  # no newer one is in force
                self._stood[row] = records, at
        for letter in decoded.dead:
            self._refuse(records, letter)

    def _encode_pending(self) -> None:
        pending = self.catalogue.pending()
        if len(pending):
            self._encode(pending)
        self._stood.clear()

    def _encode(self, rows: npt.NDArray[np.int64], again: bool = True) -> None:
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
                self._leave_without_vector(rows, failure)

    def _leave_without_vector(self, rows: npt.NDArray[np.int64], failure: Exception) -> None:
        records, at = self._stood[int(rows[0])]
        self.catalogue.leave_without_vectors(rows)
        detail = self._poison.note(records, at, failure)
        self._refuse(records, DeadLetter(at, Reason.PROCESSING_FAILED, detail))

    def _refuse(self, records: Records, letter: DeadLetter) -> None:
        self.dead_letters[coordinates(records, letter.row)] = dead_letter_record(records, letter)
        log.warning("item refused", offset=int(records.offset[letter.row]), reason=letter.reason)


def coordinates(records: Records, row: int) -> bytes:
    """The key of a dead letter: where it stood. The topic is compacted by it, so that writing one twice leaves one."""
    return f"{records.topic}/{records.partition[row]}/{records.offset[row]}".encode()
