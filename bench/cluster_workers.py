"""Workers that share a log, in memory: each has users of its own, all of them fold one model log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from producers.synthetic import SyntheticLog, SyntheticSettings
from stream.catalogue import Catalogue
from stream.clustering.quality import batch_centres, quantisation_error
from stream.config import EncoderSettings, Settings
from stream.encoder import TextEncoder, make_encoder
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

BATCH = 512


class Worker:
    """One worker's pipeline, its users' profiles, and its copy of the model."""

    def __init__(self, settings: Settings, encoder: TextEncoder, items: list[ItemRecord]) -> None:
        index = HashIndex()
        self.catalogue = Catalogue(index, encoder.dimensions)
        self.catalogue.upsert(items)
        self.pipeline = Pipeline(settings, encoder, self.catalogue)
        self.pipeline.encode_catalogue()
        self.model = Model(settings, index, encoder.dimensions)
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

    def vectors(self) -> np.ndarray:
        """All users who have a taste, in the model's space, (m, d)."""
        placed = place_users(self.profiles.rows[: len(self.profiles)], self.model)
        return placed.vectors[placed.known]


def run(workers: list[Worker], learner: Learner, shares: list[list[EventRecord]]) -> None:
    """Let all work at a time on a batch each, then fold what they wrote, and what the learner decides on it."""
    offset = 0

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


def compare(seed: int = 0, counts: tuple[int, ...] = (1, 4)) -> Iterator[dict[str, Any]]:
    """Error in units of hindsight's of so many workers on one generated log, and how far their models differ."""
    settings = Settings(encoder=EncoderSettings(cache=None))
    encoder = make_encoder(settings.encoder)
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
