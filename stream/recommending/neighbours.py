"""What item models propose: for each of a user's items its neighbours, their scores added up."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from stream.recommending.item_models import NeighbourLists
from stream.recommending.tables import Floats, Proposals, nth_largest

# Of all that is scored, so many are proposed, the best: a long history has a thousand neighbours.
BEST = 64


def propose_neighbours(
    model: NeighbourLists, own: npt.NDArray[np.int32], weight: Floats, items: int
) -> tuple[Proposals, Floats]:
    """Score what goes with the items ``own`` (m, H) of m users, -1 none, weighted (m, H); there are ``items``.

    Shares of the positive scores, and the sums of these, (m,).
    """
    proposals, sums = Proposals.blank(len(own), 1, BEST), np.zeros(len(own), np.float32)
    if len(model.ids):
        scratch = np.zeros(items, np.float32), np.empty(items, np.int32), np.zeros(items, np.bool_)
        _score((model.place, model.ids, model.scores), own, weight, scratch, *proposals.arrays(), sums)
    return proposals, sums


@njit(cache=True, fastmath=True)
def _score(model, own, weight, scratch, item, share, length, sums):  # type: ignore[no-untyped-def]
    place, ids, scores = model
    total, touched, known = scratch
    found = np.empty(len(total), np.float32)
    for u in range(len(own)):
        n = 0
        for h in range(own.shape[1]):
            i = own[u, h]
            if i < 0 or i >= len(place) or place[i] < 0:
                continue
            r = place[i]
            for q in range(ids.shape[1]):
                j = ids[r, q]
                if j < 0:
                    continue
                if not known[j]:
                    known[j] = True
                    touched[n] = j
                    n += 1
                total[j] += weight[u, h] * scores[r, q]
        for q in range(n):
            found[q] = max(total[touched[q]], np.float32(0))
        most = min(n, item.shape[2])
        least = nth_largest(found[:n], most)
        at = 0
        for q in range(n):
            j = touched[q]
            if total[j] > 0:
                sums[u] += total[j]
                if total[j] >= least and at < most:
                    item[u, 0, at], share[u, 0, at] = j, total[j]
                    at += 1
            total[j] = 0
            known[j] = False
        length[u, 0] = at
        for q in range(at):
            share[u, 0, q] /= sums[u]
