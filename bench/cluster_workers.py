"""Workers that share a log, in memory: each has users of its own, all of them fold one model log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from producers.synthetic import SyntheticLog, SyntheticSettings
from stream import snapshot
from stream.catalogue import Catalogue
from stream.clustering.quality import batch_centres, quantisation_error
from stream.config import Settings
from stream.encoder import TextEncoder
from stream.entries import Entry, decode_entry, encode_entry
from stream.events.files import to_records
from stream.events.schema import EventRecord, ItemRecord
from stream.hashing import HashIndex, hash_texts
from stream.learner import Learner
from stream.model import Model
from stream.pipeline import Pipeline
from stream.placing import place_users
from stream.profiles.layout import RowLayout
from stream.profiles.table import ProfileTable
from stream.wire import unpack

BATCH = 512


class Worker:
    """One worker's pipeline, its users' profiles, and its copy of the model."""

    def __init__(
        self, settings: Settings, encoder: TextEncoder, items: list[ItemRecord], model: Model | None = None
    ) -> None:
        self.model = model or Model(settings, HashIndex(), encoder.dimensions)
        self.catalogue = Catalogue(self.model.index, encoder.dimensions)
        self.catalogue.upsert(items)
        self.pipeline = Pipeline(settings, encoder, self.catalogue)
        self.pipeline.encode_catalogue()
        k = settings.recommending.k
        self.profiles = ProfileTable(
            RowLayout.of(settings.profiles, k, encoder.dimensions, encoder.encoder_id, 1)
        )
        self._offset = 0

    def take(self, events: list[EventRecord]) -> Entry:
        """Work on ``events``; the delta to be written to the log."""
        records = to_records(events, self._offset)
        self._offset += len(events)
        self.profiles.begin()
        outcome = self.pipeline(records, {0: 1}, self.profiles, self.model)
        self.profiles.commit()
        return outcome.delta

    def again(self, settings: Settings, encoder: TextEncoder, items: list[ItemRecord]) -> Worker:
        """Another that has read what this one wrote: the model's snapshot and the changelog of the profiles."""
        fresh = Model(settings, HashIndex(), encoder.dimensions)
        model = snapshot.MODEL.thaw(unpack(snapshot.write(snapshot.freeze(self.model))), fresh.settings)
        other = Worker(settings, encoder, items, model)
        rows = np.arange(len(self.profiles))
        other.profiles.restore(0, self.profiles.keys(rows), self.profiles.serialise(rows))
        other._offset = self._offset
        return other

    def clusters(self) -> dict[int, int]:
        """Where users are, by the hash of their ids."""
        rows = self.profiles.rows[: len(self.profiles)]
        return dict(zip(rows["user"].tolist(), place_users(rows, self.model).cluster.tolist(), strict=True))

    def vectors(self) -> np.ndarray:
        """All users who have a taste, in the model's space, (m, d)."""
        placed = place_users(self.profiles.rows[: len(self.profiles)], self.model)
        return placed.vectors[placed.known]


def run(workers: list[Worker], learner: Learner, shares: list[list[EventRecord]]) -> None:
    """Let all work at a time on a batch each, then fold what they wrote, and what the learner decides on it."""
    offset = workers[0].model.version + 1

    def append(entry: Entry) -> None:
        nonlocal offset
        data = encode_entry(entry)
        for worker in workers:
            worker.model.fold(offset, decode_entry(data))
        offset += 1

    for start in range(0, max(map(len, shares)), BATCH):
        parts = [share[start : start + BATCH] for share in shares]
        for delta in [w.take(part) for w, part in zip(workers, parts, strict=True) if part]:
            append(delta)
            while (decision := learner.decide(workers[0].model)) is not None:
                append(decision)


def restart(encoder: TextEncoder) -> Iterator[dict[str, Any]]:
    """Share of users whom a restart in the middle of a log puts elsewhere than without, at once and at the end."""
    settings = Settings()
    log = SyntheticLog(SyntheticSettings(users=1_000, events=20_000))
    events = list(log.events())
    first, second = events[: len(events) // 2], events[len(events) // 2 :]
    worker = Worker(settings, encoder, log.items)
    run([worker], Learner(settings, worker.catalogue), [first])
    moved = []
    other = worker.again(settings, encoder, log.items)
    for part in ([], second):
        for one in (worker, other):
            run([one], Learner(settings, one.catalogue), [part])
        before, after = worker.clusters(), other.clusters()
        moved.append(np.mean([after.get(user, -1) != cluster for user, cluster in before.items()]))
    yield {"what": "users moved by a restart, at once", "value": float(moved[0]), "at most": 0}
    yield {"what": "the same, at the end of the log", "value": float(moved[1]), "at most": 0}


def compare(
    encoder: TextEncoder, seed: int = 0, counts: tuple[int, ...] = (1, 4)
) -> Iterator[dict[str, Any]]:
    """Error in units of hindsight's of so many workers on one generated log, and how far their models differ."""
    settings = Settings()
    log = SyntheticLog(SyntheticSettings(users=1_000, events=20_000, seed=seed))
    events = list(log.events())
    owner = hash_texts([event.user_id for event in events])
    first = 0.0
    for n in counts:
        workers = [Worker(settings, encoder, log.items) for _ in range(n)]
        shares = [[events[i] for i in np.flatnonzero(owner % np.uint64(n) == w)] for w in range(n)]
        run(workers, Learner(settings, workers[0].catalogue), shares)
        clusters = [worker.model.clusters for worker in workers]
        X = np.concatenate([worker.vectors() for worker in workers])
        centres = clusters[0].centres
        error = quantisation_error(X, centres) / quantisation_error(X, batch_centres(X, len(centres), seed))
        first = first or error
        yield {
            "workers": n,
            "seed": seed,
            "same_ids": all(np.array_equal(c.ids, clusters[0].ids) for c in clusters),
            "apart": max(float(np.abs(c.centres - centres).max()) for c in clusters),
            "error": error,
            "ratio": error / first,
        }
