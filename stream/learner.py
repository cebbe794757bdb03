"""The learner's decisions: what only one may decide, because others could not repeat it to the last bit.

Functions of the folded model. Whoever holds the role asks after each fold, and writes what comes out into the
model log. A decision takes effect when it is folded, by everybody alike.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from stream.background import AtOnce, Background
from stream.catalogue import Catalogue
from stream.clustering.assign import assign
from stream.clustering.breathing import breathe
from stream.clustering.drift import DriftDetector
from stream.clustering.hierarchy import build_hierarchy
from stream.clustering.labels import label_clusters, word_shares
from stream.clustering.lifecycle import propose
from stream.clustering.projection import fit_projection
from stream.clustering.quality import batch_centres
from stream.clustering.reprojecting import better_projection, carry_over
from stream.clustering.seeding import choose_k
from stream.clustering.shared import Named
from stream.config import Settings
from stream.entries import (
    Decision,
    Labelled,
    Paced,
    Refitted,
    Reprojected,
    Reviewed,
    Schooled,
    Seeded,
    Trained,
)
from stream.model import Model
from stream.recommending.item_models import ItemModels, fit_item_models, is_due
from stream.recommending.ranker import train
from stream.recommending.sequences import SequenceModel

# Heaviest items of a cluster from whose texts its label is made; fewer let one odd title name it, more blur
# it.
LABEL_ITEMS = 50
# Items of the catalogue that say how frequent words are; .1 s to read, which is done when a tenth more are known.
USUAL_ITEMS = 2_048
# Items by which a cluster goes in which nothing has been counted yet; few, for the nearest say most.
NAMESAKES = 10
# A log that never shows enough users for all clusters gets fewer of them, after so many events.
SEED_ANYWAY_AFTER = 5_000
# Of k-means on the first sample, the best of which counts; where it is not the best place, a search finds a better one.
RESTARTS = 4
# The ranker is trained when so many sampled lists are new, for about 40 ms; less often, and it lags behind
# fashions. For the first time when there are some.
TRAIN_EVERY = 256
TRAIN_FIRST = 64


class Learner:
    """Decides. All that a successor would miss stands in the model, save what the drift detector saw of late."""

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        background: Background[ItemModels] | None = None,
        school: Background[SequenceModel] | None = None,
    ) -> None:
        self.settings = settings
        self.catalogue = catalogue
        self._background = background or AtOnce()
        self._school = school or AtOnce()
        self._detector = DriftDetector()
        self._errors_seen = 0
        self._paced: Paced | None = None  # decided, and not known to be folded
        self._usual: tuple[int, dict[str, float]] = (
            0,
            {},
        )  # of how many items; the shares of these that hold a word

    def decide(self, model: Model) -> Decision | None:
        """The next decision, if it is time for one; asked again once that is folded."""
        if model.clusters.projection is None and (seeded := self._seed(model)) is not None:
            return seeded
        if (paced := self._watch(model)) is not None:
            return paced
        if model.lists.fresh >= min(TRAIN_EVERY, max(TRAIN_FIRST, len(model.lists) // 4)):
            return self._train(model)
        if (refitted := self._refit(model)) is not None:
            return refitted
        if (schooled := self._teach_sequence(model)) is not None:
            return schooled
        if not len(model.clusters.ids):
            return None  # River's may take a while
        if model.labels_due:
            return self._label(model)
        due = model.clock - model.reviewed_at >= min(self.settings.worker.learn_every, 2 * len(model.sample))
        return (self._reproject(model) or self._review(model)) if due else None

    def _seed(self, model: Model) -> Seeded | None:
        clustering = self.settings.clustering
        users = len(model.sample)
        wanted = clustering.k if clustering.k != "auto" else clustering.k_bounds[1]
        most = min(wanted, users // clustering.seed_users_per_cluster)
        if most < 1 or (most < wanted and model.clock < SEED_ANYWAY_AFTER):
            return None
        vectors = model.sample.vectors()
        projection = fit_projection(vectors, clustering.dimensions, clustering.whiten)
        points = projection.apply(vectors)
        k = most
        if clustering.k == "auto":
            k = choose_k(points, min(clustering.k_bounds[0], most), most, clustering.seed)
        centres = breathe(points, batch_centres(points, k, clustering.seed, RESTARTS), clustering.seed)
        weights = np.bincount(assign(points, centres)[0], minlength=len(centres))
        return Seeded(
            sequence=model.decisions,
            mean=projection.mean,
            components=projection.components,
            centres=centres,
            weights=weights.astype(np.float64),
        )

    def _watch(self, model: Model) -> Paced | None:
        """Look at the errors that are new since the last look; a decision that was not folded is given again."""
        if self._paced is not None and self._paced.sequence == model.decisions:
            return self._paced
        kmeans = model.clusters.kmeans
        if kmeans is not None and kmeans.weighted.pace > 1 and not self._detector.drifting:
            self._detector.resume()  # a drift that a predecessor noticed
        unseen = min(model.error_count - self._errors_seen, len(model.errors))
        self._errors_seen = model.error_count - unseen
        for error in list(model.errors)[len(model.errors) - unseen :]:
            self._errors_seen += 1
            event = self._detector.update(error)
            if event is not None:
                self._paced = Paced(model.decisions, event)
                return self._paced
        return None

    def _train(self, model: Model) -> Trained:
        seed = self.settings.clustering.seed + model.decisions
        return Trained(model.decisions, train(model.ranker, model.lists, seed), model.lists.fresh)

    def _refit(self, model: Model) -> Refitted | None:
        """Have the models of items made when they are due; decided when they are done."""
        settings = self.settings.item_models
        if (
            len(model.takings)
            and self._background.ready
            and is_due(model.clock, model.fitted_at, settings.refit_every)
        ):
            self._background.start(partial(fit_item_models, model.takings.read(model.clock), settings))
        fit = self._background.result()
        # One that was begun before the role went, and was done when it came back, may be behind.
        if fit is None or fit.clock <= model.fitted_at:
            return None
        return Refitted(model.decisions, fit)

    def _teach_sequence(self, model: Model) -> Schooled | None:
        """Have the transformer trained when it is due, where there is one; decided when it is done."""
        settings, before = self.settings.sequence, model.sequence
        if not settings.enabled:
            return None
        trained_at = 0 if before is None else before.clock
        if (
            len(model.takings)
            and self._school.ready
            and is_due(model.clock, trained_at, settings.retrain_every)
        ):
            from stream.recommending.transformer import fit_transformer  # torch takes seconds to import

            taken, seed = model.takings.read(model.clock), self.settings.clustering.seed + model.clock
            self._school.start(partial(fit_transformer, taken, before, settings, seed))
        trained = self._school.result()
        if trained is None or trained.clock <= trained_at:
            return None
        return Schooled(model.decisions, trained)

    def _reproject(self, model: Model) -> Reprojected | None:
        """Project anew where the space has gone stale; clusters that cannot be moved stay in theirs."""
        clusters, clustering = model.clusters, self.settings.clustering
        profiles = self._active(model)
        few = len(profiles) < clustering.seed_users_per_cluster * len(clusters.ids)
        if clusters.kmeans is None or clusters.projection is None or few:
            return None
        projection = better_projection(
            clusters.projection, profiles, clustering.dimensions, clustering.whiten
        )
        if projection is None:
            return None
        self._detector.forget()
        centres, errors = carry_over(clusters.centres, clusters.projection, projection, profiles)
        return Reprojected(model.decisions, projection.mean, projection.components, centres, errors)

    def _review(self, model: Model) -> Reviewed:
        """Clusters that are dead, twins or too wide change; so does their number where the setting has changed."""
        kmeans, k = model.clusters.kmeans, self.settings.clustering.k
        change = None
        if kmeans is not None:
            seed = self.settings.clustering.seed + model.decisions
            sample = model.clusters.project(self._active(model))
            change = propose(kmeans, sample, None if k == "auto" else k, seed=seed, share=model.sample.share)
        return Reviewed(model.decisions, change)

    def _active(self, model: Model) -> npt.NDArray[np.float32]:
        """Sampled profiles (n, D) of users active within the half-life: others need not be remembered."""
        return model.sample.vectors(since=model.updates - self.settings.clustering.half_life)

    def _nearest_items(self, cluster: int, model: Model) -> npt.NDArray[np.int64]:
        """Items of the catalogue nearest to a cluster's centre: they name it until it is known what is taken there."""
        clusters, catalogue = model.clusters, self.catalogue
        rows = np.flatnonzero(catalogue.has_vector)
        nearness = clusters.project(catalogue.vectors[rows]) @ clusters.centres[clusters.ids == cluster][0]
        return rows[np.lexsort((model.index.keys[rows], -nearness))][:NAMESAKES]

    def _usual_words(self, model: Model) -> dict[str, float]:
        """In what share of the catalogue's items each word stands, by a sample of them."""
        if 10 * len(self.catalogue) > 11 * self._usual[0]:
            rows = np.flatnonzero(self.catalogue.known)
            rows = rows[np.argsort(model.index.keys[rows])][:USUAL_ITEMS]
            self._usual = len(self.catalogue), word_shares(self.catalogue.texts(rows))
        return self._usual[1]

    def _label(self, model: Model) -> Labelled:
        clusters, trending = model.clusters, model.items.trending
        documents: list[list[str]] = []
        weights: list[list[float]] = []
        for cluster in clusters.ids.tolist():
            rows, counts = trending.heaviest(cluster, LABEL_ITEMS, model.index.keys)
            if not len(rows):
                rows = self._nearest_items(cluster, model)
                counts = np.ones(len(rows), np.float32)
            documents.append(self.catalogue.texts(rows))
            weights.append(counts.tolist())
        words = label_clusters(
            documents, weights, self.settings.clustering.label_words, self._usual_words(model)
        )
        hierarchy = build_hierarchy(
            clusters.ids,
            clusters.centres,
            self.settings.clustering.segments,
            clusters.hierarchy,
            clusters.lineage,
        )
        return Labelled(model.decisions, Named(clusters.ids.copy(), [", ".join(w) for w in words], hierarchy))
