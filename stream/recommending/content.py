"""Items like a user's taste: of those nearest to the cluster's centre, the nearest to the user's own vector."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from stream.catalogue import Catalogue
from stream.clustering.projection import Projection
from stream.model import Model
from stream.recommending.logarithms import take_exponentials
from stream.recommending.tables import Floats, Proposals, heaviest, nth_largest

# Items per cluster that its users' own vectors choose from: what a cosine with each costs is what a list costs.
SHORTLIST = 256
# Of these, so many are proposed.
NEAREST = 32
# Temperature of the softmax over cosines in a shortlist: cosines of a good and of a middling match differ by
# about .1 to .2; lower trusts the nearest item alone, higher makes every item alike.
TEMPERATURE = np.float32(0.08)
# Rows of vectors side by side lie so many numbers further apart than they are long: see ``kernels.APART``.
APART = 16


class Content:
    """Item vectors in the clusters' space, and each cluster's shortlist; derived from catalogue and clusters."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._vectors = np.zeros((0, 1), np.float32)
        self.shortlists = np.full((0, 1), -1, np.int32)  # (cluster ids, SHORTLIST) item rows
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
        self.shortlists = np.full((int(ids.max(initial=-1)) + 1, SHORTLIST), -1, np.int32)
        for cluster, near in zip(ids.tolist(), nearness, strict=True):
            top = heaviest(near, SHORTLIST, model.index.keys)
            self.shortlists[cluster, : len(top)] = top

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
        nearest_in(self.shortlists, self, cluster, vectors, proposals)
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
        order = np.argsort(cluster, kind="stable")
        _alike(order, cluster, vectors, shortlists, item_vectors, *proposals.arrays())


@njit(cache=True)
def _lay_out(near, item_vectors, side):  # type: ignore[no-untyped-def]
    """Lay the vectors of the items ``near`` side by side: ``side`` (d, n), whose loops run over items. How many."""
    n = 0
    while n < len(near) and near[n] >= 0:
        vector = item_vectors[near[n]]
        for j in range(len(vector)):
            side[j, n] = vector[j]
        n += 1
    return n


@njit(cache=True, fastmath=True)
def _compare(vector, side, n, near):  # type: ignore[no-untyped-def]
    """Write into ``near`` the powers of e of the softmax between a ``vector`` (d,) and n that lie ``side`` by side."""
    near[:n] = -1 / TEMPERATURE
    fours = len(vector) // 4 * 4
    for j in range(0, fours, 4):
        a, b, c, d = vector[j], vector[j + 1], vector[j + 2], vector[j + 3]
        a, b, c, d = a / TEMPERATURE, b / TEMPERATURE, c / TEMPERATURE, d / TEMPERATURE
        for q in range(n):
            near[q] += a * side[j, q] + b * side[j + 1, q] + c * side[j + 2, q] + d * side[j + 3, q]
    for j in range(fours, len(vector)):
        a = vector[j] / TEMPERATURE
        for q in range(n):
            near[q] += a * side[j, q]
    take_exponentials(near, n)


@njit(cache=True, fastmath=True, error_model="numpy")
def _alike(order, cluster, vectors, shortlists, item_vectors, item, share, length):  # type: ignore[no-untyped-def]
    """Fill proposals for m users, cluster by cluster in the ``order`` (m,): its shortlist is laid out but once."""
    width, most = shortlists.shape[1], item.shape[2]
    power = np.empty(width + 1, np.float32)
    side = np.empty((vectors.shape[1], width + APART), np.float32)
    at_hand, n = -1, 0
    for u in order:
        c = cluster[u]
        length[u, 0] = 0
        if c < 0 or c >= len(shortlists):
            continue
        if c != at_hand:
            at_hand, n = c, _lay_out(shortlists[c], item_vectors, side)
        _compare(vectors[u], side, n, power)
        norm = power[:n].sum()
        least = nth_largest(power[:n], min(n, most))
        at = 0
        for q in range(n):
            if power[q] >= least and at < most:
                item[u, 0, at], share[u, 0, at] = shortlists[c, q], power[q] / norm
                at += 1
        length[u, 0] = at
