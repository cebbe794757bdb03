"""What item models propose: for each of a user's items its neighbours, their scores added up."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from stream.recommending.item_models import NeighbourLists
from stream.recommending.scratch import FREE
from stream.recommending.tables import Floats, Proposals, nth_largest

# Of all that is scored, so many are proposed, the best: a long history has a thousand neighbours.
BEST = 64


def propose_neighbours(
    model: NeighbourLists, own: npt.NDArray[np.int32], decay: np.float32, place: npt.NDArray[np.int32]
) -> tuple[Proposals, Floats]:
    """Score what goes with the items ``own`` (m, H) of m users, newest first, -1 none.

    The first counts as it is, each other ``decay`` times the one before. ``place`` is ``Scratch.places`` of all items.
    Shares of the positive scores, and the sums of these, (m,).
    """
    proposals, sums = Proposals.blank(len(own), 1, BEST), np.zeros(len(own), np.float32)
    if len(model.ids):
        _score((model.place, model.ids, model.scores), own, decay, place, *proposals.arrays(), sums)
    return proposals, sums


@njit(cache=True, fastmath=True)
def _add_up(model, own, decay, place, touched, total):  # type: ignore[no-untyped-def]
    """Write the neighbours of the items ``own`` (H,) into ``touched`` and their scores into ``total``; how many."""
    places, ids, scores = model
    n, weight = 0, np.float32(1)
    for i in own:
        if i >= 0 and i < len(places) and places[i] >= 0:
            r = places[i]
            for q in range(ids.shape[1]):
                j = ids[r, q]
                if j < 0:
                    continue
                at = place[j]
                if at < 0:
                    at = place[j] = n
                    touched[n], total[n] = j, 0
                    n += 1
                total[at] += weight * scores[r, q]
        weight *= decay
    for q in range(n):
        place[touched[q]] = FREE
    return n


@njit(cache=True, fastmath=True)
def _score(model, own, decay, place, item, share, length, sums):  # type: ignore[no-untyped-def]
    room = own.shape[1] * model[1].shape[1] + 1
    touched, total = np.empty(room, np.int32), np.empty(room, np.float32)
    for u in range(len(own)):
        n = _add_up(model, own[u], decay, place, touched, total)
        all_of_it = np.float32(0)
        for q in range(n):
            total[q] = max(total[q], np.float32(0))
            all_of_it += total[q]
        sums[u] = all_of_it
        most = min(n, item.shape[2])
        least = max(nth_largest(total[:n], most), np.finfo(np.float32).tiny)
        at = 0
        for q in range(n):
            if total[q] >= least and at < most:
                item[u, 0, at], share[u, 0, at] = touched[q], total[q] / all_of_it
                at += 1
        length[u, 0] = at
