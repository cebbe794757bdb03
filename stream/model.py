"""The model that all workers share: nothing but the fold of the model log.

Every worker folds the same entries in the same order, its own included, and changes the model in no other way. So an abort
has nothing of the model to undo, and offline the log is a list in memory.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt

from stream.clustering.kmeans import StreamingKMeans
from stream.clustering.projection import Projection
from stream.config import Settings
from stream.entries import Delta, Entry, Labelled, Seeded
from stream.hashing import HashIndex
from stream.recommending.counts import ItemCounts
from stream.recommending.mixture import Mixture, source_names
from stream.recommending.ranker import ListWindow, RankerState

# Sampled lists kept to learn from, 1.5 KB each: shorter forgets what comes once a week, longer learns from what is over.
LIST_WINDOW = 4_096


class SampledProfiles:
    """The profiles most recently sampled, one per user, at most ``size``; float16 vectors, as deltas carry them."""

    def __init__(self, size: int, dimensions: int) -> None:
        self._users: dict[int, int] = {}
        self._owner = np.zeros(size, np.uint64)
        self._vectors = np.zeros((size, dimensions), np.float16)
        self._next = 0

    def __len__(self) -> int:
        return len(self._users)

    @property
    def vectors(self) -> npt.NDArray[np.float32]:
        """Unit vectors, float32 (n, D)."""
        return self._vectors[: len(self)].astype(np.float32)

    def fold(self, users: npt.NDArray[np.uint64], vectors: npt.NDArray[np.float16]) -> None:
        """Take in a sample; a user's newer vector replaces the older, a newcomer the oldest entry."""
        for user, vector in zip(users.tolist(), vectors, strict=True):
            at = self._users.get(user)
            if at is None:
                at = self._next
                self._next = (at + 1) % len(self._owner)
                self._users.pop(int(self._owner[at]), None)
                self._users[user] = at
                self._owner[at] = user
            self._vectors[at] = vector


class Model:
    """Clusters, item counts and source weights at one version, which is the offset folded last.

    Items have rows in ``index``, which the catalogue of the same process shares; rows differ between processes, so
    nothing that is published, and no order among equals, depends on them.
    """

    def __init__(self, settings: Settings, index: HashIndex, dimensions: int) -> None:
        self.settings = settings
        self.index = index
        self.version = -1
        self.decisions = 0  # taken so far; the next one carries this number
        self.clock = 0  # events folded
        self.counts: Counter[str] = Counter()
        self.item_ids: dict[int, str] = {}  # id texts by row
        rec = settings.recommending
        # Long enough for a full list after all that a user has seen is left out.
        self.items = ItemCounts(rec, rec.candidates + settings.profiles.history + rec.k)
        self.sources = source_names(len(rec.popular_half_lives))
        self.mixture = Mixture(rec.half_life, self.sources)
        self.ranker = RankerState.prior(len(self.sources), settings.clustering.seed)
        self.lists = ListWindow(LIST_WINDOW)
        self.sample = SampledProfiles(settings.clustering.sample, dimensions)
        self.projection: Projection | None = None
        self.clusters: StreamingKMeans | None = None
        self.labels: dict[int, str] = {}
        self.labelled_at = 0  # clock of the last labelling

    def fold(self, offset: int, entry: Entry) -> None:
        """Take in the entry that stands at ``offset`` of the log."""
        if isinstance(entry, Delta):
            self._fold_delta(entry)
        elif entry.sequence == self.decisions:
            self.decisions += 1
            if isinstance(entry, Seeded):
                self._fold_seeded(entry)
            elif isinstance(entry, Labelled):
                self._fold_labelled(entry)
            else:
                self.ranker = entry.ranker
                self.lists.fresh -= entry.lists
        self.version = offset

    def _fold_seeded(self, decision: Seeded) -> None:
        clustering = self.settings.clustering
        self.projection = Projection(decision.mean, decision.components)
        self.clusters = StreamingKMeans(
            n_clusters=len(decision.centres),
            half_life=clustering.half_life,
            spherical=True,
            seed=clustering.seed,
        )
        self.clusters.seed_with(decision.centres)
        self.clusters.weighted.weights[:] = decision.weights

    def _fold_labelled(self, decision: Labelled) -> None:
        self.labels.update(zip(decision.ids.tolist(), decision.labels, strict=True))
        self.labelled_at = self.clock

    def _fold_delta(self, delta: Delta) -> None:
        self.counts.update(delta.counts)
        rows = self.index.insert(delta.items)
        for row, item_id in zip(rows.tolist(), delta.item_ids, strict=True):
            if item_id is not None:
                self.item_ids[row] = item_id
        context = np.where(delta.context >= 0, rows[delta.context], -1) if len(rows) else delta.context
        self.items.count(
            rows[delta.event_item],
            delta.event_weight,
            delta.event_cluster,
            context.astype(np.int64),
            self.index.keys,
        )
        if delta.clusters is not None and self.clusters is not None:
            self.clusters.fold(delta.clusters)
        self.sample.fold(delta.sample_users, delta.sample_vectors)
        self.mixture.fold(delta.taught)
        self.lists.fold(delta.lists)
        self.clock += delta.events
        self.items.advance(self.clock, self.index.keys)


class MemoryLog:
    """The model log of one process without a broker: appended to and folded at once."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.entries: list[Entry] = []

    def append(self, entry: Entry) -> None:
        """Write ``entry`` and fold it."""
        self.entries.append(entry)
        self.model.fold(len(self.entries) - 1, entry)
