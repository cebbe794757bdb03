"""The step that events and items share: values of records to typed messages, and what could not be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec

from stream.events.batch import DeadLetter
from stream.events.reasons import Reason
from stream.events.schema import MAX_ID_BYTES

Message = TypeVar("Message")


@dataclass(slots=True)
class Parsed(Generic[Message]):
    """Messages and their rows in the records, dead letters of what could not be read, rows of null values."""

    messages: list[Message] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    tombstones: list[int] = field(default_factory=list)


def parse(
    values: Sequence[bytes | None], decode: Callable[[bytes], Message], id_fields: Sequence[str]
) -> Parsed[Message]:
    """Decode each of ``values`` on its own; ``decode`` is msgspec's, ``id_fields`` are bounded in length."""
    try:  # most often there is nothing wrong with any of them
        if max(map(len, values), default=0) <= MAX_ID_BYTES:  # type: ignore[arg-type] # a null value has no length
            return Parsed(list(map(decode, values)), list(range(len(values))))  # type: ignore[arg-type]
    except (TypeError, ValueError, RecursionError):
        pass  # found below, one by one
    return _parse_each(values, decode, id_fields)


def _parse_each(
    values: Sequence[bytes | None], decode: Callable[[bytes], Message], id_fields: Sequence[str]
) -> Parsed[Message]:
    """Do as ``parse``, and note what is wrong with each."""
    parsed: Parsed[Message] = Parsed()
    for row, value in enumerate(values):
        if value is None:
            parsed.tombstones.append(row)
            continue
        try:
            message = decode(value)
        except (ValueError, RecursionError) as error:
            parsed.dead.append(_unreadable(row, error))
            continue
        # A value that is short as a whole holds no long id, so most are spared the look.
        if len(value) > MAX_ID_BYTES and (name := long_id(message, id_fields)):
            detail = f"`{name}` is longer than {MAX_ID_BYTES} bytes"
            parsed.dead.append(DeadLetter(row, Reason.LONG_ID, detail))
            continue
        parsed.messages.append(message)
        parsed.rows.append(row)
    return parsed


def long_id(message: object, id_fields: Sequence[str]) -> str | None:
    """Find the first of ``id_fields`` that is longer than ``MAX_ID_BYTES``."""
    for name in id_fields:
        value = getattr(message, name)
        if value is not None and len(str(value).encode()) > MAX_ID_BYTES:
            return name
    return None


def _unreadable(row: int, error: Exception) -> DeadLetter:
    if isinstance(error, msgspec.ValidationError):
        return DeadLetter(row, Reason.BAD_FIELD, str(error))
    if isinstance(error, RecursionError):
        return DeadLetter(row, Reason.BAD_JSON, "nested too deeply")
    return DeadLetter(row, Reason.BAD_JSON, str(error))
