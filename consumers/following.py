"""Follows the model log, which every worker reads whole, and writes its entries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import structlog

from stream.broker.interface import Broker, Records
from stream.broker.topics import Topics
from stream.clock import Clock
from stream.entries import Entry, decode_entry, encode_entry
from stream.model import Model
from stream.wire import Assembler, split

log = structlog.get_logger()

# Records read at a time; a part of a delta is at most 512 KiB, so this bounds what is in memory.
READ_RECORDS = 500
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
