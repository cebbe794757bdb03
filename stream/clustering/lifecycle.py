"""Births, splits, merges and deaths of clusters: proposed by one, written down, applied by all.

One measure rules them: the quantisation error of a sample of users. A cluster is worth what the error would
grow by without it, a split what it would shrink by; a place moves from the least useful cluster to the best
split when that pays (the utility of LBG-U; Fritzke, 1997). Dead clusters and twins are those worth nothing,
too wide ones those that pay most to split, so no thresholds on sizes or distances are needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from stream.clustering.assign import Floats, assign, half_squares, squared_lengths, unit_rows
from stream.clustering.kmeans import StreamingKMeans
from stream.clustering.lineage import LineageEvent
from stream.clustering.refit import refit
from stream.clustering.seeding import seed_centres
from stream.clustering.weighted import Ids, WeightedCentres

STEPS = 3  # of Lloyd when centres are put where the sample is; they start close


@dataclass(frozen=True, slots=True)
class LifeCycle:
    """How readily clusters change."""

    # A move must win this many times what it costs. At 1 clusters move for the noise of a sample, and users'
    # ids with them.
    gain: float = 1.5
    # And at least this share of the mean error of a cluster. Lower is restless, higher leaves wide clusters
    # wide.
    least: float = 0.25
    # Sampled users on each side of a split; with fewer their halves are chance.
    members: int = 8
    # A cluster with less than this share of the mean weight is dead: its place moves for any gain.
    dead: float = 0.02
    # Centres are put where the sampled users are when that takes this share off the error. Events pull them
    # towards busy users, a long half-life towards former ones; lower moves centres for noise, higher leaves
    # them where nobody is.
    recentre: float = 0.003
    # K-means begun anew takes over when it takes this share off the error. Lower moves users for what its
    # restarts happened to find, higher leaves the clusters in a worse place.
    refit: float = 0.02
    # Moves in one proposal, per cluster: the rest waits for the next, which sees what the first ones did.
    moves: float = 0.25


@dataclass(frozen=True, slots=True)
class Reshaped:
    """A decision about clusters, as data: g of them go, p are put in place, d dimensions."""

    next_id: int  # of the clusters it was made for: others leave it aside
    next_id_after: int  # ids given within the decision count as used, even if they are gone by its end
    gone: Ids  # (g,)
    ids: Ids  # (p,) ascending
    means: Floats  # (p, d)
    weights: npt.NDArray[np.float64]  # (p,)
    errors: npt.NDArray[np.float64]  # (p,)
    events: list[LineageEvent]


def apply(model: StreamingKMeans, decision: Reshaped) -> list[LineageEvent]:
    """Carry out ``decision``; its lineage events, none if the clusters have changed since it was made."""
    centres = model.weighted
    known = decision.ids[decision.ids < decision.next_id]
    if decision.next_id != centres.next_id or (centres.rows_of(np.r_[decision.gone, known]) < 0).any():
        return []
    centres.reshape(decision.gone, decision.ids, decision.means, decision.weights, decision.errors)
    centres.next_id = decision.next_id_after
    return decision.events


def propose(
    model: StreamingKMeans,
    sample: Floats,
    k: int | None = None,
    rules: LifeCycle | None = None,
    seed: int = 0,
) -> Reshaped | None:
    """Say what should become of the clusters, judging by ``sample`` (m, d) of profiles; None: nothing. Pure.

    Parameters
    ----------
    k
        How many clusters there should be; by default as many as there are.
    seed
        Of the splits; the same input gives the same decision.
    """
    draft = _Draft(model.weighted, sample, rules or LifeCycle(), seed)
    target = k or len(draft.centres.ids)
    while len(draft.centres.ids) < target and draft.split("k"):
        pass
    while len(draft.centres.ids) > target:
        draft.remove(draft.least_useful(), "k")
    for _ in range(max(1, int(draft.rules.moves * target))):
        if not draft.move():
            break
    draft.recentre()
    draft.refit()
    return draft.decision()


@dataclass(frozen=True, slots=True)
class _Split:
    """Two parts of a cluster, the larger first."""

    gain: float
    means: Floats  # (2, d)
    shares: npt.NDArray[np.float64]  # (2,) of the members
    errors: npt.NDArray[np.float64]  # (2,) share of the error before that is left in each part


class _Draft:
    """Clusters as they would be after the steps taken so far."""

    def __init__(self, centres: WeightedCentres, sample: Floats, rules: LifeCycle, seed: int) -> None:
        self.before = centres
        self.centres = WeightedCentres(
            centres.n_clusters, centres.half_life, centres.spherical, centres.seed, centres.warm_up
        )
        self.centres.restore(centres.state())
        self.sample = unit_rows(sample) if centres.spherical else sample
        # Every second row judges what the others propose: on the same rows any split would gain.
        self.judges = np.arange(len(sample)) % 2 == 1
        self.rules, self.seed = rules, seed
        self.events: list[LineageEvent] = []
        self._splits: dict[int, tuple[bytes, _Split | None]] = {}
        self._look()

    def _look(self) -> None:
        self.rows, self.distances = assign(self.sample, self.centres.centres)

    def costs(self) -> npt.NDArray[np.float64]:
        """By how much the error of the judges would grow without each cluster, (k,)."""
        judges, rows, centres = self.sample[self.judges], self.rows[self.judges], self.centres.centres
        away = squared_lengths(judges)[:, None] - 2 * (judges @ centres.T) + 2 * half_squares(centres)
        away[np.arange(len(rows)), rows] = np.inf
        growth = np.maximum(away.min(axis=1) - self.distances[self.judges], 0)
        return np.bincount(rows, growth.astype(np.float64), len(centres)).astype(np.float64)

    def least_useful(self) -> int:
        """Row of the cluster whose loss costs least; of equal ones the lightest."""
        return int(np.lexsort((self.centres.weights, self.costs()))[0])

    def split_of(self, row: int) -> _Split | None:
        """Split a cluster as well as can be; None if too few of the sample are in it."""
        members = np.flatnonzero(self.rows == row)
        id_, key = int(self.centres.ids[row]), members.tobytes()
        if id_ not in self._splits or self._splits[id_][0] != key:
            self._splits[id_] = key, self._try_split(members)
        return self._splits[id_][1]

    def _try_split(self, members: Ids) -> _Split | None:
        judge = self.judges[members]
        if min(judge.sum(), (~judge).sum()) < self.rules.members:
            return None
        spherical = self.centres.spherical
        trial = seed_centres(self.sample[members[~judge]], 2, self.seed, spherical=spherical)
        gain = float((self.distances[members[judge]] - assign(self.sample[members[judge]], trial)[1]).sum())
        halves = seed_centres(self.sample[members], 2, self.seed, spherical=spherical)
        part, left = assign(self.sample[members], halves)
        sizes = np.bincount(part, minlength=2)
        if len(halves) < 2 or sizes.min() < self.rules.members:
            return None
        order = np.argsort(-sizes, kind="stable")
        means = np.stack([self.sample[members[part == p]].mean(axis=0) for p in order])
        total = max(float(self.distances[members].sum()), 1e-12)
        errors = np.array([float(left[part == p].sum()) / total for p in order])
        return _Split(gain, means, sizes[order] / sizes.sum(), errors)

    def best_split(self, other_than: int = -1) -> tuple[int, _Split] | None:
        """Find the row and split that gain most."""
        found = [(row, self.split_of(row)) for row in range(len(self.centres.ids)) if row != other_than]
        usable = [(row, split) for row, split in found if split is not None and split.gain > 0]
        return max(usable, key=lambda pair: pair[1].gain) if usable else None

    def split(self, reason: str, other_than: int = -1) -> bool:
        """Split where it gains most; whether there was such a place."""
        best = self.best_split(other_than)
        if best is None:
            return False
        row, split = best
        old, new = int(self.centres.ids[row]), self.centres.next_id
        weights = self.centres.weights[row] * split.shares
        errors = self.centres.errors[row] * split.errors
        self.centres.reshape(np.zeros(0, np.int64), np.array([old, new]), split.means, weights, errors)
        self.events += [LineageEvent(old, "split", reason), LineageEvent(new, "born", reason, parents=(old,))]
        self._look()
        return True

    def remove(self, row: int, reason: str) -> None:
        """Let the nearest cluster take over from the one at ``row``."""
        c = self.centres
        away = ((c.centres - c.centres[row]) ** 2).sum(axis=1)
        away[row] = np.inf
        heir = int(np.argmin(away))
        total = c.weights[row] + c.weights[heir]
        share = c.weights[row] / total if total > 0 else 0.0
        mean = (share * c.means[row] + (1 - share) * c.means[heir]).astype(np.float32)
        kind: Literal["retired", "merged"] = "retired" if reason == "dead" else "merged"
        gone, ids = c.ids[[row]], c.ids[[heir]]
        self.events.append(LineageEvent(int(gone[0]), kind, reason, heir=int(ids[0])))
        c.reshape(gone, ids, mean[None], np.array([total]), np.array([c.errors[row] + c.errors[heir]]))
        self._look()

    def move(self) -> bool:
        """Give the place of the least useful cluster to the best split, if that pays."""
        row = self.least_useful()
        best = self.best_split(other_than=row)
        if best is None or len(self.centres.ids) < 2:
            return False
        cost, weights = float(self.costs()[row]), self.centres.weights
        dead = weights[row] <= self.rules.dead * weights.mean() and cost <= best[1].gain
        mean_error = float(self.distances[self.judges].sum()) / len(weights)
        if not dead and best[1].gain < self.rules.gain * cost + self.rules.least * mean_error:
            return False
        self.split("wide", other_than=row)
        self.remove(row, self._why(row, dead))
        return True

    def recentre(self) -> None:
        """Put the centres where the sample is, if its second half says that the first was right."""
        if self.judges.sum() < self.rules.members * len(self.centres.ids):
            return
        before = float(self.distances[self.judges].sum())
        trial = self._recentred(self.sample[~self.judges])
        after = float(assign(self.sample[self.judges], self._as_centres(trial))[1].sum())
        if after < (1 - self.rules.recentre) * before:
            c = self.centres
            c.reshape(np.zeros(0, np.int64), c.ids, self._recentred(self.sample), c.weights, c.errors)

    def refit(self) -> None:
        """Begin anew, if that is clearly better."""
        c = self.centres
        if self.judges.sum() < self.rules.members * len(c.ids):
            return
        found = refit(c, self.sample, self.judges, self.rules.refit, self.seed)
        if found is not None:
            each = c.weights.sum() / len(self.sample)  # what one of the sample stands for
            c.reshape(found.gone, found.ids, found.means, each * found.sizes, each * found.errors)
            self.events += found.events

    def _recentred(self, X: Floats) -> Floats:
        """Means (k, d) after some steps of Lloyd on ``X`` (m, d); an old mean counts as some points, too."""
        means, prior = self.centres.means, 2 * self.rules.members
        for _ in range(STEPS):
            rows, _ = assign(X, self._as_centres(means))
            sums = np.zeros(means.shape, np.float64)
            np.add.at(sums, rows, X)
            counts = np.bincount(rows, minlength=len(means))[:, None]
            means = ((sums + prior * self.centres.means) / (counts + prior)).astype(np.float32)
        return means

    def _as_centres(self, means: Floats) -> Floats:
        return unit_rows(means) if self.centres.spherical else means

    def _why(self, row: int, dead: bool) -> str:
        if dead:
            return "dead"
        away = ((self.centres.centres - self.centres.centres[row]) ** 2).sum(axis=1)
        away[row] = np.inf
        return "twin" if away.min() < self.distances.mean() else "spare"

    def decision(self) -> Reshaped | None:
        """All that differs from the clusters as they are."""
        old, new = self.before, self.centres
        at = old.rows_of(new.ids)
        same = at >= 0
        same[same] = (new.means[same] == old.means[at[same]]).all(axis=1) & (
            new.weights[same] == old.weights[at[same]]
        )
        put = ~same
        if not self.events and not put.any():
            return None
        gone = old.ids[new.rows_of(old.ids) < 0]
        return Reshaped(
            old.next_id, new.next_id, gone,
            new.ids[put], new.means[put], new.weights[put], new.errors[put], self.events,
        )  # fmt: skip
