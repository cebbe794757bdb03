"""The service's own pipeline over a log in files: each step is scored against the list its user had, then learnt."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from stream.catalogue import Catalogue
from stream.config import Settings
from stream.encoder import TextEncoder
from stream.evaluation.clusters import ClusterWatch, Truth
from stream.evaluation.fresh import answer_fresh
from stream.evaluation.steps import Scores, by_count, by_step
from stream.events.decode import decode
from stream.events.files import to_records
from stream.events.schema import EventRecord, ItemRecord
from stream.hashing import HashIndex
from stream.learner import Learner
from stream.model import MemoryLog, Model
from stream.pipeline import Outcome, Pipeline
from stream.profiles.layout import RowLayout
from stream.profiles.table import ProfileTable
from stream.recommending.recommender import Answers

# The first tenth of a log only teaches, as in the protocol that the peers were measured by.
TEACH_SHARE = 0.1

# How often the clusters are looked at; a look costs about a second, outside the time that is reported.
LOOKS = 10

Batching = Literal["step", "count"]


@dataclass
class Report:
    """What an evaluation found; all but ``seconds`` depends on log, settings and seed alone."""

    counts: Counter[str]
    scores: dict[
        str, dict[str, dict[str, float]]
    ]  # by protocol, then lists and popularity, over all and new items
    clusters: list[dict[str, Any]]
    quality: list[dict[str, Any]]  # of the clusters, over the log: see ``ClusterWatch``
    seconds: dict[str, float] = field(default_factory=dict)

    def metrics(self) -> dict[str, Any]:
        """What is reproducible, as JSON takes it."""
        return {
            "counts": {name: self.counts[name] for name in sorted(self.counts)},
            **self.scores,
            "clusters": self.clusters,
            "quality": self.quality,
        }


class Evaluation:
    """One run over one log."""

    def __init__(
        self,
        settings: Settings,
        encoder: TextEncoder,
        items: Iterable[ItemRecord],
        truth: Truth | None = None,
        on_outcome: Callable[[Outcome], None] = lambda _: None,
    ) -> None:
        self.settings = settings
        self.watch = ClusterWatch(settings.clustering.half_life, settings.clustering.seed, truth)
        index = HashIndex()
        self.catalogue = Catalogue(index, encoder.dimensions)
        self.catalogue.upsert(items)
        self.pipeline = Pipeline(settings, encoder, self.catalogue)
        self.model = Model(settings, index, encoder.dimensions)
        self.log = MemoryLog(self.model)
        self.learner = Learner(settings, self.catalogue)
        generation, k = settings.kafka.generation, settings.recommending.k
        layout = RowLayout.of(settings.profiles, k, encoder.dimensions, encoder.encoder_id, generation)
        self.profiles = ProfileTable(layout)
        self.scores = {
            protocol: {name: Scores(k) for name in ("all", "new", "popular_all", "popular_new")}
            for protocol in ("fresh", "live")
        }
        self._on_outcome = on_outcome
        self._offset = 0
        started = time.perf_counter()
        self.pipeline.encode_catalogue()
        self.seconds = {"encode": time.perf_counter() - started, "run": 0.0}

    def run(self, events: Sequence[EventRecord], batching: Batching = "step") -> None:
        """Take in the whole log, in time order."""
        teach = int(len(events) * TEACH_SHARE)
        most = self.settings.worker.micro_batch
        cut = by_step if batching == "step" else by_count
        started = time.perf_counter()
        for batch in cut(events, most):
            before = self._offset * LOOKS // len(events)
            self._batch(batch, scored=self._offset >= teach, fresh=batching == "step")
            if self._offset * LOOKS // len(events) > before:
                self.seconds["run"] += time.perf_counter() - started
                self.watch.look(self.profiles, self.model)
                started = time.perf_counter()
        self.seconds["run"] += time.perf_counter() - started

    def report(self) -> Report:
        """What was found."""
        scores = {p: {name: s.means() for name, s in by_name.items()} for p, by_name in self.scores.items()}
        return Report(self.model.counts, scores, self._clusters(), self.watch.history, self.seconds)

    def _batch(self, events: list[EventRecord], scored: bool, fresh: bool) -> None:
        records = to_records(events, self._offset)
        self._offset += len(events)
        decoded = decode(records, self.settings.events, {0: 1})
        asked = decoded.events
        answers = answer_fresh(asked, self.pipeline, self.profiles, self.model) if fresh and scored else None
        self.profiles.begin()
        outcome = self.pipeline.take_in(decoded, self.profiles, self.model)
        self.profiles.commit()
        self.log.append(outcome.delta)
        while (decision := self.learner.decide(self.model)) is not None:
            self.log.append(decision)
        if scored:
            self._score("live", outcome, outcome.answers)
            if answers is not None:
                kept = np.isin(
                    asked.offset, outcome.events.offset
                )  # duplicates are dropped by the pipeline only
                self._score("fresh", outcome, Answers(answers.rank[kept], answers.popular_rank[kept]))
        if len(outcome.events):
            self.watch.note(len(outcome.touched.rows), int(outcome.events.time.max()))
        self._on_outcome(outcome)

    def _score(self, protocol: str, outcome: Outcome, answers: Answers) -> None:
        step, item = outcome.touched.slot, outcome.events.item
        scores = self.scores[protocol]
        for name, among in (("all", answers.rank > -2), ("new", (answers.rank > -2) & outcome.new)):
            scores[name].add(step[among], item[among], answers.rank[among])
            scores["popular_" + name].add(step[among], item[among], answers.popular_rank[among])

    def _clusters(self) -> list[dict[str, Any]]:
        clusters = self.model.clusters
        users = self.profiles.rows["cluster"][: len(self.profiles)]
        return [
            {
                "id": cluster,
                "label": clusters.labels.get(cluster, ""),
                "segments": clusters.path(cluster),
                "users": int((users == cluster).sum()),
            }
            for cluster in clusters.ids.tolist()
        ]
