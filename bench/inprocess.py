"""The pipeline in this process, fed as a worker feeds it, with a list for a log: what needs no broker to be timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.load import Load
from stream.broker.interface import Records
from stream.catalogue import Catalogue
from stream.config import Settings
from stream.encoder import TextEncoder
from stream.encoder.hashing import HashingEncoder
from stream.entries import decode_entry, encode_entry
from stream.hashing import HashIndex
from stream.learner import Learner
from stream.model import Model
from stream.pipeline import Outcome, Pipeline
from stream.profiles.layout import RowLayout
from stream.profiles.table import ProfileTable

ARRIVED_MS = 4_000_000_000_000  # append time: behind every event's


@dataclass
class Service:
    """What one worker holds."""

    settings: Settings
    encoder: TextEncoder
    catalogue: Catalogue
    model: Model
    profiles: ProfileTable
    pipeline: Pipeline
    learner: Learner

    @classmethod
    def empty(cls, encoder: TextEncoder | None = None) -> Service:
        """Make one with default settings, but for an encoder that costs nothing."""
        settings, encoder, index = Settings(), encoder or HashingEncoder(), HashIndex()
        catalogue = Catalogue(index, encoder.dimensions)
        layout = RowLayout.of(
            settings.profiles, settings.recommending.k, encoder.dimensions, encoder.encoder_id, 1
        )
        model = Model(settings, index, encoder.dimensions)
        pipeline = Pipeline(settings, encoder, catalogue)
        return cls(
            settings, encoder, catalogue, model, ProfileTable(layout), pipeline, Learner(settings, catalogue)
        )

    @classmethod
    def grown(cls, load: Load) -> Service:
        """Make one that has taken in ``load``, and has decided what was due."""
        service = cls.empty()
        service.catalogue.upsert(load.items)
        service.pipeline.encode_catalogue()
        for records in batches([event.to_json() for event in load.events], service.settings):
            service.take(records)
            service.decide()
        return service

    def take(self, records: Records) -> Outcome:
        """Take ``records`` in, as a worker does between reading and writing."""
        self.profiles.begin()
        outcome = self.pipeline(records, {}, self.profiles, self.model)
        self.profiles.serialise(outcome.touched.rows)
        self.profiles.commit()
        delta = decode_entry(encode_entry(outcome.delta))
        self.model.fold(self.model.version + 1, delta)
        return outcome

    def decide(self) -> None:
        """Decide all that is due."""
        while (decision := self.learner.decide(self.model)) is not None:
            self.model.fold(self.model.version + 1, decision)


def batches(values: Sequence[bytes], settings: Settings, first: int = 0) -> Iterator[Records]:
    """Give ``values`` as a worker's full batches, of one partition, from offset ``first`` on."""
    size = settings.worker.micro_batch
    for start in range(0, len(values) - size + 1, size):
        n = np.arange(start, start + size)
        yield Records(
            "events", np.zeros(size, np.int32), first + n, np.full(size, ARRIVED_MS), [None] * size,
            list(values[start : start + size]),
        )  # fmt: skip


class Stopwatch:
    """CPU seconds of this thread within ``with``."""

    def __enter__(self) -> Stopwatch:
        self._start = time.thread_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.thread_time() - self._start


@contextmanager
def watched(owner: Any, *methods: str) -> Iterator[list[float]]:
    """Give a list to which each call of one of ``owner``'s ``methods`` adds its CPU seconds, while this lasts."""
    seconds: list[float] = []
    originals = {name: getattr(owner, name) for name in methods}

    def timed(inner: Callable[..., Any]) -> Callable[..., Any]:
        def outer(*args: Any, **kwargs: Any) -> Any:
            with Stopwatch() as watch:
                result = inner(*args, **kwargs)
            seconds.append(watch.seconds)
            return result

        return outer

    for name, inner in originals.items():
        setattr(owner, name, timed(inner))
    try:
        yield seconds
    finally:
        for name, inner in originals.items():
            setattr(owner, name, inner)
