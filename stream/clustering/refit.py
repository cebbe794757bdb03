"""Clusters begun anew: what becomes of the old ones when k-means from the start is clearly better.

Splits, moves and means lead to the next best place only. Where users have changed, or the first centres came from too
few of them, a better place may lie further off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from stream.clustering.assign import Floats, assign
from stream.clustering.lineage import LineageEvent
from stream.clustering.seeding import lloyd_step, seed_centres
from stream.clustering.weighted import Ids, WeightedCentres

RESTARTS = 5  # of k-means, 15 ms each at 2,000 profiles; fewer find the better place less often
STEPS = 20  # of Lloyd, for both sides; with fewer, what has not settled yet would be compared


@dataclass(frozen=True, slots=True)
class Refit:
    """Clusters that take the place of all there were."""

    ids: Ids  # (k,) ascending
    means: Floats  # (k, d)
    sizes: npt.NDArray[np.float64]  # (k,) of the sample
    errors: npt.NDArray[np.float64]  # (k,) summed over the sample
    gone: Ids  # (g,)
    events: list[LineageEvent]


def refit(
    centres: WeightedCentres, sample: Floats, judges: npt.NDArray[np.bool_], gain: float, seed: int
) -> Refit | None:
    """Begin anew with as many clusters, if that takes the share ``gain`` off the error of the ``judges`` (m,).

    Those of the ``sample`` (m, d) who are not judges propose. The centres that there are may settle on these first,
    too: how much is learnt from half of a sample must not decide. Pure. A cluster most of whose users stay together
    keeps its id.
    """
    proposers, k, spherical = sample[~judges], len(centres.ids), centres.spherical
    own = _settled(proposers, centres.centres, spherical)
    fits = [seed_centres(proposers, k, seed + n, None, STEPS, spherical) for n in range(RESTARTS)]
    best = min(fits, key=lambda fit: _error(proposers, fit))
    if len(best) < k or _error(sample[judges], best) > (1 - gain) * _error(sample[judges], own):
        return None
    return _named(centres, sample, _settled(sample, best, spherical))


def _settled(X: Floats, centres: Floats, spherical: bool) -> Floats:
    ones = np.ones(len(X), np.float32)
    for _ in range(STEPS):
        centres = lloyd_step(X, centres, ones, spherical)
    return centres


def _error(X: Floats, centres: Floats) -> float:
    return float(assign(X, centres)[1].sum())


def _named(centres: WeightedCentres, sample: Floats, found: Floats) -> Refit:
    """Give ``found`` (k, d) the ids of the clusters that they go on from, or new ones."""
    k = len(found)
    old, (new, away) = assign(sample, centres.centres)[0], assign(sample, found)
    shared = np.zeros((k, k))
    np.add.at(shared, (old, new), 1)
    ids = np.full(k, -1, np.int64)
    for o, n in zip(*linear_sum_assignment(-shared), strict=True):
        if 2 * shared[o, n] > shared[o].sum():
            ids[n] = centres.ids[o]
    born = np.flatnonzero(ids < 0)
    ids[born] = centres.next_id + np.arange(len(born))
    parents = centres.ids[shared.argmax(axis=0)]
    events = [LineageEvent(int(ids[n]), "born", "refit", parents=(int(parents[n]),)) for n in born]
    lost = np.flatnonzero(~np.isin(centres.ids, ids))
    # Where none of the sample is in it, the nearest takes over.
    near = assign(centres.centres, found)[0]
    for o in lost:
        heir = shared[o].argmax() if shared[o].any() else near[o]
        events.append(LineageEvent(int(centres.ids[o]), "merged", "refit", heir=int(ids[heir])))
    sizes = np.bincount(new, minlength=k).astype(np.float64)
    errors = np.bincount(new, away, k).astype(np.float64)
    sums = np.zeros(found.shape, np.float64)
    np.add.at(sums, new, sample)
    means: Floats = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], found).astype(
        np.float32
    )
    order = np.argsort(ids)
    return Refit(ids[order], means[order], sizes[order], errors[order], centres.ids[lost], events)
