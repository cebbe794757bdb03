"""From the model and a user's profile to a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.catalogue import Catalogue
from stream.config_lists import RecommendingSettings
from stream.events.batch import EventBatch
from stream.model import Model
from stream.profiles.layout import Rows
from stream.recommending.answers import Answers, published_rank
from stream.recommending.content import Content
from stream.recommending.features import MORE_FEATURES
from stream.recommending.kernels import make_lists, sample_lists
from stream.recommending.lessons import Lessons
from stream.recommending.mixture import situation
from stream.recommending.new_items import NewItems
from stream.recommending.offer import Offer
from stream.recommending.proposing import propose, propose_by_text
from stream.recommending.ranker import SampledLists
from stream.recommending.readers import Readers
from stream.recommending.reasons import name_reasons
from stream.recommending.repeats import classes
from stream.recommending.rules import Rules
from stream.recommending.scratch import Scratch
from stream.recommending.sequences import SequenceSource
from stream.recommending.situations import describe_situation
from stream.recommending.tables import Proposals
from stream.recommending.taught import Taught

# Users whose lists are made in one go: what the sources propose to them stays in the processor's cache.
AT_ONCE = 128
# Candidates that a sampled list keeps: what was taken, and those that are hard to tell from it.
SAMPLED_CANDIDATES = 80
# Half-life, in events, of the popularity that contexts back off to, and that lists are measured against.
MIDDLE = 4_000.0

Rows32 = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Lists:
    """m lists of at most k items, best first."""

    item: Rows32  # (m, k) item rows, -1 where there are no more
    score: Floats  # (m, k) the ranker's; a difference of 1 is a factor of e in likelihood
    source: npt.NDArray[
        np.uint8
    ]  # (m, k) index into ``model.sources``: which contributes most; one more: none does


class Recommender:
    """Makes lists; holds what is derived from model and catalogue for that, and nothing that would be missed."""

    def __init__(
        self,
        settings: RecommendingSettings,
        catalogue: Catalogue,
        rules: Rules,
        sequence: SequenceSource | None = None,
    ) -> None:
        self.settings = settings
        self.rules = rules
        self.catalogue = catalogue
        self.content = Content(catalogue)
        self.new_items = NewItems(catalogue, self.content)
        self.sequence = sequence
        self.scratch = Scratch()
        self.offer = Offer(catalogue)

    def refresh(self, model: Model) -> None:
        """Draw up what is derived again where the catalogue or the clusters have moved on."""
        self.content.refresh(model)
        self.new_items.refresh(model)
        if self.sequence is not None:
            self.sequence.refresh(model.sequence, model.index)

    def recommend(self, readers: Readers, model: Model, now: int) -> Lists:
        """Lists for m ``readers``; ``now`` in ms: items available from later on are left out."""
        m, k = len(readers.cluster), self.rules.depth(self.settings.k)
        out = Lists(np.full((m, k), -1, np.int32), np.zeros((m, k), np.float32), np.zeros((m, k), np.uint8))
        view = _View(self, model, now)
        weights = model.mixture.weights[situation(readers.length)]
        ranker = model.ranker.arrays()
        near = propose_by_text(readers, self.content, self.new_items)
        for start in range(0, m, AT_ONCE):
            part = slice(start, start + AT_ONCE)
            some = readers.select(part)
            proposals, first, people, situations = view.of(some, [one.select(part) for one in near])
            make_lists(
                people,
                some.seen,
                situations,
                weights[part],
                view.charts,
                proposals,
                first,
                view.known,
                view.least,
                model.ranker.glance,
                ranker,
                view.available,
                model.index.keys,
                view.scratch(proposals, some),
                out.item[part],
                out.score[part],
                out.source[part],
            )
        # What nobody has taken is in a list only to fill it.
        filler = (out.item >= 0) & (out.source < model.columns.popular)
        filler &= ~model.items.lives.has_taken(out.item)
        out.source[filler] = len(model.sources)
        return self._choose(out, model)

    def _choose(self, ranked: Lists, model: Model) -> Lists:
        """The lists that the rules leave of what is ranked."""
        if not self.rules.choosy:
            return ranked
        vectors = self.content.vectors(len(model.index))
        place = self.rules.choose(
            ranked.item, ranked.score, self.settings.k, self.catalogue.category, vectors
        )
        user = np.arange(len(place))[:, None]
        item = np.where(place >= 0, ranked.item[user, place], np.int32(-1))
        return Lists(item, ranked.score[user, place], ranked.source[user, place])

    def name_reasons(self, lists: Lists, readers: Readers, model: Model) -> npt.NDArray[np.int64]:
        """What the reasons of m ``lists`` for ``readers`` name, int64 (m, k): see ``stream.recommending.reasons``."""
        return name_reasons(lists.item, lists.source, readers, model, self.content.vectors(len(model.index)))

    def sample(self, lessons: Lessons, readers: Readers, model: Model, now: int) -> Taught:
        """What the sources had to do with what l ``readers`` took, and the lists they might have had before."""
        users, columns = len(readers.cluster), len(model.sources)
        if not users:
            return Taught.nothing(columns)
        view = _View(self, model, now)
        proposals, first, people, situations = view.of(
            readers, propose_by_text(readers, self.content, self.new_items)
        )
        mixtures = situation(readers.length)
        responsibilities = np.zeros_like(model.mixture.sums, np.float32)
        features = np.empty((users * SAMPLED_CANDIDATES, columns + MORE_FEATURES), np.float32)
        hit = np.empty(len(features), np.bool_)
        size = np.empty(users, np.int32)
        n = sample_lists(
            lessons.target,
            lessons.bounds,
            people,
            model.mixture.weights[mixtures],
            mixtures,
            view.charts,
            proposals,
            first,
            view.known,
            view.least,
            model.ranker.glance,
            view.available,
            view.scratch(proposals, readers),
            SAMPLED_CANDIDATES,
            responsibilities,
            features,
            hit,
            size,
        )
        lists = SampledLists(
            size[size > 0],
            situations[size > 0].astype(np.float16),
            features[:n].astype(np.float16),
            hit[:n].copy(),
        )
        own_class, taken = classes(people[0], lessons.target, lessons.bounds)
        return Taught(responsibilities, own_class, taken, lists)

    def popular(self, model: Model) -> Rows32:
        """What lists are measured against: item rows by popularity at the middle half-life, best first."""
        popularity = model.items.popularity
        chart: Rows32 = popularity.chart[popularity.column(MIDDLE)]
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
            self.settings.exclude_seen is True,
            answers.rank,
            answers.popular_rank,
        )
        return answers


class _View:
    """The model and the catalogue at one moment, as the kernels take them."""

    def __init__(self, recommender: Recommender, model: Model, now: int) -> None:
        settings, catalogue = recommender.settings, recommender.catalogue
        self.model, self.settings = model, settings
        self.sequence = recommender.sequence
        self._scratch = recommender.scratch
        self.available = recommender.offer.at(now, recommender.rules, model.index)
        items = model.items
        popularity = items.popularity
        enabled = model.mixture.enabled[: model.columns.popular]
        take = np.where(enabled, settings.candidates, 0)
        self.charts = (
            self._filled(popularity.chart, catalogue),
            take,
            popularity.counts,
            popularity.shares * enabled,
        )
        vectors = recommender.content.vectors(len(model.index))
        if not settings.vectors:
            vectors = np.zeros_like(vectors)
        base = popularity.column(MIDDLE)
        lives = items.lives.arrays()
        self.known = (lives, model.clock, vectors, items.repeats.rates, model.columns.popular, base)
        self.least = np.array(model.columns.least, np.float32)

    def of(self, readers: Readers, near: Sequence[Proposals]) -> tuple[Any, ...]:
        """What the kernels need of m ``readers``: proposals and their first columns, people, situations."""
        place = self._scratch.places(len(self.available))
        proposals, context, evidence = propose(readers, self.model, near, self.sequence, place)
        own = (readers.own, readers.count, readers.lag, readers.idle, readers.usual)
        people = (own, readers.steps, readers.own[:, 0], readers.vectors, context.escape)
        first = np.array([column for column, _ in proposals], np.int64)
        situations = describe_situation(readers, context, evidence, self.model.items.habits)
        return tuple(p.arrays() for _, p in proposals), first, people, situations

    def scratch(self, proposals: Sequence[tuple[npt.NDArray[Any], ...]], readers: Readers) -> tuple[Any, ...]:
        """Room for the candidates of one of ``readers``, as many as there may be."""
        most = self.charts[0].size + readers.own.shape[1]
        most += sum(item.shape[1] * item.shape[2] for item, _, _ in proposals)
        return self._scratch.candidates(len(self.available), len(self.least), most)

    def _filled(self, charts: Rows32, catalogue: Catalogue) -> Rows32:
        """``charts``, the first filled up with items of the catalogue that nobody has taken yet.

        A service that has seen nothing has nothing else to offer; they come in the order of their hashes.
        """
        listed = charts[0]
        free = int((listed < 0).sum())
        if not free:
            return charts
        rows = np.flatnonzero(catalogue.known & catalogue.available)
        rows = rows[~np.isin(rows, listed)]
        rows = rows[np.argsort(self.model.index.keys[rows])][:free]
        filled = charts.copy()
        filled[0, len(listed) - free : len(listed) - free + len(rows)] = rows
        return filled
