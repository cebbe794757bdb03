"""Events and items from files: Shoal's own JSON lines, gzipped or not, or any log with a mapping."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np

from stream.broker.interface import Records
from stream.errors import InputError
from stream.events.batch import DeadLetter
from stream.events.items import read_item
from stream.events.mapped import event_table, mapped_items
from stream.events.mapping import LogMapping
from stream.events.schema import EventMessage, EventRecord, ItemMessage, ItemRecord, Time, id_texts
from stream.events.times import Unit, describe, read_time

CHUNK = 8_192  # events per list: enough to spread the cost of each, few enough to show progress by

Message = TypeVar("Message")


class _Moment(msgspec.Struct):
    """What of an event says when it was."""

    timestamp: Time | None = None


def read_events(
    path: Path | None,
    mapping: LogMapping | None = None,
    skipped: Counter[str] | None = None,
    unit: Unit = "auto",
) -> Iterator[list[EventRecord]]:
    """Read events in the order of time, those of one time in the order of the file, in lists of ``CHUNK``.

    A log in order is streamed when it is Shoal's own; one with a mapping, or out of order, is held in memory.
    What a mapping leaves out is counted in ``skipped`` (``mapped.event_table``). ``unit`` is of own events'
    times. Raises ConfigError, and InputError that names the line.
    """
    if mapping is not None:
        table = event_table(path, mapping, Counter() if skipped is None else skipped)
        for part in table.iter_slices(CHUNK):
            yield [EventRecord(**row) for row in part.iter_rows(named=True)]
        return
    events: Iterable[EventRecord] = _own_events(_given(path), unit)
    if not _is_in_order(_given(path), unit):
        events = sorted(events, key=lambda event: event.timestamp)
    remaining = iter(events)
    while chunk := list(islice(remaining, CHUNK)):
        yield chunk


def read_items(path: Path | None, mapping: LogMapping | None = None) -> list[ItemRecord]:
    """Read items. Raises ConfigError, and InputError that names the line."""
    if mapping is not None:
        return mapped_items(path, mapping)
    items = []
    for number, message in _messages(_given(path), msgspec.json.Decoder(ItemMessage).decode):
        item = read_item(number, message, None)
        if isinstance(item, DeadLetter):
            raise InputError(f"{path}, line {number}: {item.detail}")
        items.append(item)
    return items


def to_records(events: Sequence[EventRecord], first_offset: int = 0, topic: str = "events") -> Records:
    """Make the records that a log of one partition would hold, for running the pipeline without Kafka.

    Offsets go on from ``first_offset``. Append time is event time, so nothing is in the future.
    """
    n = len(events)
    return Records(
        topic,
        np.zeros(n, np.int32),
        np.arange(first_offset, first_offset + n, dtype=np.int64),
        np.array([event.timestamp for event in events], np.int64),
        [event.key() for event in events],
        [event.to_json() for event in events],
    )


def _given(path: Path | None) -> Path:
    if path is None:
        raise InputError("no file of events or items was given: give one, or a mapping that names one")
    return path


def _own_events(path: Path, unit: Unit) -> Iterator[EventRecord]:
    for number, message in _messages(path, msgspec.json.Decoder(EventMessage).decode):
        millis = read_time(message.timestamp, unit)
        if millis < 0:
            raise InputError(
                f"{path}, line {number}: `timestamp` is {message.timestamp!r}; expected {describe(unit)}"
            )
        if not message.action:
            raise InputError(f"{path}, line {number}: `action` is missing or empty")
        ids = id_texts([message.event_id, message.user_id, message.anonymous_id, message.item_id])
        event_id, user_id, anonymous_id, item_id = ids
        session_id, list_id = id_texts([message.session_id, message.list_id])
        yield EventRecord(
            event_id=event_id,
            user_id=user_id,
            anonymous_id=anonymous_id,
            action=message.action,
            item_id=item_id,
            timestamp=millis,
            session_id=session_id,
            value=message.value,
            text=message.text,
            list_id=list_id,
            position=message.position,
            item=message.item,
        )


def _is_in_order(path: Path, unit: Unit) -> bool:
    """Look over the times only: far quicker than reading the events, and nothing is held."""
    latest = 0
    for _, moment in _messages(path, msgspec.json.Decoder(_Moment).decode):
        millis = read_time(moment.timestamp, unit)
        if millis < latest:
            return False
        latest = millis
    return True


def _messages(path: Path, decode: Callable[[bytes], Message]) -> Iterator[tuple[int, Message]]:
    """Decode each line, with its number from 1; blank ones are passed over."""
    for number, line in enumerate(_lines(path), start=1):
        if line.isspace():
            continue
        try:
            yield number, decode(line)
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{path}, line {number}: {error}. Every line must be one JSON object as docs/schemas has it; "
                "for another format give a mapping"
            ) from error


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as raw:
            is_gzipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            yield from gzip.GzipFile(fileobj=raw) if is_gzipped else raw
    except (OSError, EOFError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
