"""Follows topics for people: the lists that come out, the records that were refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import islice
from typing import Literal

from consumers.lists import UserList, parse_list
from consumers.untrusted import plain
from stream.broker.interface import Broker
from stream.broker.topics import Topics
from stream.events.dead_letters import DeadLetterRecord, parse_dead_letter

READ_RECORDS = 500
WAIT_S = 0.2  # for the next record; so late is a stop noticed
SILENCE_S = 30.0  # without a record that must be there, the broker is taken to be away


def follow_lists(
    broker: Broker,
    topics: Topics,
    stop: threading.Event,
    start: Literal["earliest", "latest"] = "latest",
    user: str | None = None,
) -> Iterator[UserList]:
    """Yield lists as they come, of one ``user`` or all, until ``stop`` is set. Raises BrokerError, FormatError."""
    key = None if user is None else user.encode()
    reader = broker.reader(topics.recommendations.name, start)
    try:
        while not stop.is_set():
            records = reader.read(READ_RECORDS, WAIT_S)
            for found, value in zip(records.keys, records.values, strict=True):
                if value is not None and key in (None, found):
                    yield parse_list(value)
    finally:
        reader.close()


def dead_letters(broker: Broker, topics: Topics, reason: str | None = None) -> Iterator[DeadLetterRecord]:
    """Yield what was refused up to now, oldest first. Raises BrokerUnavailable, FormatError."""
    reader = broker.reader(topics.dead_letters.name, "earliest")
    try:
        for records in reader.read_to_end(SILENCE_S):
            for value in records.values:
                if value is not None:
                    letter = parse_dead_letter(value)
                    if reason in (None, letter.reason):
                        yield letter
    finally:
        reader.close()


def most_recent(letters: Iterator[DeadLetterRecord], n: int) -> list[DeadLetterRecord]:
    """Keep the last ``n``."""
    kept: list[DeadLetterRecord] = []
    while chunk := list(islice(letters, READ_RECORDS)):
        kept = (kept + chunk)[-n:]
    return kept


def preview(letter: DeadLetterRecord, width: int) -> str:
    """Show the beginning of what was refused, as text where it is one."""
    if letter.value is None:
        return ""
    return plain(letter.value_text if letter.value_text is not None else letter.value[:width].hex(), width)
