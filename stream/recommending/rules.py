"""Rules: what lies between ranking and the list.

The ranker says what is likely; a shop also has to say what must not be shown, and how one-sided a list may be.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from stream.config_lists import RuleSettings
from stream.hashing import HashIndex, hash_text, hash_texts

# Ranked items from which a list is chosen where a rule may pass some over, as a multiple of its length: with fewer, a
# cap leaves lists short; more cost time, and are hardly likely.
DEPTH = 3

Rows32 = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


class Rules:
    """The rules of ``settings``; each is off until it is set, and costs nothing then."""

    def __init__(self, settings: RuleSettings) -> None:
        self.settings = settings
        self._blocked = hash_texts(settings.blocked_items)
        self._blocked_categories = hash_texts(settings.blocked_categories)
        names = sorted(settings.categories, key=hash_text)
        self._capped = hash_texts(names)
        self._caps = np.array([settings.categories[name] for name in names], np.int64)

    @property
    def choosy(self) -> bool:
        """Whether a list may be other than the best of the ranking."""
        s = self.settings
        return s.per_category > 0 or len(s.categories) > 0 or s.diversity > 0 or s.min_score > 0

    def depth(self, k: int) -> int:
        """How many ranked items a list of ``k`` is chosen from."""
        return DEPTH * k if self.choosy else k

    def allow(
        self, available: npt.NDArray[np.bool_], index: HashIndex, category: npt.NDArray[np.uint64]
    ) -> npt.NDArray[np.bool_]:
        """Which of the ``available`` items (rows,) may be listed; ``category`` (rows,) are hashes."""
        if not len(self._blocked) and not len(self._blocked_categories):
            return available
        allowed = available & ~np.isin(category, self._blocked_categories)
        rows = index.find(self._blocked)
        allowed[rows[rows >= 0]] = False
        return allowed

    def choose(
        self, item: Rows32, score: Floats, k: int, category: npt.NDArray[np.uint64], vectors: Floats
    ) -> npt.NDArray[np.int64]:
        """Choose lists of ``k`` from ranked items: places (m, k) among them, in the order of the list, -1 for none.

        ``item`` (m, n) are rows, best first, -1 for none, with their ``score``; ``category`` (rows,) and unit
        ``vectors`` (rows, d) are of all items.
        """
        s = self.settings
        place = np.full((len(item), k), -1, np.int64)
        cap = s.per_category or item.shape[1]
        # Scores are logarithms of likelihoods.
        reach = -np.log(s.min_score) if s.min_score > 0 else np.inf
        choose_lists(
            item,
            score,
            category,
            vectors,
            cap,
            self._capped,
            self._caps,
            s.diversity,
            np.float32(reach),
            place,
        )
        return place


@njit(cache=True)
def choose_lists(item, score, category, vectors, cap, capped, caps, diversity, reach, place):  # type: ignore[no-untyped-def]
    """Fill ``place`` int64 (m, k) by maximal marginal relevance (Carbonell and Goldstein, 1998) under caps.

    Next comes the item with the largest (1 - diversity) * relevance - diversity * (largest cosine with what is listed
    already); relevance is the score, scaled so that the ranked items of a user span 0 to 1. Of a category at most
    ``cap`` items, of ``capped`` uint64 (c,) at most ``caps`` int64 (c,); none whose score is ``reach`` below the best.
    """
    m, n = item.shape
    k = place.shape[1]
    alike = np.empty(n, np.float32)
    left = np.empty(n, np.bool_)
    for u in range(m):
        ranked = 0
        while ranked < n and item[u, ranked] >= 0 and score[u, ranked] >= score[u, 0] - reach:
            left[ranked] = _most(category[item[u, ranked]], cap, capped, caps) > 0
            alike[ranked] = 0
            ranked += 1
        span = max(score[u, 0] - score[u, ranked - 1], np.float32(1e-6)) if ranked else np.float32(1)
        for q in range(k):
            best = -1
            value = np.float32(0)
            for c in range(ranked):
                if not left[c]:
                    continue
                relevance = 1 - (score[u, 0] - score[u, c]) / span
                worth = (1 - diversity) * relevance - diversity * alike[c]
                if best < 0 or worth > value:
                    best = c
                    value = worth
            if best < 0:
                break
            place[u, q] = best
            left[best] = False
            _close_category(u, q, item, place, category, cap, capped, caps, left, ranked)
            if diversity > 0:
                _compare(item[u], best, vectors, alike, left, ranked)


@njit(cache=True)
def _most(category, cap, capped, caps):  # type: ignore[no-untyped-def]
    """How many items of ``category`` a list may hold."""
    for c in range(len(capped)):
        if capped[c] == category:
            return caps[c]
    return cap


@njit(cache=True)
def _close_category(u, q, item, place, category, cap, capped, caps, left, ranked):  # type: ignore[no-untyped-def]
    """Take away what is left of a category that is full."""
    full = category[item[u, place[u, q]]]
    if full == 0:
        return
    had = 0
    for p in range(q + 1):
        had += category[item[u, place[u, p]]] == full
    if had < _most(full, cap, capped, caps):
        return
    for c in range(ranked):
        if category[item[u, c]] == full:
            left[c] = False


@njit(cache=True, fastmath=True)
def _compare(item, best, vectors, alike, left, ranked):  # type: ignore[no-untyped-def]
    """Raise ``alike`` to the cosine with the item listed last."""
    for c in range(ranked):
        if left[c]:
            dot = np.float32(0)
            for j in range(vectors.shape[1]):
                dot += vectors[item[best], j] * vectors[item[c], j]
            alike[c] = max(alike[c], dot)
