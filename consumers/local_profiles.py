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

import numpy as np
import numpy.typing as npt
import structlog

from consumers.lane import Lane
from stream.broker.interface import Broker
from stream.broker.topics import STATE_LOG, Topics
from stream.clock import Clock
from stream.config import HOUR_MS, SnapshotSettings
from stream.errors import FormatError
from stream.profiles.layout import Rows
from stream.profiles.snapshot import Header, Writer, layout_code, read, tidy
from stream.profiles.table import ProfileTable

log = structlog.get_logger()

# The end of the changelog is asked for this often: what came since is read again after the next assignment.
ASK_EVERY_S = 5.0
# Deletions vanish from the changelog in the end; a copy that is as old would keep what they deleted. An hour is left
# for the restoration.
MOST_AGE_MS = int(STATE_LOG["delete.retention.ms"]) - HOUR_MS
# Rows copied between two batches, for periodic copies: 2.3 KB each, so some milliseconds.
CHUNK = 10_000
# A worker that ends waits so long for copies under way; without them the next restoration takes longer.
CLOSE_S = 30.0


@dataclass(frozen=True, slots=True)
class Known:
    """All of a partition's changelog before ``offset`` is in the table; so it was at ``time_ms``."""

    offset: int
    time_ms: int


class Copy:
    """A copy that is being written, some rows at a time; ``add`` is called in the writing thread.

    A full disk must not stop the work, and nothing is lost with a copy: a failure is said, and ``failed`` from then on.
    """

    def __init__(self, partition: int, path: Path, header: Header, who: str) -> None:
        self.partition = partition
        self.failed = False
        self._path, self._header, self._who = path, header, who
        self._writer: Writer | None = None

    def add(self, parts: Iterable[Rows], last: bool) -> None:
        """Write ``parts``, and put the file in its place after the ``last``."""
        if self.failed:
            return
        try:
            self._writer = self._writer or Writer(self._path, self._header, self._who)
            for rows in parts:
                self._writer.add(rows)
            if last:
                self._writer.finish()
                log.info(
                    "profiles written on this machine", partition=self.partition, bytes=self._writer.size
                )
        except OSError as error:
            self.failed = True
            log.warning("profiles on this machine not written", file=str(self._path), reason=str(error))
            self.give_up()

    def give_up(self, tidy: bool = True) -> None:
        """Leave the file that was there; what was written is taken away, unless the other thread is at it."""
        self.failed = True
        if tidy and self._writer is not None:
            self._writer.abandon()


class LocalProfiles:
    """Writes and reads the copies. Belongs to the thread that owns the profiles; files are written in another.

    ``who`` is the worker's instance: others on this machine may write into the same directory.
    """

    def __init__(
        self,
        broker: Broker,
        topics: Topics,
        profiles: ProfileTable,
        settings: SnapshotSettings,
        who: str,
        clock: Clock,
    ) -> None:
        self._broker, self._topics, self._profiles, self._clock = broker, topics, profiles, clock
        self._every_s, self._directory, self._who = settings.every_ms / 1000, settings.directory, who
        self._identity = broker.identity(topics.profiles.name)
        self._asked: dict[int, Known] = {}
        self._asked_at = clock.monotonic()
        self._known: dict[int, Known] = {}  # of the partitions here
        self._written_at: dict[int, float] = {}
        self._copying: tuple[Copy, npt.NDArray[np.uint64]] | None = None  # and whose rows are still to come
        self._lane: Lane[None] = Lane("profiles-snapshot")
        self._tidy()

    def load(self, partitions: Iterable[int]) -> dict[int, int]:
        """Take the copies of ``partitions`` into the table; where in the changelog each of them has to read on."""
        ends = self._broker.offsets(self._topics.profiles.name)
        return {p: self._load(p, *ends[p]) for p in partitions}

    def _load(self, partition: int, first: int, end: int) -> int:
        if self._directory is None:
            return first
        path, started = self._path(partition), self._clock.monotonic()
        try:
            header, rows = read(path, self._profiles.layout, self._identity, partition)
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
        if self._is_free():
            self._copy_on(now)

    def leave(self, partitions: Sequence[int]) -> None:
        """Write the copies of ``partitions``, which go: called just before their rows leave the table.

        The files are written meanwhile; the array that the rows stood in is left to them.
        """
        here = [p for p in partitions if p in self._known]
        if here and self._directory is not None:
            free = self._is_free(CLOSE_S)
            # Its rows are about to go: whatever else happens, it must not be copied on.
            if self._copying is not None and self._copying[0].partition in here:
                self._copying[0].give_up(free)
                self._copying = None
            if free:
                copies = [(self._begin(p), self._profiles.rows_of(p)) for p in here]
                every = self._profiles.rows
                self._lane.start(lambda: self._write_all(copies, every))
            else:
                log.warning("profiles on this machine are not written: the disk is slow", partitions=here)
        for partition in here:
            del self._known[partition], self._written_at[partition]
            self._asked.pop(partition, None)

    def close(self) -> None:
        """Write the copies of all that is here, and wait for them. Raises what writing raised, save OSError."""
        self.leave(sorted(self._known))
        if not self._is_free(CLOSE_S):
            log.warning("profiles on this machine are not written to the end", seconds=CLOSE_S)
        self._lane.close()

    def _tidy(self) -> None:
        """Take away the copies that a predecessor of this name was killed in."""
        if self._directory is None:
            return
        try:
            left = tidy(self._directory, f"{self._topics.profiles.name}-", self._who)
        except OSError as error:
            log.warning("unfinished profiles on this machine not taken away", reason=str(error))
        else:
            if left:
                log.info("unfinished profiles on this machine taken away", files=left)

    def _copy_on(self, now: float) -> None:
        """Copy some more rows of the partition whose turn it is, if it is anybody's."""
        if self._copying is None:
            due = [p for p in self._known if now - self._written_at[p] >= self._every_s]
            if not due:
                return
            partition = min(due, key=lambda p: self._written_at[p])
            self._written_at[partition] = now
            users = self._profiles.rows["user"][self._profiles.rows_of(partition)].astype(np.uint64)
            self._copying = self._begin(partition), users
        copy, users = self._copying
        # Who has come since is in the changelog's tail, and so is the end of who has gone.
        rows = self._profiles.of_users(users[:CHUNK], copy.partition)
        last = len(users) <= CHUNK
        self._copying = None if last or copy.failed else (copy, users[CHUNK:])
        self._lane.start(lambda: copy.add([rows], last))

    @staticmethod
    def _write_all(copies: Sequence[tuple[Copy, npt.NDArray[np.int64]]], every: Rows) -> None:
        for copy, rows in copies:
            parts = (every[rows[start : start + CHUNK]] for start in range(0, len(rows), CHUNK))
            copy.add(parts, last=True)

    def _begin(self, partition: int) -> Copy:
        known = self._known[partition]
        code = layout_code(self._profiles.layout)
        header = Header(self._identity, partition, known.offset, known.time_ms, code)
        return Copy(partition, self._path(partition), header, self._who)

    def _is_free(self, patience: float = 0.0) -> bool:
        """Whether nothing is being written, waiting ``patience`` seconds for that; raises what writing raised."""
        if self._lane.busy and self._lane.wait(patience):
            self._lane.result()
        return not self._lane.busy

    def _path(self, partition: int) -> Path:
        assert self._directory is not None
        # Topic names have no character that a file's name may not have.
        return self._directory / f"{self._topics.profiles.name}-{partition}.rows"
