"""Logs for the benchmarks of clustering, and the service's own pipeline over them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from producers.synthetic import SyntheticLog, SyntheticSettings
from stream.config import ClusteringSettings, Settings, load
from stream.encoder import TextEncoder
from stream.entries import Delta, Paced
from stream.evaluation.clusters import ClusterWatch, Truth
from stream.evaluation.prequential import Evaluation
from stream.events.schema import EventRecord, ItemRecord
from stream.model import Model
from stream.pipeline import Outcome
from stream.profiles.table import ProfileTable

# Directories with events.jsonl and items.jsonl, separated as in PATH: further logs to measure on.
LOGS = "SHOAL_BENCH_LOGS"

Seen = Callable[["Watched"], None]


@dataclass
class Log:
    """Events in order of time, the catalogue, and who the users really are where that is known."""

    name: str
    events: list[EventRecord]
    items: list[ItemRecord]
    truth: Truth | None = None

    @classmethod
    def generated(cls, **settings: Any) -> Log:
        log = SyntheticLog(SyntheticSettings(**settings))
        truth: dict[str, list[tuple[int, str]]] = {}
        for row in log.truth():
            truth.setdefault(row.user_id, []).append((row.from_time_ms, row.persona))
        return cls("generated", list(log.events()), log.items, truth)

    @classmethod
    def read(cls, directory: Path) -> Log:
        event, item = msgspec.json.Decoder(EventRecord), msgspec.json.Decoder(ItemRecord)
        events, items = (
            (directory / f"{what}.jsonl").read_bytes().splitlines() for what in ("events", "items")
        )
        return cls(directory.name, list(map(event.decode, events)), list(map(item.decode, items)))

    def count_before(self, days: float) -> int:
        """Events of the first so many days."""
        end = self.events[0].timestamp + days * 86_400_000
        return sum(event.timestamp < end for event in self.events)


def given_logs() -> Iterator[Log]:
    """Read the logs that the environment names."""
    for directory in filter(None, os.environ.get(LOGS, "").split(os.pathsep)):
        yield Log.read(Path(directory))


def settings(**clustering: Any) -> Settings:
    """Shoal's own, with the encoder's from the environment: a cache of vectors, which is none else, saves minutes."""
    given = {name: value for name, value in os.environ.items() if name.startswith("SHOAL_ENCODER__")}
    own = load(env={"SHOAL_ENCODER__CACHE": ""} | given)
    return own.model_copy(update={"clustering": ClusteringSettings(**clustering)})


class Watched(ClusterWatch):
    """Looks at the clusters ten times over a log; ``seen`` is asked each time, with all there is to see."""

    profiles: ProfileTable
    model: Model

    def __init__(self, half_life: float, truth: Truth | None, seen: Seen) -> None:
        super().__init__(half_life, 0, truth)
        self._seen = seen
        self.churn_per_day: list[float] = []

    def look(self, profiles: ProfileTable, model: Model) -> None:
        if len(model.clusters.ids):
            self.profiles, self.model = profiles, model
            self.churn_per_day.append(self.moved(profiles, model)["churn_per_day"])
            self._seen(self)


def follow(
    log: Log,
    encoder: TextEncoder,
    seen: Seen = lambda _: None,
    on_outcome: Callable[[Outcome, Evaluation], None] | None = None,
    **clustering: Any,
) -> Evaluation:
    """Run the pipeline over ``log`` as a worker with a backlog does, in batches of 2,048 events."""
    made = settings(**clustering)
    evaluation = Evaluation(
        made,
        encoder,
        log.items,
        on_outcome=lambda outcome: on_outcome(outcome, evaluation) if on_outcome else None,
    )
    evaluation.watch = Watched(made.clustering.half_life, log.truth, seen)
    evaluation.run(log.events, "count")
    return evaluation


def drifts(evaluation: Evaluation) -> list[tuple[int, str]]:
    """What the learner decided of drift, each with the number of events it had seen."""
    seen, found = 0, []
    for entry in evaluation.log.entries:
        if isinstance(entry, Delta):
            seen += entry.events
        elif isinstance(entry, Paced):
            found.append((seen, entry.drift.kind))
    return found
