"""Snapshots of the model in the compacted topic ``model``, and the model log that is trimmed behind them.

A snapshot is parts, each under the key ``slot/part``, and last its manifest, under the key ``slot``. It is written
into the slot of the oldest, so that compaction leaves the newest two whole whatever happens to the third.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import structlog

from consumers.lane import Lane
from stream import snapshot
from stream.broker.interface import Broker, Records
from stream.broker.topics import Topics
from stream.clock import Clock
from stream.config import SnapshotSettings
from stream.errors import BrokerUnavailable, FormatError
from stream.hashing import hash_bytes
from stream.model import Model
from stream.snapshot import Manifest
from stream.wire import Assembler, split

log = structlog.get_logger()

# Two that are whole, and the one that is being written.
SLOTS = 3
# Without a record of the topic for so long, though there must be one, its broker is taken to be away.
SILENCE_S = 60.0
# Seconds that the broker may take to store a snapshot.
STORE_S = 60.0
# How long a worker that ends waits for the snapshot under way: it is one of many.
CLOSE_S = 5.0


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model from a snapshot, and where the log goes on."""

    model: Model
    start: int


def manifests(broker: Broker, topics: Topics) -> list[Manifest]:
    """All snapshots that are complete, the newest first. Raises BrokerUnavailable.

    One whose manifest cannot be read is left aside, and that is said.
    """
    found: dict[bytes | None, Manifest] = {}
    for records in _read(broker, topics, 0):
        for key, value in zip(records.keys, records.values, strict=True):
            if key is None or value is None or b"/" in key:
                continue
            found.pop(key, None)
            try:
                found[key] = snapshot.read_manifest(value)
            except FormatError as error:
                log.warning("snapshot left aside", slot=key.decode(errors="replace"), reason=str(error))
    return sorted(found.values(), key=lambda manifest: -manifest.version)


def load_newest(broker: Broker, topics: Topics, shape: dict[str, Any], fresh: Model) -> Loaded | None:
    """Make the model of the newest snapshot that can be used, with the settings of ``fresh``; None if there is none.

    Each that is left aside is said so. Raises FormatError where there is none and the model log was trimmed: then its
    beginning is gone.
    """
    identity = broker.identity(topics.model_updates.name)
    first, end = broker.offsets(topics.model_updates.name)[0]
    reasons: list[str] = []
    for manifest in manifests(broker, topics):
        reason = manifest.refusal(identity, shape)
        if not reason and not first <= manifest.start <= end:
            reason = f"the model log holds offsets {first} to {end}, not {manifest.start}"
        if not reason:
            try:
                return Loaded(snapshot.read(_data(broker, topics, manifest), manifest, fresh), manifest.start)
            except FormatError as error:
                reason = str(error)
        log.warning("snapshot left aside", version=manifest.version, reason=reason)
        reasons.append(f"that of version {manifest.version}: {reason}")
    if first > 0:
        raise FormatError(
            f"the model log {topics.model_updates.name} begins at offset {first}, what came before was trimmed, and no "
            f"snapshot can be used ({'; '.join(reasons) or 'there is none'}): restore the settings, or the version of "
            "Shoal, that it was made with, or start a new generation with `shoal reset`"
        )
    return None


def _read(broker: Broker, topics: Topics, start: int) -> Iterator[Records]:
    with closing(
        broker.reader(topics.model.name, {0: max(start, broker.offsets(topics.model.name)[0][0])})
    ) as reader:
        yield from reader.read_to_end(SILENCE_S)


def _data(broker: Broker, topics: Topics, manifest: Manifest) -> bytes:
    assembler, wanted = Assembler(), f"{manifest.slot}/".encode()
    for records in _read(broker, topics, manifest.after):
        for key, value in zip(records.keys, records.values, strict=True):
            if key is not None and key.startswith(wanted) and value is not None:
                whole = assembler.add(value)
                if whole is not None and whole.sender == manifest.name:
                    return whole.data
    raise FormatError("not all of its parts are there")


class SnapshotWriter:
    """Writes snapshots when it is time, in a thread of its own; called by the thread that owns the model.

    Whoever is the learner does so. Two of them do no harm: each snapshot is a true one, and one that is torn by another
    in its place is noticed.
    """

    def __init__(
        self, broker: Broker, topics: Topics, settings: SnapshotSettings, shape: dict[str, Any], clock: Clock
    ) -> None:
        self._broker, self._topics, self._settings = broker, topics, settings
        self._shape, self._clock = shape, clock
        self._identity = broker.identity(topics.model_updates.name)
        self._lane: Lane[None] = Lane("snapshot")
        self._version = -1  # of the last one that was taken
        self._taken_at = clock.monotonic()

    def is_due(self, model: Model) -> bool:
        """Whether it is time for the next: by entries, or by minutes where anything is new."""
        new = model.version - self._version
        age_ms = (self._clock.monotonic() - self._taken_at) * 1000
        due = new >= self._settings.entries or (new > 0 and age_ms >= self._settings.every_ms)
        return due and not self._lane.busy

    def attend(self, model: Model, start: int) -> None:
        """Take a snapshot of ``model``, after which the log goes on at ``start``, if it is time.

        Raises what writing the last one raised, save that the broker was away: the next will do.
        """
        self._hear()
        if not self.is_due(model):
            return
        began = self._clock.monotonic()
        frozen = snapshot.freeze(model)
        self._version, self._taken_at = model.version, self._clock.monotonic()
        log.debug("model copied", ms=round((self._taken_at - began) * 1000, 1), version=model.version)
        about: dict[str, Any] = {
            "version": model.version, "start": start, "counts": dict(model.counts),
            "lately": model.lately.state(), "positions": dict(model.positions),
            "decided": dict(model.decided), "labels": dict(model.clusters.labels),
        }  # fmt: skip
        self._lane.start(lambda: self._write(frozen, about))

    def note(self, version: int) -> None:
        """Hear of a snapshot of ``version`` that is there already: the next is so much later."""
        self._version = max(self._version, version)

    def close(self) -> None:
        """Let the one under way come to its end, if that is soon. Raises what it raised."""
        if self._lane.busy and not self._lane.wait(CLOSE_S):
            log.warning("the snapshot under way is left undone")
        self._hear()
        self._lane.close()

    def _hear(self) -> None:
        if not self._lane.busy or not self._lane.wait(0.0):
            return
        try:
            self._lane.result()
        except BrokerUnavailable as error:
            log.warning("no snapshot was written; the next will do", reason=str(error))

    def _write(self, frozen: dict[str, Any], about: dict[str, Any]) -> None:
        broker, topics = self._broker, self._topics
        whole = [m for m in manifests(broker, topics) if not m.refusal(self._identity, self._shape)]
        slot = free_slot(whole)
        data, name = snapshot.write(frozen), uuid.uuid4().hex
        manifest = Manifest(
            name=name, slot=slot, log=self._identity, after=broker.offsets(topics.model.name)[0][1],
            size=len(data), checksum=hash_bytes(data), shape=self._shape, **about,
        )  # fmt: skip
        parts = split(name, 0, data)
        with closing(broker.publisher()) as publisher:
            publisher.send(
                topics.model.name, [f"{slot}/{n}".encode() for n in range(len(parts))], list(parts)
            )
            publisher.flush(STORE_S)
            publisher.send(topics.model.name, [str(slot).encode()], [snapshot.write_manifest(manifest)])
            publisher.flush(STORE_S)
        log.info("snapshot written", version=manifest.version, slot=slot, bytes=len(data), parts=len(parts))
        # Up to the one before: a worker that loads it now, or lags behind it by less, is not cut off.
        if whole:
            broker.trim(topics.model_updates.name, {0: whole[0].start})


def free_slot(whole: list[Manifest]) -> int:
    """The slot of none of the newest two of ``whole``, which are sorted.

    Examples
    --------
    >>> free_slot([])
    0
    """
    kept = {manifest.slot for manifest in whole[: SLOTS - 1]}
    return next(slot for slot in range(SLOTS) if slot not in kept)
