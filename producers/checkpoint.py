"""How far a replay has come, in a small file of its own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from stream.errors import InputError
from stream.events.schema import EventRecord
from stream.hashing import hash_text


class Checkpoint(msgspec.Struct, frozen=True):
    """How many events of a log are stored in the topic, and the last of them, to know the log by."""

    position: int = 0
    fingerprint: int = 0

    @classmethod
    def after(cls, position: int, last: EventRecord) -> Checkpoint:
        """Make the checkpoint after ``last``, event number ``position`` from 1."""
        return cls(position, _fingerprint(last))

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read it; at the beginning where there is no file. Raises InputError for a file that is none."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path}: not the checkpoint of a replay ({error}); delete it to start over"
            ) from error

    def save(self, path: Path) -> None:
        """Write it, all or nothing: a crash leaves the one before. Raises InputError."""
        beside = path.with_name(path.name + ".new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as file:
                file.write(msgspec.json.encode(self))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except OSError as error:
            raise InputError(f"{path}: the checkpoint cannot be written ({error.strerror})") from error


def resume(chunks: Iterable[list[EventRecord]], saved: Checkpoint) -> Iterator[list[EventRecord]]:
    """Pass over the events that are stored already. Raises InputError when ``saved`` is of another log."""
    left, last = saved.position, None
    for chunk in chunks:
        if left > 0:
            last = chunk[min(left, len(chunk)) - 1]
            left, chunk = left - len(chunk), chunk[left:]
            if left <= 0:
                _check(saved, last)
        if chunk:
            yield chunk
    if left > 0:
        raise _other_log(f"it is {saved.position:,} events into its log, which is longer than this one")


def _check(saved: Checkpoint, last: EventRecord) -> None:
    if _fingerprint(last) != saved.fingerprint:
        raise _other_log(f"event {saved.position:,} is another one")


def _other_log(why: str) -> InputError:
    return InputError(f"the checkpoint is of another log: {why}; delete it, or name another, to start over")


def _fingerprint(event: EventRecord) -> int:
    return hash_text(event.to_json().decode())
