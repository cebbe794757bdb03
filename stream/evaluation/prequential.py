"""The service's own pipeline over a log in files: each step meets its lists, and only then is learnt.

The protocol: a step is the events of one user with one timestamp. Lists for it are made from what came
strictly before. ``all``: targets are the step's items, lists hold any; ``new``: targets are items that its
user never had, and so are all in the list. The first tenth of the steps only teach.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from stream.catalogue import Catalogue
from stream.config import Settings
from stream.encoder import TextEncoder
from stream.evaluation.clusters import ClusterWatch, Truth
from stream.evaluation.comparators import Comparator, make_comparators
from stream.evaluation.lists import fresh_lists, live_lists
from stream.evaluation.past import Asked, Past, Targets, join
from stream.evaluation.scores import POPULAR, Scoreboard
from stream.evaluation.slices import over_time, slices
from stream.evaluation.spread import Spread
from stream.evaluation.steps import Round, by_count, by_step
from stream.events.batch import EventBatch
from stream.events.decode import decode
from stream.events.files import to_records
from stream.events.schema import EventRecord, ItemRecord
from stream.hashing import HashIndex
from stream.learner import Learner
from stream.model import MemoryLog, Model
from stream.pipeline import Outcome, Pipeline
from stream.profiles.layout import RowLayout
from stream.profiles.table import ProfileTable
from stream.recommending.quality import LiveQuality
from stream.recommending.sources import CATALOGUE

TEACH_SHARE = 0.1  # of the steps, as in the protocol that the peers were measured by

# Events by which the shared model may lag behind a list; the user's own profile never does. Hundreds miss fashions that
# are young, and premieres; 1 takes several times as long, and gives the same figures within their noise.
LAG = 32

REFIT = 5  # times that batch models are fitted over the log, from the first step that is scored

# How often the clusters are looked at; a look costs about a second, outside the time that is reported.
LOOKS = 10

Batching = Literal["step", "count"]


@dataclass
class Report:
    """What an evaluation found; all but ``seconds`` depends on log, settings and seed alone."""

    counts: dict[str, float]  # where events went, and how lists were met, as the service counts it
    service: dict[str, Any]  # what the service says of its own quality: ``LiveQuality``, and coverage
    scores: dict[str, Any]  # ``Scoreboard.scores``
    slices: dict[str, Any]
    over_time: list[dict[str, Any]]
    sources: dict[str, Any]
    coverage: dict[str, Any]
    clusters: list[dict[str, Any]]
    quality: list[dict[str, Any]]  # of the clusters, over the log: see ``ClusterWatch``
    seconds: dict[str, float] = field(default_factory=dict)

    def metrics(self) -> dict[str, Any]:
        """What is reproducible, as JSON takes it."""
        found = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("scores", "seconds")}
        return found | self.scores


class Evaluation:
    """One run over one log. ``keep_log``: the model log stays in memory, to be looked at."""

    def __init__(
        self,
        settings: Settings,
        encoder: TextEncoder,
        items: Iterable[ItemRecord],
        truth: Truth | None = None,
        on_outcome: Callable[[Outcome], None] = lambda _: None,
        keep_log: bool = True,
    ) -> None:
        self.settings = settings
        self.watch = ClusterWatch(settings.clustering.half_life, settings.clustering.seed, truth)
        index = HashIndex()
        self.catalogue = Catalogue(index, encoder.dimensions)
        self.catalogue.upsert(items)
        self.pipeline = Pipeline(settings, encoder, self.catalogue)
        self.model = Model(settings, index, encoder.dimensions)
        self.log = MemoryLog(self.model, keep_log)
        self.learner = Learner(settings, self.catalogue)
        generation, k = settings.kafka.generation, settings.recommending.k
        layout = RowLayout.of(settings.profiles, k, encoder.dimensions, encoder.encoder_id, generation)
        self.profiles = ProfileTable(layout)
        self.scoreboard, self.spread = Scoreboard(k), Spread()
        self._past = Past()
        self.comparators: dict[str, Comparator] = {}
        self._on_outcome = on_outcome
        self._offset = 0
        started = time.perf_counter()
        self.pipeline.encode_catalogue()
        self.seconds = {"encode": time.perf_counter() - started, "run": 0.0}

    def run(
        self,
        events: Sequence[EventRecord],
        batching: Batching = "step",
        lag: int = LAG,
        compare: Sequence[str] = (),
        refit: int = REFIT,
    ) -> None:
        """Take in the whole log, in the order of time.

        ``step``: every step is judged, with the model at most ``lag`` events behind, beside the comparators
        ``compare``, of which batch models are fitted ``refit`` times. ``count``: as a worker does that has a
        backlog; lists are not judged then. Raises ConfigError for comparators that there are not.
        """
        batches = list(
            by_step(events, lag) if batching == "step" else by_count(events, self.settings.worker.micro_batch)
        )
        steps = 1 + max(int(one.step.max()) for one in batches[-1])
        first = int(steps * TEACH_SHARE)
        self.scoreboard.first = self.spread.first = first
        fits = np.linspace(first, steps, refit, endpoint=False).astype(int).tolist()
        span = events[-1].timestamp - events[0].timestamp
        self.comparators = make_comparators(dict.fromkeys([POPULAR, *compare]), span, fits)
        started = time.perf_counter()
        for rounds in batches:
            before = self._offset * LOOKS // len(events)
            if batching == "step":
                self._judge(rounds)
            else:
                self._learn([self._take_in(one)[-1] for one in rounds])
            if self._offset * LOOKS // len(events) > before:
                self.seconds["run"] += time.perf_counter() - started
                self.watch.look(self.profiles, self.model)
                started = time.perf_counter()
        self.seconds["run"] += time.perf_counter() - started

    def report(self) -> Report:
        """What was found."""
        board, counts = self.scoreboard, self.model.counts
        return Report(
            counts={name: counts[name] for name in sorted(counts)},
            service=self._service(),
            scores=board.scores(),
            slices=slices(board),
            over_time=over_time(board),
            sources=self.spread.sources([*self.model.sources, CATALOGUE]),
            coverage=self.spread.coverage(len(self.model.index)),
            clusters=self._clusters(),
            quality=self.watch.history,
            seconds=self.seconds,
        )

    def _judge(self, rounds: Sequence[Round]) -> None:
        """Score the lists of a batch's steps, all made with the model as it is, and only then let it learn."""
        parts = list(map(self._take_in, rounds))
        asked, targets = join([(asked, targets) for asked, targets, _ in parts])
        if asked.step.max(initial=-1) >= self.scoreboard.first:
            fresh = fresh_lists(asked, self.pipeline, self.model)
            lists = {"fresh": fresh.lists, "live": live_lists(asked)}
            lists |= {name: c.lists(asked, self.scoreboard.k) for name, c in self.comparators.items()}
            self.scoreboard.add(asked, targets, lists)
            self.spread.add(asked, targets, lists, fresh.sources)
        for comparator in self.comparators.values():
            comparator.learn(asked, targets)
        self._learn([outcome for _, _, outcome in parts])

    def _take_in(self, one: Round) -> tuple[Asked, Targets, Outcome]:
        """Run the pipeline on a round, and say what was asked and wanted before it; the model stays as it is."""
        first, records = self._offset, to_records(one.events, self._offset)
        self._offset += len(one.events)
        decoded = decode(records, self.settings.events, {0: 1})
        asked = self._ask(decoded.events, one.step[decoded.events.offset - first])
        self.profiles.begin()
        outcome = self.pipeline.take_in(decoded, self.profiles, self.model)
        self.profiles.commit()
        # Without the duplicates, which only the pipeline knows.
        step = one.step[outcome.events.offset - first]
        targets = self._past.targets(outcome.events, np.searchsorted(asked.step, step))
        self._past.learn(outcome.events)
        return asked, targets, outcome

    def _ask(self, events: EventBatch, step: npt.NDArray[np.int64]) -> Asked:
        """Note how things are just before ``events`` (n,) of ``step`` (n,)."""
        number, first = np.unique(step, return_index=True)
        users = events.user[first]
        rows = self.profiles.peek(users, events.partition[first])
        return Asked(number, users, events.time[first], rows, *self._past.had(users))

    def _learn(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            self.log.append(outcome.delta)
            if len(outcome.events):
                self.watch.note(len(outcome.touched.rows), int(outcome.events.time.max()))
            self._on_outcome(outcome)
        while (decision := self.learner.decide(self.model)) is not None:
            self.log.append(decision)

    def _service(self) -> dict[str, Any]:
        lately = self.model.lately
        return {
            "lately": asdict(LiveQuality.of(lately.counts)),
            "in_all": asdict(LiveQuality.of(self.model.counts)),
            "coverage": lately.listed / max(len(self.model.index), 1),
        }

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
