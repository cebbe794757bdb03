"""Births, splits, merges and deaths of clusters: proposed by one, written down, applied by all.

One measure rules them: the quantisation error of a sample of users. A cluster is worth what the error would grow by
without it, a split what it would shrink by (the utility of LBG-U; Fritzke, 1997); places go where they are worth most.
Dead clusters and twins are those worth nothing, too wide ones those that pay most to split, so no thresholds on sizes
or distances are needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.clustering.assign import Floats, assign, unit_rows
from stream.clustering.breathing import breathe, settle, total_error, usefulness
from stream.clustering.kmeans import StreamingKMeans
from stream.clustering.lineage import LineageEvent
from stream.clustering.seeding import seed_centres
from stream.clustering.succession import succeed
from stream.clustering.weighted import Ids, WeightedCentres


@dataclass(frozen=True, slots=True)
class LifeCycle:
    """How readily clusters change."""

    # Share of the error that places elsewhere must take off. Lower moves users for what a search happened to find,
    # higher leaves the clusters in a worse place.
    gain: float = 0.01
    # Sampled users a cluster, and on each side of a split; with fewer their means are chance.
    members: int = 8
    # A cluster with less than this share of the mean weight is dead: its place moves for any gain.
    dead: float = 0.02
    # Centres are put where the sampled users are when that takes this share off the error. Events pull them
    # towards busy users, a long half-life towards former ones; lower moves centres for noise, higher leaves
    # them where nobody is.
    recentre: float = 0.003
    # What a search flatters itself by, in shares of the error for each centre of a sampled user: it takes the luckiest
    # of many places. Users who are in the sample are told from those who are not by it. At 0 users move for luck.
    luck: float = 0.5
    # Share of the users elsewhere to whom a part of the cluster that is split, where there is to be one more, may be
    # nearest. At 1 the best split may take users from all its neighbours; at 0 one that gains little is taken.
    drawn: float = 0.01


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
    share: float = 0.0,
) -> Reshaped | None:
    """Say what should become of the clusters, judging by ``sample`` (m, d) of profiles; None: nothing. Pure.

    Parameters
    ----------
    k
        How many clusters there should be; by default as many as there are. A change of their number comes alone, so
        that it moves few users.
    seed
        Of splits and search; the same input gives the same decision.
    share
        Of all users that the sample is: what is better for these is so far better, no matter how it was found.
    """
    draft = _Draft(model.weighted, sample, rules or LifeCycle(), seed, share)
    target = k or len(draft.centres.ids)
    while len(draft.centres.ids) < target and draft.split():
        pass
    while len(draft.centres.ids) > target:
        draft.remove()
    if not draft.events and len(sample) >= draft.rules.members * target:
        draft.improve()
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

    def __init__(
        self, centres: WeightedCentres, sample: Floats, rules: LifeCycle, seed: int, share: float
    ) -> None:
        self.before = centres
        self.centres = WeightedCentres(
            centres.n_clusters, centres.half_life, centres.spherical, centres.seed, centres.warm_up
        )
        self.centres.restore(centres.state())
        self.sample = unit_rows(sample) if centres.spherical else sample
        self.share = share
        self.rules, self.seed = rules, seed
        self.events: list[LineageEvent] = []
        self._look()

    def _look(self) -> None:
        self.rows, self.distances = assign(self.sample, self.centres.centres)

    def split_of(self, row: int) -> _Split | None:
        """Split a cluster as well as can be; None if too few of the sample are in it."""
        members = np.flatnonzero(self.rows == row)
        if len(members) < 2 * self.rules.members:
            return None
        spherical = self.centres.spherical
        halves = seed_centres(self.sample[members], 2, self.seed, spherical=spherical)
        part, left = assign(self.sample[members], halves)
        sizes = np.bincount(part, minlength=2)
        if len(halves) < 2 or sizes.min() < self.rules.members:
            return None
        order = np.argsort(-sizes, kind="stable")
        means = np.stack([self.sample[members[part == p]].mean(axis=0) for p in order])
        total = max(float(self.distances[members].sum()), 1e-12)
        gain = total - float(left.sum())
        errors = np.array([float(left[part == p].sum()) / total for p in order])
        return _Split(gain, means, sizes[order] / sizes.sum(), errors)

    def split(self) -> bool:
        """Have one cluster more, where that gains most; whether there was such a place."""
        found = [(row, self.split_of(row)) for row in range(len(self.centres.ids))]
        usable = [(row, split) for row, split in found if split is not None and split.gain > 0]
        if not usable:
            return False
        usable.sort(key=lambda one: -one[1].gain)
        drawn = [self._drawn(*one) for one in usable]
        quiet = (one for one, share in zip(usable, drawn, strict=True) if share <= self.rules.drawn)
        row, split = next(quiet, usable[int(np.argmin(drawn))])
        old, new = int(self.centres.ids[row]), self.centres.next_id
        weights = self.centres.weights[row] * split.shares
        errors = self.centres.errors[row] * split.errors
        self.centres.reshape(np.zeros(0, np.int64), np.array([old, new]), split.means, weights, errors)
        self.events += [LineageEvent(old, "split", "k"), LineageEvent(new, "born", "k", parents=(old,))]
        self._look()
        return True

    def _drawn(self, row: int, split: _Split) -> float:
        """Share of the sampled users of other clusters to whom one of the two parts would be nearest.

        Not all of them move; but those do who are held where they are although another cluster is nearer already.
        """
        others = np.flatnonzero(self.rows != row)
        if not len(others):
            return 0.0
        nearest = assign(self.sample[others], split.means)[1]
        return float((self.distances[others] > nearest).mean())

    def remove(self) -> None:
        """Have one cluster less: its nearest takes over from the one missed least, of equal ones the lightest."""
        c = self.centres
        costs = usefulness(self.sample, c.centres)
        row = int(np.lexsort((c.weights, costs))[0])
        away = ((c.centres - c.centres[row]) ** 2).sum(axis=1)
        away[row] = np.inf
        heir = int(np.argmin(away))
        total = c.weights[row] + c.weights[heir]
        share = c.weights[row] / total if total > 0 else 0.0
        mean = (share * c.means[row] + (1 - share) * c.means[heir]).astype(np.float32)
        gone, ids = c.ids[[row]], c.ids[[heir]]
        self.events.append(LineageEvent(int(gone[0]), "merged", "k", heir=int(ids[0])))
        c.reshape(gone, ids, mean[None], np.array([total]), np.array([c.errors[row] + c.errors[heir]]))
        self._look()

    def improve(self) -> None:
        """Put the centres where the users are who are nearest to them, and places where they are worth more."""
        c, rules = self.centres, self.rules
        settled = settle(self.sample, c.centres, spherical=c.spherical)
        gained = self._gained_by_settling(settled)
        found = breathe(self.sample, settled, self.seed, c.spherical)
        luck = rules.luck * (1 - self.share) * len(c.ids) / len(self.sample)
        more = _gained(self.sample, settled, found) + min(gained, 0.0) - luck
        dead = (c.weights <= rules.dead * c.weights.mean()).any()
        if more >= rules.gain or (dead and more > 0):
            self._take(found)
        elif gained >= rules.recentre:
            self._take(settled)

    def _gained_by_settling(self, settled: Floats) -> float:
        """Share of all users' error that the sample's means take off; of those not in it, as one half tells another."""
        centres, spherical = self.centres.centres, self.centres.spherical
        one, other = self.sample[::2], self.sample[1::2]
        trial, led = (settle(one, start, spherical=spherical) for start in (centres, settled))
        if _gained(one, trial, led) >= self.rules.gain:
            trial = led  # by itself the half has got stuck
        # Means of half as many users are off by twice as much: by k / n of the error more than those of all.
        elsewhere = _gained(other, centres, trial) + len(centres) / len(self.sample)
        return self.share * _gained(self.sample, centres, settled) + (1 - self.share) * elsewhere

    def _take(self, centres: Floats) -> None:
        c = self.centres
        found = succeed(c, self.sample, centres, self.rules.dead)
        each = c.weights.sum() / len(self.sample)  # what one of the sample stands for
        weights, errors = each * found.sizes, each * found.errors
        if not found.events:
            weights, errors = c.weights, c.errors
        c.reshape(found.gone, found.ids, found.means, weights, errors)
        self.events += found.events

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


def _gained(X: Floats, before: Floats, after: Floats) -> float:
    """Share of the error of ``X`` (m, d) that centres ``after`` (k, d) take off that of those ``before``."""
    error = total_error(X, before)
    return 1 - total_error(X, after) / error if error > 0 else 0.0
