"""The model that all workers share: nothing but the fold of the model log.

Every worker folds the same entries in the same order, its own included, and changes the model in no other
way. So an abort has nothing of the model to undo, and offline the log is a list in memory.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from stream.clustering.lineage import LineageEvent
from stream.clustering.projection import Projection
from stream.clustering.sample import SampledProfiles
from stream.clustering.shared import SharedClusters
from stream.config import Settings
from stream.entries import (
    Decision,
    Delta,
    Entry,
    Labelled,
    Paced,
    Refitted,
    Reprojected,
    Reviewed,
    Schooled,
    Seeded,
    TookOver,
    Trained,
)
from stream.hashing import HashIndex
from stream.recommending.counts import ItemCounts
from stream.recommending.exploring import TrialCounts
from stream.recommending.item_models import ItemModels, by_rows
from stream.recommending.mixture import Mixture
from stream.recommending.quality import Lately
from stream.recommending.ranker import ListWindow, RankerState
from stream.recommending.sequences import SequenceModel
from stream.recommending.sources import Columns
from stream.recommending.takings import Takings

# Sampled lists kept to learn from, 10 KB each: shorter forgets what comes once a week, longer learns from
# what is over.
LIST_WINDOW = 4_096
# Events that make one error: of fewer, it says who came rather than how well the clusters fit; more see drift late.
WATCHED_EVENTS = 64
# Errors that wait for the learner to look at them; it looks after each fold, and a new one starts with none.
ERRORS_KEPT = 1_024


class Model:
    """Clusters, item counts and source weights at one version, which is the offset folded last.

    Items have rows in ``index``, which the catalogue of the same process shares; rows differ between
    processes, so nothing that is published, and no order among equals, depends on them.
    """

    def __init__(self, settings: Settings, index: HashIndex, dimensions: int) -> None:
        self.settings = settings
        self.index = index
        self.version = -1
        self.decisions = 0  # taken so far; the next one carries this number
        self.decided: Counter[str] = Counter()  # the same, by kind
        self.clock = 0  # events folded
        self.time = 0  # ms, of the newest step
        self.updates = 0  # profile updates folded
        self.counts: Counter[str] = Counter()
        self.lately = Lately()  # the same, of late
        self.positions: dict[int, int] = {}  # per partition of events the next one to be taken in
        self.events_topic = ""  # identity of the topic that these are of
        self.item_ids: dict[int, str] = {}  # id texts by row
        rec = settings.recommending
        # Long enough for a full list after all that a user has seen is left out.
        self.items = ItemCounts(rec, max(rec.candidates, settings.profiles.history + rec.k))
        self.columns = Columns.of(self.items.popularity.names, settings.sequence.enabled)
        self.sources = self.columns.names
        self.mixture = Mixture(self.sources, rec.sources)
        self.ranker = RankerState.prior(len(self.sources), settings.clustering.seed)
        self.lists = ListWindow(LIST_WINDOW)
        self.trials = TrialCounts()
        self.takings = Takings(settings.item_models.window)
        self.item_models = by_rows([], np.empty(0, np.int64), 0)
        self.fitted_at = 0  # clock up to which events went into them
        self.sequence: SequenceModel | None = None  # before it was trained, and where it is switched off
        clustering = settings.clustering
        self.sample = SampledProfiles(clustering.sample, dimensions, clustering.half_life)
        self.clusters = SharedClusters(settings.clustering)
        self.errors: deque[float] = deque(maxlen=ERRORS_KEPT)  # mean quantisation errors, the newest last
        self.error_count = 0  # of all there ever were
        self._watched = np.zeros(0, np.float32)  # squared distances of what was taken since the last of them
        self._projected_at = -1  # version at which the clusters' space was last replaced
        self.reviewed_at = 0  # clock of the last review of the clusters
        self.named_at = 0  # clock of the last labelling
        self.labels_due = False
        self.took_over = False  # from an older generation
        self.news: list[LineageEvent] = []  # what became of clusters since the last labelling

    def fold(self, offset: int, entry: Entry) -> None:
        """Take in the entry that stands at ``offset`` of the log."""
        if isinstance(entry, Delta):
            self._fold_delta(entry)
        elif entry.sequence == self.decisions:
            self.decisions += 1
            self.decided[type(entry).__name__.lower()] += 1
            self._fold_decision(offset, entry)
        self.version = offset

    def _fold_decision(self, offset: int, decision: Decision) -> None:
        match decision:
            case Seeded():
                projection = Projection(decision.mean, decision.components)
                self.clusters.seed(projection, decision.centres, decision.weights)
                self.clusters.note_births(self.clock)
                self.reviewed_at, self.labels_due = self.clock, True
            case Reprojected():
                projection = Projection(decision.mean, decision.components)
                self.clusters.reproject(projection, decision.centres, decision.errors)
                self._projected_at = offset
            case Reviewed():
                self.reviewed_at = self.clock
                events = self.clusters.review(decision.change)
                named_long_ago = self.clock - self.named_at >= self.settings.worker.learn_every
                self.labels_due |= bool(events) or named_long_ago
                self._take_over(events)
            case Labelled():
                self.clusters.name(decision.named)
                self.clusters.note_shares(self.sample.vectors())
                self.named_at, self.labels_due = self.clock, False
                self.news = []
            case Paced():
                if self.clusters.kmeans is not None:
                    self.clusters.kmeans.weighted.pace = decision.drift.pace
            case Trained():
                self.ranker = decision.ranker
                self.lists.fresh -= decision.lists
            case TookOver():
                self.clusters.numbering.go_on(decision.clusters)
                self.took_over = self.labels_due = True
            case Refitted():
                self._refit(decision.fit)
            case Schooled():
                self.sequence = decision.model

    def _refit(self, fit: ItemModels) -> None:
        rows = self.index.insert(fit.items)
        self.item_models = by_rows(fit.models, rows, len(self.index))
        self.fitted_at = fit.clock

    def _take_over(self, events: list[LineageEvent]) -> None:
        self.items.inherit(events)
        self.clusters.note_births(self.clock)
        self.news += events

    def _fold_delta(self, delta: Delta) -> None:
        self.counts.update(delta.counts)
        self.lately.fold(delta.counts, delta.listed, delta.events)
        self.positions.update({partition: last + 1 for partition, (_, last) in delta.offsets.items()})
        self.events_topic = delta.events_topic
        rows = self.index.insert(delta.items)
        for row, item_id in zip(rows.tolist(), delta.item_ids, strict=True):
            if item_id is not None:
                self.item_ids[row] = item_id
        self._fold_steps(rows, delta)
        self._fold_clusters(delta)
        self.sample.fold(delta.sample_users, delta.sample_vectors, self.updates)
        self.mixture.fold(delta.taught.responsibilities)
        self.items.repeats.fold(delta.taught.own_class, delta.taught.own_taken)
        self.lists.fold(delta.taught.lists)
        self.clock += delta.events
        self.updates += delta.updates
        self.time = max(self.time, int(delta.steps.time.max(initial=0)))
        self.items.advance(self.clock, self.time, self.index.keys)

    def _fold_steps(self, rows: npt.NDArray[np.int64], delta: Delta) -> None:
        cluster = self.clusters.lineage.resolve(delta.steps.cluster.astype(np.int64))
        cluster[~np.isin(cluster, self.clusters.ids)] = -1  # gone so long ago that nobody knows its heir
        self.items.count(
            rows[delta.event_item],
            delta.event_weight,
            delta.event_new,
            replace(delta.steps, cluster=cluster.astype(np.int32)),
            rows[delta.steps.window],
            self.index,
            self.clock,
        )
        self.trials.fold(delta.trials)
        self.takings.fold(delta.new_to, delta.items[delta.event_item[delta.event_new]], self.clock)

    def _fold_clusters(self, delta: Delta) -> None:
        # Sums that were made in the space before mean nothing in this one.
        stats = delta.clusters if delta.base_version >= self._projected_at else None
        events = self.clusters.learn(stats, delta.updates, delta.sample_vectors.astype(np.float32))
        if events:
            self._take_over(events)
        if stats is not None:
            self._watch(delta.watched)

    def _watch(self, distances: npt.NDArray[np.float32]) -> None:
        waiting = np.concatenate([self._watched, distances])
        errors, over = divmod(len(waiting), WATCHED_EVENTS)
        means = waiting[: errors * WATCHED_EVENTS].reshape(errors, WATCHED_EVENTS).mean(axis=1)
        self.errors.extend(means.tolist())
        self.error_count += errors
        self._watched = waiting[len(waiting) - over :]


class MemoryLog:
    """The model log of one process without a broker: appended to and folded at once.

    ``entries`` holds what was appended, unless ``keep`` is false: an entry is up to some hundred KB.
    """

    def __init__(self, model: Model, keep: bool = True) -> None:
        self.model = model
        self.entries: list[Entry] = []
        self._keep = keep

    def append(self, entry: Entry) -> None:
        """Write ``entry`` and fold it."""
        if self._keep:
            self.entries.append(entry)
        self.model.fold(self.model.version + 1, entry)
