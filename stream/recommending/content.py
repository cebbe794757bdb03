"""Items like a user's taste: of those nearest to the cluster's centre, the nearest to the user's own vector."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from stream.catalogue import Catalogue
from stream.clustering.projection import Projection
from stream.model import Model
from stream.recommending.tables import Floats, Proposals, heaviest, nth_largest

# Items per cluster that its users' own vectors choose from: what a cosine with each costs is what a list costs.
SHORTLIST = 256
# Of these, so many are proposed.
NEAREST = 32
# Temperature of the softmax over cosines in a shortlist: cosines of a good and of a middling match differ by
# about .1 to .2; lower trusts the nearest item alone, higher makes every item alike.
TEMPERATURE = np.float32(0.08)


class Content:
    """Item vectors in the clusters' space, and each cluster's shortlist; derived from catalogue and clusters."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._vectors = np.zeros((0, 1), np.float32)
        self._shortlists = np.full((0, 1), -1, np.int32)  # (cluster ids, SHORTLIST) item rows
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
        same_items = len(self._vectors) == len(self.catalogue.vectors)
        same_space = clusters.projection is self._projection
        if self._drawn_up is None or self._drawn_up[0] != state[0] or not (same_items and same_space):
            self._vectors = clusters.project(self.catalogue.vectors)
            self._projection = clusters.projection
        self._drawn_up = state
        ids, centres = clusters.reference
        listable = self.catalogue.has_vector & self.catalogue.available
        nearness = np.where(listable, centres @ self._vectors.T + np.float32(2), np.float32(0))
        self._shortlists = np.full((int(ids.max(initial=-1)) + 1, SHORTLIST), -1, np.int32)
        for cluster, near in zip(ids.tolist(), nearness, strict=True):
            top = heaviest(near, SHORTLIST, model.index.keys)
            self._shortlists[cluster, : len(top)] = top

    def vectors(self, rows: int) -> Floats:
        """The vectors of ``rows`` items, float32 (rows, d); zeros where there is none."""
        missing = rows - len(self._vectors)
        if missing > 0:
            blank = np.zeros((missing, self._vectors.shape[1]), np.float32)
            self._vectors = np.concatenate([self._vectors, blank])
        return self._vectors

    def propose(self, cluster: npt.NDArray[np.int64], vectors: Floats) -> Proposals:
        """What is like the taste of m users of these clusters, -1 none, and vectors (m, d)."""
        proposals = Proposals.blank(len(cluster), 1, NEAREST)
        nearest_in(self._shortlists, self, cluster, vectors, proposals)
        return proposals


def nearest_in(
    shortlists: npt.NDArray[np.int32],
    content: Content,
    cluster: npt.NDArray[np.int64],
    vectors: Floats,
    proposals: Proposals,
) -> None:
    """Propose of the ``shortlists`` (clusters, n) of item rows, -1 none, what is nearest to m ``vectors`` (m, d).

    Shares are a softmax over the cosines with all of a shortlist; none where there are no item vectors yet.
    """
    item_vectors = content.vectors(0)
    if len(item_vectors):
        _alike(cluster, vectors, shortlists, item_vectors, *proposals.arrays())


@njit(cache=True, fastmath=True, error_model="numpy")
def _alike(cluster, vectors, shortlists, item_vectors, item, share, length):  # type: ignore[no-untyped-def]
    power = np.empty(shortlists.shape[1], np.float32)
    for u in range(len(cluster)):
        length[u, 0] = 0
        if cluster[u] < 0 or cluster[u] >= len(shortlists):
            continue
        near = shortlists[cluster[u]]
        norm = np.float32(0)
        n = 0
        while n < len(near) and near[n] >= 0:
            dot = np.float32(0)
            for j in range(vectors.shape[1]):
                dot += vectors[u, j] * item_vectors[near[n], j]
            power[n] = np.exp((dot - 1) / TEMPERATURE)
            norm += power[n]
            n += 1
        if n == 0:
            continue
        most = min(n, item.shape[2])
        least = nth_largest(power[:n], most)
        at = 0
        for q in range(n):
            if power[q] >= least and at < most:
                item[u, 0, at], share[u, 0, at] = near[q], power[q] / norm
                at += 1
        length[u, 0] = at
