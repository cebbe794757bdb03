"""The learner's decisions: what only one may decide, because others could not repeat it to the last bit.

Pure functions of the folded model. Whoever holds the role asks after each fold, and writes what comes out into the model
log; a decision takes effect when it is folded, by everybody alike.
"""

from __future__ import annotations

import numpy as np

from stream.catalogue import Catalogue
from stream.clustering.labels import label_clusters
from stream.clustering.projection import fit_projection
from stream.clustering.seeding import seed_centres
from stream.config import Settings
from stream.entries import Decision, Labelled, Seeded, Trained
from stream.model import Model
from stream.recommending.ranker import train

# Heaviest items of a cluster from whose texts its label is made; fewer let one odd title name the cluster, more blur it.
LABEL_ITEMS = 50
# A log that never shows enough users for all clusters gets fewer of them, after so many events.
SEED_ANYWAY_AFTER = 5_000
# The ranker is trained when so many sampled lists are new, for about 30 ms; less often, and it lags behind fashions.
TRAIN_EVERY = 256


class Learner:
    """Decides; holds nothing that a successor would miss."""

    def __init__(self, settings: Settings, catalogue: Catalogue) -> None:
        self.settings = settings
        self.catalogue = catalogue

    def decide(self, model: Model) -> Decision | None:
        """The next decision, if it is time for one."""
        if model.lists.fresh >= TRAIN_EVERY:
            return self._train(model)
        if model.clusters is None:
            return self._seed(model)
        due = model.clock - model.labelled_at >= self.settings.worker.learn_every
        if due or not model.labels:
            return self._label(model)
        return None

    def _train(self, model: Model) -> Trained:
        batches = model.lists.batches(seed=self.settings.clustering.seed + model.decisions)
        return Trained(model.decisions, train(model.ranker, batches), model.lists.fresh)

    def _seed(self, model: Model) -> Seeded | None:
        clustering = self.settings.clustering
        per_cluster = clustering.seed_users_per_cluster
        users = len(model.sample)
        k = clustering.k
        if users < per_cluster * k:
            k = users // per_cluster
            if model.clock < SEED_ANYWAY_AFTER or k < 1:
                return None
        vectors = model.sample.vectors
        projection = fit_projection(vectors, clustering.dimensions)
        points = projection.apply(vectors)
        centres = seed_centres(points, k, clustering.seed, spherical=True)
        # A centre counts for the users it stands for; without weight the first batch would carry it off.
        weights = np.bincount((points @ centres.T).argmax(axis=1), minlength=len(centres))
        return Seeded(
            sequence=model.decisions,
            mean=projection.mean,
            components=projection.components,
            centres=centres,
            weights=weights.astype(np.float64),
        )

    def _label(self, model: Model) -> Labelled:
        assert model.clusters is not None
        trending = model.items.trending
        documents: list[list[str]] = []
        weights: list[list[float]] = []
        ids = model.clusters.weighted.ids
        for cluster in ids.tolist():
            if cluster >= len(trending.totals):
                documents.append([])
                weights.append([])
                continue
            counts = np.where(trending.ids[cluster] >= 0, trending.counts[cluster], 0)
            top = np.lexsort((model.index.keys[trending.ids[cluster]], -counts))[:LABEL_ITEMS]
            top = top[counts[top] > 0]
            documents.append(self.catalogue.texts(trending.ids[cluster][top].astype(np.int64)))
            weights.append(counts[top].tolist())
        words = label_clusters(documents, weights, self.settings.clustering.label_words)
        return Labelled(model.decisions, ids.copy(), [", ".join(w) for w in words])
