"""Followers of the logs that every worker reads whole: the model's and the catalogue's."""

from __future__ import annotations

import structlog

from stream.broker.interface import Broker, Records
from stream.broker.topics import Topics
from stream.catalogue import Catalogue
from stream.clock import Clock
from stream.entries import Entry, decode_entry, encode_entry
from stream.events.dead_letters import dead_letter_record
from stream.events.items import decode_items
from stream.model import Model
from stream.wire import Assembler, split

log = structlog.get_logger()

# Records read at a time; a part of a delta is at most 512 KiB, so this bounds what is in memory.
READ_RECORDS = 500
# With no record of a log for so long, though there must be one, its broker is taken to be away.
SILENCE_S = 60.0


class ModelFollower:
    """Folds the model log into a model."""

    def __init__(self, broker: Broker, topics: Topics, model: Model) -> None:
        self.model = model
        self._reader = broker.reader(topics.model_updates.name, "earliest")
        self._assembler = Assembler()
        self._seen: dict[str, int] = {}  # last sequence folded, by sender

    def catch_up(self) -> None:
        """Fold all that stands in the log now. Raises BrokerUnavailable, FormatError."""
        for records in self._reader.read_to_end(SILENCE_S):
            self._fold(records.offset.tolist(), records.values)

    def poll(self, timeout: float) -> bool:
        """Fold what has come, waiting up to ``timeout`` seconds for it; whether anything had."""
        records = self._reader.read(READ_RECORDS, timeout)
        self._fold(records.offset.tolist(), records.values)
        return len(records) > 0

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

    def _fold(self, offsets: list[int], values: list[bytes | None]) -> None:
        for offset, value in zip(offsets, values, strict=True):
            whole = self._assembler.add(value or b"")
            if whole is not None:
                self.model.fold(offset, decode_entry(whole.data))
                self._seen[whole.sender] = whole.sequence

    def close(self) -> None:
        """Give connections back."""
        self._reader.close()


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
    """Keeps the catalogue as the items topic has it."""

    def __init__(self, broker: Broker, topics: Topics, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._reader = broker.reader(topics.items.name, "earliest")
        self.dead_letters: dict[
            bytes, bytes
        ] = {}  # of items that could not be read, until the learner writes them

    def catch_up(self) -> None:
        """Take in all items that are there now."""
        for records in self._reader.read_to_end(SILENCE_S):
            self._apply(records)

    def poll(self) -> None:
        """Take in what has come; does not wait."""
        records = self._reader.read(READ_RECORDS, 0.0)
        if len(records):
            self._apply(records)

    def close(self) -> None:
        """Give connections back."""
        self._reader.close()

    def _apply(self, records: Records) -> None:
        decoded = decode_items(records)
        self.catalogue.upsert(decoded.items)
        self.catalogue.remove(decoded.removed)
        for letter in decoded.dead:
            self.dead_letters[coordinates(records, letter.row)] = dead_letter_record(records, letter)
            log.warning("item refused", offset=int(records.offset[letter.row]), reason=letter.reason)


def coordinates(records: Records, row: int) -> bytes:
    """The key of a dead letter: where it stood. The topic is compacted by it, so that writing one twice leaves one."""
    return f"{records.topic}/{records.partition[row]}/{records.offset[row]}".encode()
