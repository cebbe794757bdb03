"""How events meet the lists that were published for their users."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit


@dataclass(frozen=True, slots=True)
class Answers:
    """How n events met the lists last published for their users.

    Places from 0; -1: not in the list; -2: not asked, as there was no list, no item, or nothing liked.
    """

    rank: npt.NDArray[np.int16]  # (n,)
    popular_rank: npt.NDArray[
        np.int16
    ]  # (n,) the same, had the list held what is popular and new to the user


@njit(cache=True)
def published_rank(rows, item, weight, list_item, history_item, popular, exclude_seen, rank, popular_rank):  # type: ignore[no-untyped-def]
    """Find the item of each event in the list last published for its user, and in one of popular ones.

    ``rows`` int64 (n,) in ``list_item`` uint64 (rows, k) and ``history_item`` uint64 (rows, H); ``popular``
    uint64 (P,). The list of popular ones is the one that the user would have got, without what they have
    seen. Fills ``rank`` and ``popular_rank`` int16 (n,): the place from 0, -1 for a miss, -2 where nothing is
    scored (no list yet, no item, nothing liked).
    """
    k = list_item.shape[1]
    for i in range(len(rows)):
        rank[i] = popular_rank[i] = -2
        r = rows[i]
        if item[i] == 0 or weight[i] <= 0 or list_item[r, 0] == 0:
            continue
        rank[i] = popular_rank[i] = -1
        for q in range(k):
            if list_item[r, q] == item[i]:
                rank[i] = q
                break
        skipped = 0
        for q in range(len(popular)):
            if q - skipped >= k:
                break
            seen = exclude_seen and _holds(history_item[r], popular[q])
            skipped += seen
            if popular[q] == item[i]:
                if not seen:
                    popular_rank[i] = q - skipped
                break


@njit(cache=True)
def _holds(history, item):  # type: ignore[no-untyped-def]
    for h in range(len(history)):
        if history[h] == 0:
            return False
        if history[h] == item:
            return True
    return False
