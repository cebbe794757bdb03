"""Copies of the profiles on this machine: written now and then and when partitions go, read when they come.

A copy names the offset of the changelog up to which it has everything. That must not be too high, or rows of another
owner would be missed. So the end of the changelog is asked for between two commits, and counts as known once a later
commit has shown that the partition was still this worker's then (KIP-447). Rows that are newer than that do no harm:
the tail of the changelog, which is read on top, ends with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from consumers.lane import Lane
from stream.broker.interface import Broker
from stream.broker.topics import STATE_LOG, Topics
from stream.clock import Clock
from stream.config import HOUR_MS, SnapshotSettings
from stream.errors import FormatError
from stream.profiles import snapshot
from stream.profiles.layout import Rows
from stream.profiles.table import ProfileTable

log = structlog.get_logger()

# The end of the changelog is asked for this often: what came since is read again after the next assignment.
ASK_EVERY_S = 5.0
# Deletions vanish from the changelog in the end; a copy that is as old would keep what they deleted. An hour is left
# for the restoration.
MOST_AGE_MS = int(STATE_LOG["delete.retention.ms"]) - HOUR_MS
# A worker that ends waits so long for copies under way; without them the next restoration takes longer.
CLOSE_S = 30.0


@dataclass(frozen=True, slots=True)
class Known:
    """All of a partition's changelog before ``offset`` is in the table; so it was at ``time_ms``."""

    offset: int
    time_ms: int


class LocalProfiles:
    """Writes and reads the copies. Belongs to the thread that owns the profiles; files are written in another."""

    def __init__(
        self, broker: Broker, topics: Topics, profiles: ProfileTable, settings: SnapshotSettings, clock: Clock
    ) -> None:
        self._broker, self._topics, self._profiles, self._clock = broker, topics, profiles, clock
        self._every_s = settings.every_ms / 1000
        self._directory = settings.directory
        self._identity = broker.identity(topics.profiles.name)
        self._asked: dict[int, Known] = {}
        self._asked_at = clock.monotonic()
        self._known: dict[int, Known] = {}  # of the partitions here
        self._written_at: dict[int, float] = {}
        self._lane: Lane[None] = Lane("profiles-snapshot")

    def load(self, partitions: Iterable[int]) -> dict[int, int]:
        """Take the copies of ``partitions`` into the table; where in the changelog each of them has to read on."""
        ends = self._broker.offsets(self._topics.profiles.name)
        return {p: self._load(p, *ends[p]) for p in partitions}

    def _load(self, partition: int, first: int, end: int) -> int:
        if self._directory is None:
            return first
        path, started = self._path(partition), self._clock.monotonic()
        try:
            header, rows = snapshot.read(path, self._profiles.layout, self._identity, partition)
            if not first <= header.offset <= end:
                raise FormatError(f"the changelog holds offsets {first} to {end}, not {header.offset}")
            if self._clock.now_ms() - header.time_ms > MOST_AGE_MS:
                raise FormatError(
                    "it is too old: what was deleted since may not stand in the changelog any more"
                )
        except FileNotFoundError:
            return first
        except (FormatError, OSError) as error:
            log.warning(
                "profiles on this machine left aside", partition=partition, file=str(path), reason=str(error)
            )
            return first
        self._profiles.load(partition, rows)
        seconds = round(self._clock.monotonic() - started, 2)
        log.info("profiles read from this machine", partition=partition, profiles=len(rows), seconds=seconds)
        return header.offset

    def restored(self, positions: Mapping[int, int]) -> None:
        """Hear that partitions are restored up to ``positions`` of the changelog: they are here from now on."""
        now_ms, now = self._clock.now_ms(), self._clock.monotonic()
        for partition, offset in positions.items():
            self._known[partition] = Known(offset, now_ms)
            self._written_at[partition] = now

    def committed(self, partitions: Iterable[int]) -> None:
        """Hear that a commit with ``partitions`` has succeeded, and all of it is in the table.

        Between two commits: asks for the end of the changelog, and writes the copy that is due.
        """
        if self._directory is None:
            return
        for partition in partitions:
            if partition in self._known and partition in self._asked:
                self._known[partition] = self._asked.pop(partition)
        now = self._clock.monotonic()
        if now - self._asked_at >= ASK_EVERY_S:
            self._asked_at, now_ms = now, self._clock.now_ms()
            ends = self._broker.offsets(self._topics.profiles.name)
            self._asked = {p: Known(ends[p][1], now_ms) for p in self._known}
        self._hear()
        due = [p for p in self._known if now - self._written_at[p] >= self._every_s]
        if due and not self._lane.busy:
            self._write([min(due, key=lambda p: self._written_at[p])])

    def leave(self, partitions: Sequence[int]) -> None:
        """Write the copies of ``partitions``, which go, before their rows do; the files are written meanwhile."""
        here = [p for p in partitions if p in self._known]
        if here and self._directory is not None:
            if self._lane.busy:
                self._lane.wait(CLOSE_S)
                self._hear()
            self._write(here)
        for partition in here:
            del self._known[partition], self._written_at[partition]
            self._asked.pop(partition, None)

    def close(self) -> None:
        """Write the copies of all that is here, and wait for them. Raises what writing raised, save OSError."""
        self.leave(sorted(self._known))
        if self._lane.busy and not self._lane.wait(CLOSE_S):
            log.warning("profiles on this machine are not written to the end", seconds=CLOSE_S)
        self._hear()
        self._lane.close()

    def _write(self, partitions: Sequence[int]) -> None:
        now = self._clock.monotonic()
        self._written_at.update(dict.fromkeys(partitions, now))
        copies = [(p, self._known[p], self._profiles.of_partition(p)) for p in partitions]
        self._lane.start(lambda: self._write_files(copies))

    def _write_files(self, copies: Sequence[tuple[int, Known, Rows]]) -> None:
        for partition, known, rows in copies:
            started, path = self._clock.monotonic(), self._path(partition)
            try:
                size = snapshot.write(
                    path, rows, self._profiles.layout, self._identity, partition, known.offset, known.time_ms
                )
            except OSError as error:  # a full disk must not stop the work: nothing is lost with a copy
                log.warning("profiles on this machine not written", file=str(path), reason=str(error))
                continue
            seconds = round(self._clock.monotonic() - started, 2)
            log.info("profiles written on this machine", partition=partition, bytes=size, seconds=seconds)

    def _hear(self) -> None:
        if self._lane.busy and self._lane.wait(0.0):
            self._lane.result()

    def _path(self, partition: int) -> Path:
        assert self._directory is not None
        # Topic names have no character that a file's name may not have.
        return self._directory / f"{self._topics.profiles.name}-{partition}.rows"
