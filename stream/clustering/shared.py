"""The clusters as the model has them: one state, changed by what the model log says and by nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.clustering.adapters import RiverClusterer
from stream.clustering.assign import assign
from stream.clustering.hierarchy import Hierarchy
from stream.clustering.kmeans import StreamingKMeans
from stream.clustering.lifecycle import Reshaped, apply
from stream.clustering.lineage import Lineage, LineageEvent
from stream.clustering.numbering import Numbering
from stream.clustering.projection import Projection
from stream.clustering.stats import ClusterStats
from stream.config import ClusteringSettings
from stream.errors import ConfigError

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True, slots=True)
class Named:
    """What clusters are called, and the segments over them."""

    ids: Ids  # (k,)
    labels: list[str]  # (k,)
    hierarchy: Hierarchy


@dataclass(frozen=True, slots=True)
class Measured:
    """How large and how wide each of k clusters is."""

    size: npt.NDArray[np.float64]  # (k,) users, older ones counting less
    share: npt.NDArray[np.float64]  # (k,) of all users; adds up to 1
    spread: npt.NDArray[np.float64]  # (k,) root of the mean squared distance to the centre


class SharedClusters:
    """Projection, clusterer, lineage, names. Nothing is assigned before ``seed``."""

    def __init__(self, settings: ClusteringSettings) -> None:
        self._settings = settings
        if settings.algorithm != "StreamingKMeans":
            self._river(1)  # refuses parameters that do not suit, before there is work
        elif settings.parameters:
            raise ConfigError("clustering.parameters are River's; StreamingKMeans has settings of its own")
        # Ids and centres as they were when clusters last came, went or were put elsewhere: ``version`` counts that.
        # What is derived at a cost is derived from these, so that whoever folds the log anew derives the same.
        self.version = 0
        self.reference: tuple[Ids, Floats] = np.empty(0, np.int64), np.empty((0, 1), np.float32)
        self.projection: Projection | None = None
        self.clusterer: StreamingKMeans | RiverClusterer | None = None
        self.lineage = Lineage()
        self.numbering = Numbering()
        self.labels: dict[int, str] = {}
        self.hierarchy: Hierarchy | None = None
        self.born: dict[int, int] = {}  # id -> the model's clock when it first was there
        self.shares: dict[int, float] = {}  # id -> share when the clusters were last named

    @property
    def ids(self) -> Ids:
        """Ids of the clusters there are, (k,), ascending."""
        return np.empty(0, np.int64) if self.clusterer is None else self.clusterer.ids

    @property
    def centres(self) -> Floats:
        """Their centres, (k, d)."""
        if self.clusterer is None or not len(self.ids):
            return np.empty((0, 1 if self.projection is None else self.projection.dimensions), np.float32)
        return self.clusterer.centres

    @property
    def kmeans(self) -> StreamingKMeans | None:
        """The clusterer where it is Shoal's own: the others neither merge nor are reshaped."""
        return self.clusterer if isinstance(self.clusterer, StreamingKMeans) else None

    def project(self, profiles: Floats) -> Floats:
        """Unit profile vectors (m, D) in the clusters' space, float32 (m, d); (m, 1) of zeros before there is one."""
        if self.projection is None:
            return np.zeros((len(profiles), 1), np.float32)
        return self.projection.apply(profiles)

    def assign(self, vectors: Floats, current: Ids) -> Ids:
        """Clusters of projected ``vectors`` (m, d) of users who are in ``current`` (m,) now; -1 for none."""
        none = np.full(len(vectors), -1, np.int64)
        if self.clusterer is None or not len(vectors):
            return none
        if isinstance(self.clusterer, StreamingKMeans):
            living = self.lineage.resolve(current)
            ids = self.clusterer.predict_many(vectors, current=living, margin=self._settings.margin)
        else:
            ids = self.clusterer.predict_many(vectors)
        return none if ids is None else ids

    def seed(self, projection: Projection, centres: Floats, weights: npt.NDArray[np.float64]) -> None:
        """Start; a centre counts ``weights`` (k,) users, or the first batch would carry it off."""
        self.projection = projection
        if self._settings.algorithm != "StreamingKMeans":
            self.clusterer = self._river(len(centres))
        else:
            self.clusterer = self._kmeans(centres, np.arange(len(centres)), weights)
        self._mark()

    def reproject(self, projection: Projection, centres: Floats, errors: npt.NDArray[np.float64]) -> None:
        """Go on in another space: the clusters stay who they are, at ``centres`` (k, d), ``errors`` (k,) from there."""
        if self.kmeans is None:
            return
        before = self.kmeans.weighted
        self.clusterer = self._kmeans(centres, before.ids, before.weights)
        after = self.clusterer.weighted
        after.errors[:] = before.weights * errors
        after.next_id, after.pace = before.next_id, before.pace
        self.projection = projection
        self._mark()

    def _river(self, k: int) -> RiverClusterer:
        settings = self._settings
        return RiverClusterer(settings.algorithm, k, settings.seed, settings.parameters)

    def _kmeans(self, centres: Floats, ids: Ids, weights: npt.NDArray[np.float64]) -> StreamingKMeans:
        # Euclidean on unit vectors: a centre inside the sphere says how far its users spread, and is nearer to them
        # all than one pushed out to unit length.
        settings = self._settings
        model = StreamingKMeans(len(centres), half_life=settings.half_life, seed=settings.seed)
        model.seed_with(centres, ids)
        model.weighted.weights[:] = weights
        return model

    def _mark(self) -> None:
        self.version += 1
        self.reference = self.ids.copy(), self.centres.copy()

    def learn(self, stats: ClusterStats | None, updates: int, sample: Floats) -> list[LineageEvent]:
        """Fold what a delta of so many profile ``updates`` says of the clusters; what became of whom.

        Clusterers that do not merge learn its ``sample`` (s, D) of profiles instead, and their clusters come and go.
        """
        if self.kmeans is not None:
            if stats is not None:
                self.kmeans.fold(stats, self.lineage, elapsed=updates)
            return []
        if self.clusterer is None or not len(sample):
            return []
        ids, centres = self.ids, self.centres
        self.clusterer.learn_many(self.project(sample))
        events = [LineageEvent(i, "born", "found") for i in np.setdiff1d(self.ids, ids).tolist()]
        for row in np.flatnonzero(~np.isin(ids, self.ids)):
            heir = self.ids[assign(centres[row : row + 1], self.centres)[0][0]]
            events.append(LineageEvent(int(ids[row]), "retired", "lost", heir=int(heir)))
        self.lineage.fold(events)
        if events:
            self._mark()
        return events

    def review(self, change: Reshaped | None) -> list[LineageEvent]:
        """Carry out a decision of the life cycle; what became of whom."""
        events: list[LineageEvent] = []
        if self.kmeans is not None and change is not None:
            events = apply(self.kmeans, change)
            self.lineage.fold(events)
            self._mark()
        return events

    def measure(self, profiles: Floats) -> Measured:
        """Sizes and spreads; of clusterers that keep none, from sampled unit ``profiles`` (s, D)."""
        if self.kmeans is not None:
            size, error = self.kmeans.weights, self.kmeans.errors
        else:
            vectors = self.project(profiles)
            rows, away = assign(vectors, self.centres)
            size = np.bincount(rows, minlength=len(self.ids)).astype(np.float64)
            error = np.bincount(rows, away, len(self.ids)).astype(np.float64)
        share = size / max(float(size.sum()), TINY)
        return Measured(size, share, np.sqrt(error / np.maximum(size, TINY)))

    def note_births(self, clock: int) -> None:
        """Remember since when clusters are there; those that are gone are forgotten."""
        self.born = {cluster: self.born.get(cluster, clock) for cluster in self.ids.tolist()}

    def note_shares(self, profiles: Floats) -> None:
        """Remember how large clusters are, by sampled unit ``profiles`` (s, D): growth is told from here on."""
        self.shares = dict(zip(self.ids.tolist(), self.measure(profiles).share.tolist(), strict=True))

    def name(self, named: Named) -> None:
        """Take names over; those of clusters that are gone are forgotten."""
        self.labels = dict(zip(named.ids.tolist(), named.labels, strict=True))
        self.hierarchy = named.hierarchy

    def path(self, cluster: int) -> tuple[int, ...]:
        """Segments of a cluster, coarse first; () where it has none yet."""
        return () if self.hierarchy is None else self.hierarchy.path(cluster)
