"""How far a replay has come, in a small file of its own."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from stream.broker.interface import Broker
from stream.errors import InputError
from stream.events.schema import EventRecord
from stream.hashing import hash_bytes, hash_text

# With no record of the topic for so long, though there must be one, its broker is taken to be away.
SILENCE_S = 60.0


class Checkpoint(msgspec.Struct, frozen=True):
    """How many events of a log are stored in the topic, and the last of them, to know the log by."""

    position: int = 0
    fingerprint: int = 0
    ends: dict[int, int] = {}  # where the topic's partitions ended then: what was sent later lies behind

    @classmethod
    def after(cls, position: int, last: EventRecord, ends: dict[int, int]) -> Checkpoint:
        """Make the checkpoint after ``last``, event number ``position`` from 1."""
        return cls(position, _fingerprint(last), ends)

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


class Stored:
    """What a replay that was killed had sent after its last checkpoint: known again by its bytes."""

    def __init__(self, broker: Broker, topic: str, saved: Checkpoint) -> None:
        self._left: Counter[int] = Counter()
        if saved.ends:
            with closing(broker.reader(topic, saved.ends)) as reader:
                for records in reader.read_to_end(SILENCE_S):
                    self._left.update(hash_bytes(value) for value in records.values if value is not None)

    def without(self, values: list[bytes]) -> list[int]:
        """Which of ``values`` are not stored, by index; each that is stored stands for one."""
        if not self._left:
            return list(range(len(values)))
        return [i for i, value in enumerate(values) if not self._take(hash_bytes(value))]

    def _take(self, known: int) -> bool:
        there = self._left.get(known, 0) > 0
        if there:
            self._left[known] -= 1
        return there


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
