"""From the model and a user's profile to a list."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.catalogue import Catalogue
from stream.clustering.projection import Projection
from stream.config import RecommendingSettings
from stream.events.batch import EventBatch
from stream.model import Model
from stream.profiles.layout import Rows
from stream.recommending.kernels import MORE_FEATURES, make_lists, published_rank, sample_lists
from stream.recommending.lessons import Lessons
from stream.recommending.mixture import situation
from stream.recommending.ranker import SampledLists
from stream.recommending.readers import Readers
from stream.recommending.tables import heaviest

# Items per cluster that its users' own vectors choose from: what a cosine with each costs is what a list
# costs.
SHORTLIST = 256
# Candidates that a sampled list keeps, the best by the sources' mixture: those that are hard to tell from
# what was taken.
SAMPLED_CANDIDATES = 64

Rows32 = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Lists:
    """m lists of at most k items, best first."""

    item: Rows32  # (m, k) item rows, -1 where there are no more
    score: Floats  # (m, k) the ranker's; a difference of 1 is a factor of e in likelihood
    source: npt.NDArray[
        np.uint8
    ]  # (m, k) index into ``source_names``: which contributes most; one more: none does


@dataclass(frozen=True, slots=True)
class Answers:
    """How n events met the lists last published for their users.

    Places from 0; -1: not in the list; -2: not asked, as there was no list, no item, or nothing liked.
    """

    rank: npt.NDArray[np.int16]  # (n,)
    popular_rank: npt.NDArray[
        np.int16
    ]  # (n,) the same, had the list held what is popular and new to the user


class Recommender:
    """Makes lists; holds what is derived from model and catalogue for that, and nothing that would be missed."""

    def __init__(self, settings: RecommendingSettings, catalogue: Catalogue) -> None:
        self.settings = settings
        self.catalogue = catalogue
        self._item_vectors = np.zeros((0, 1), np.float32)
        self._content = np.full((0, 1), -1, np.int32)
        self._drawn_up: tuple[int, int] | None = None
        self._projection: Projection | None = None  # in which the item vectors are

    def refresh(self, model: Model) -> None:
        """Draw up the shortlists again where the catalogue or the clusters have moved on."""
        self.catalogue.reserve(len(model.index))
        clusters = model.clusters
        state = (self.catalogue.version, clusters.version)
        if state == self._drawn_up or clusters.projection is None:
            return
        # The index may have grown by items that the catalogue does not know.
        same_items = len(self._item_vectors) == len(self.catalogue.vectors)
        same_space = clusters.projection is self._projection
        if self._drawn_up is None or self._drawn_up[0] != state[0] or not (same_items and same_space):
            self._item_vectors = clusters.project(self.catalogue.vectors)
            self._projection = clusters.projection
        self._drawn_up = state
        ids, centres = clusters.reference
        listable = self.catalogue.has_vector & self.catalogue.available
        nearness = np.where(listable, centres @ self._item_vectors.T + np.float32(2), np.float32(0))
        self._content = np.full((int(ids.max(initial=-1)) + 1, SHORTLIST), -1, np.int32)
        for cluster, near in zip(ids.tolist(), nearness, strict=True):
            top = heaviest(near, SHORTLIST, model.index.keys)
            self._content[cluster, : len(top)] = top

    def recommend(self, readers: Readers, model: Model, now: int) -> Lists:
        """Lists for ``readers``; ``now`` in ms decides what is on offer already."""
        m, k = len(readers.cluster), self.settings.k
        out = Lists(np.full((m, k), -1, np.int32), np.zeros((m, k), np.float32), np.zeros((m, k), np.uint8))
        make_lists(
            readers.history,
            readers.seen,
            readers.length,
            readers.cluster,
            readers.vectors,
            model.mixture.weights[situation(readers.length)],
            self._views(model),
            model.items.popular_shares(),
            self._vectors_for(model),
            self._covisits(model),
            model.ranker.arrays(),
            self._on_offer(now),
            model.index.keys,
            out.item,
            out.score,
            out.source,
        )
        # What nobody has taken is in a list only to fill it.
        taken = np.append(model.items.counts_of(model.index), 0) > 0  # and -1, for no item, finds the last
        out.source[
            (out.item >= 0) & ~taken[out.item] & (out.source < len(self.settings.popular_half_lives))
        ] = len(model.sources)
        return out

    def sample(
        self, lessons: Lessons, readers: Readers, model: Model, now: int
    ) -> tuple[Floats, SampledLists]:
        """What the sources had to do with what l ``readers`` took, and the lists they might have had before.

        The first is float32 (situations, sources): responsibilities, summed.
        """
        users, sources = len(readers.cluster), len(model.sources)
        taught = np.zeros_like(model.mixture.sums, np.float32)
        if not users:
            return taught, SampledLists.none(sources)
        situations = situation(readers.length)
        features = np.empty((users * SAMPLED_CANDIDATES, sources + MORE_FEATURES), np.float32)
        hit = np.empty(len(features), np.bool_)
        size = np.empty(users, np.int32)
        n = sample_lists(
            lessons.target,
            lessons.first,
            readers.history,
            readers.seen,
            readers.length,
            readers.cluster,
            readers.vectors,
            model.mixture.weights[situations],
            situations,
            self._views(model),
            model.items.popular_shares(),
            self._vectors_for(model),
            self._covisits(model),
            self._on_offer(now),
            taught,
            features,
            hit,
            size,
        )
        return taught, SampledLists(size[size > 0], features[:n].astype(np.float16), hit[:n].copy())

    def _on_offer(self, now: int) -> npt.NDArray[np.bool_]:
        return self.catalogue.available & (self.catalogue.available_from <= now)

    def popular(self, model: Model) -> Rows32:
        """What lists are measured against: item rows by popularity at the middle half-life, best first."""
        charts = model.items.charts.popular
        chart: Rows32 = charts[len(charts) // 2]
        return chart[chart >= 0]

    def score_published(
        self, events: EventBatch, rows: npt.NDArray[np.int64], profiles: Rows, model: Model
    ) -> Answers:
        """How ``events`` (n,), of users at ``rows`` (n,) of ``profiles``, met the lists last published."""
        answers = Answers(np.empty(len(rows), np.int16), np.empty(len(rows), np.int16))
        published_rank(
            rows,
            events.item,
            events.weight,
            profiles["list_item"],
            profiles["history_item"],
            model.index.keys[self.popular(model)],
            self.settings.exclude_seen,
            answers.rank,
            answers.popular_rank,
        )
        return answers

    def _fallback(self, popular: Rows32, model: Model) -> Rows32:
        """``popular`` (half-lives, p), the last row filled up with items of the catalogue that nobody has taken yet.

        A service that has seen nothing has nothing else to offer; they come in the order of their hashes.
        """
        listed = popular[-1]
        free = int((listed < 0).sum())
        rows = (
            np.flatnonzero(self.catalogue.known & self.catalogue.available) if free else np.empty(0, np.int64)
        )
        rows = rows[~np.isin(rows, listed)]
        rows = rows[np.argsort(model.index.keys[rows])][:free]
        if not len(rows):
            return popular
        filled = popular.copy()
        filled[-1, len(listed) - free : len(listed) - free + len(rows)] = rows
        return filled

    def _views(self, model: Model) -> tuple[Rows32, Floats, Rows32, Floats, Rows32]:
        charts = model.items.charts
        return (
            self._fallback(charts.popular, model),
            charts.popular_share,
            charts.trending,
            charts.trending_share,
            self._content,
        )

    def _vectors_for(self, model: Model) -> Floats:
        missing = len(model.index) - len(self._item_vectors)
        if missing > 0:
            blank = np.zeros((missing, self._item_vectors.shape[1]), np.float32)
            self._item_vectors = np.concatenate([self._item_vectors, blank])
        return self._item_vectors

    @staticmethod
    def _covisits(model: Model) -> tuple[Rows32, Floats, Floats, np.float32]:
        covisits = model.items.covisits
        return covisits.ids, covisits.counts, covisits.totals, np.float32(model.items.now)
