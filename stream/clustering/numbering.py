"""The ids under which clusters are published: a generation goes on with those of the one that it takes over from.

Inside a model clusters have ids of their own. They are translated where they go out, and nowhere else: what users,
deltas and lineage name is not touched, and nothing has to be renamed that is under way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

Ids = npt.NDArray[np.int64]

# Of the users in either of two clusters, the part in both, from which on they are the same to a subscriber: of
# two clusters of one size half of the users. Lower, an id goes on for another kind of users; higher, subscribers
# lose ids that they could have kept.
LEAST_SHARED = 1 / 3
# Ids left to clusters that the older generation opens until it is ended.
ROOM = 100


@dataclass(frozen=True, slots=True)
class Correspondence:
    """Which clusters of two generations are the same, and what becomes of the others."""

    ours: Ids  # (m,) clusters of this generation, by the ids of its model
    theirs: Ids  # (m,) published ids that each of them goes on with
    gone: Ids  # (g,) published ids that nobody goes on with
    heirs: Ids  # (g,) clusters of this generation in which most of their users are
    first: int  # all ids from here on are new


class Numbering:
    """Published ids by ids of the model.

    Examples
    --------
    >>> numbering = Numbering()
    >>> numbering.published(4)
    4
    >>> numbering.go_on(Correspondence(np.array([4]), np.array([7]), np.array([5]), np.array([4]), first=100))
    >>> numbering.published(4), numbering.published(5)
    (7, 105)
    """

    def __init__(self) -> None:
        self.kept: dict[int, int] = {}
        self.first = 0

    def published(self, cluster: int) -> int:
        """Give the id under which ``cluster`` is known outside; an id is never given to two."""
        return self.kept.get(cluster, self.first + cluster)

    def go_on(self, correspondence: Correspondence) -> None:
        """Use the ids of an older generation from now on, where clusters correspond."""
        self.kept = dict(zip(correspondence.ours.tolist(), correspondence.theirs.tolist(), strict=True))
        self.first = correspondence.first


def match_clusters(ours: Ids, theirs: Ids, living: Ids, known: Ids, largest: int) -> Correspondence:
    """Say which clusters correspond, by the n users of whom both generations say something.

    Those go together that together share most: the assignment of greatest sum (Kuhn, 1955) of the users in both, as a
    part of those in either.

    Parameters
    ----------
    ours, theirs
        (n,) the user's cluster in this generation's model, and the id published by the older one.
    living
        (k,) clusters of this generation. Users of others say nothing.
    known
        (l,) ids of the clusters that the older one has published and that live.
    largest
        Of all ids that it has ever published; -1 for none.

    Examples
    --------
    >>> found = match_clusters(np.array([0, 0, 1, 1]), np.array([8, 8, 3, 8]), np.arange(2), np.array([3, 8]), 8)
    >>> found.ours.tolist(), found.theirs.tolist(), found.first
    ([0, 1], [8, 3], 109)
    """
    among = np.isin(ours, living) & np.isin(theirs, known)
    shared = np.zeros((len(living), len(known)))
    np.add.at(shared, (np.searchsorted(living, ours[among]), np.searchsorted(known, theirs[among])), 1)
    either = shared.sum(axis=1)[:, None] + shared.sum(axis=0) - shared
    part = shared / np.maximum(either, 1)
    mine, other = linear_sum_assignment(part, maximize=True)
    same = part[mine, other] >= LEAST_SHARED
    mine, other = mine[same], other[same]
    lost = np.setdiff1d(np.arange(len(known)), other)
    # Of whose users nothing is known, the largest of ours stands in.
    weights = shared + shared.sum(axis=1)[:, None] / (shared.sum() + 1)
    heirs = living[weights[:, lost].argmax(axis=0)] if len(living) else np.empty(0, np.int64)
    lost = lost[: len(heirs)]
    return Correspondence(living[mine], known[other], known[lost], heirs, largest + 1 + ROOM)
