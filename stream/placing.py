"""Where users stand: their profile vectors in the clusters' space, and the cluster each belongs to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from stream.events.batch import EventBatch
from stream.model import Model
from stream.profiles.kernels import HALF_SCALE
from stream.profiles.layout import Rows
from stream.profiles.update import Touched

# A mean of unit vectors that is shorter says nothing of a direction: likes and dislikes have cancelled out.
LEAST_LENGTH = np.float32(1e-3)
# Events of a batch whose distance is watched, at most, evenly spread over it: 8 KB of a delta. Fewer, and a worker with
# a backlog notices late that users have changed: of half of them, some 4,000 events later.
WATCHED = 2_048


@dataclass(frozen=True, slots=True)
class Placed:
    """m users in the model's space."""

    profiles: npt.NDArray[np.float32]  # (m, D) unit profile vectors, zeros where a user has no taste to show
    vectors: npt.NDArray[np.float32]  # (m, d) the same, projected; d is 1 before the clusters are seeded
    cluster: npt.NDArray[np.int64]  # (m,) id, -1 for none
    weight: npt.NDArray[np.float32]  # (m,) what an update of them now says of their cluster

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """Who has a vector, bool (m,)."""
        return np.asarray(self.profiles.any(axis=1))


def place_users(rows: Rows, model: Model) -> Placed:
    """Place the users of profile ``rows`` (m,).

    Who has taken back as much as they took has no taste, and no cluster; before there are clusters nobody has
    one.
    """
    halves = np.ascontiguousarray(rows["vector"]).view(np.uint16)
    unit, known = np.empty(halves.shape, np.float32), np.empty(len(rows), np.bool_)
    unit_vectors(halves, rows["taste"], unit, known)
    vectors = model.clusters.project(unit)
    vectors[~known] = 0
    cluster = np.full(len(rows), -1, np.int64)
    cluster[known] = model.clusters.assign(vectors[known], rows["cluster"][known])
    return Placed(unit, vectors, cluster, _weights(rows["updates"], model))


@njit(cache=True, fastmath=True, error_model="numpy")
def unit_vectors(halves, taste, unit, known):  # type: ignore[no-untyped-def]
    """Scale float16 rows, whose bits are ``halves`` uint16 (m, D), to unit length: ``unit`` float32 (m, D).

    ``known`` bool (m,) says of whom there is a direction and ``taste`` (m,); the rest are zeros. The bits of a half,
    moved to where a float32 has them, are the number times 2^-112: that is many at once, and NumPy's is one by one.
    """
    bits = unit.view(np.int32)
    for u in range(len(halves)):
        squares = np.float32(0)
        for j in range(halves.shape[1]):
            half = np.int32(halves[u, j])
            bits[u, j] = ((half & 0x7FFF) << 13) | ((half & 0x8000) << 16)
        for j in range(halves.shape[1]):
            unit[u, j] *= HALF_SCALE
            squares += unit[u, j] * unit[u, j]
        length = np.sqrt(squares)
        known[u] = length > LEAST_LENGTH and taste[u] > 0
        scale = 1 / length if known[u] else np.float32(0)
        for j in range(halves.shape[1]):
            unit[u, j] *= scale


def _weights(updated: npt.NDArray[np.int64], model: Model) -> npt.NDArray[np.float32]:
    """What is missing of 1, after what earlier updates said has faded: a busy user counts no more than a quiet one.

    Otherwise those who come a hundred times as often would pull the centres to where only they are.
    """
    half_lives = (model.updates - updated) / model.settings.clustering.half_life
    return np.where(updated < 0, 1, 1 - np.exp2(-np.maximum(half_lives, 0))).astype(np.float32)


def distances_of_taken(
    events: EventBatch,
    touched: Touched,
    before: Placed,
    vector_row: npt.NDArray[np.int64],
    vectors: npt.NDArray[np.float32],
    model: Model,
) -> npt.NDArray[np.float32]:
    """Squared distances (w,) of what was taken from the centre of the cluster its user was in ``before``, 0 to 4.

    The quantisation error of what is new: a profile remembers for weeks, and shows late that its user has changed.

    Parameters
    ----------
    vector_row
        Row of each event (n,) in ``vectors``, -1 for none, as ``describe`` gives them.
    """
    cluster = before.cluster[touched.slot]
    taken = np.flatnonzero((vector_row >= 0) & (cluster >= 0) & (events.weight > 0))
    if model.clusters.kmeans is None or not len(taken):
        return np.empty(0, np.float32)
    taken = taken[:: -(-len(taken) // WATCHED)]
    items, of = np.unique(vector_row[taken], return_inverse=True)
    points = model.clusters.project(vectors[items])
    centres = model.clusters.centres[np.searchsorted(model.clusters.ids, cluster[taken])]
    return np.asarray(((points[of] - centres) ** 2).sum(axis=1), np.float32)
