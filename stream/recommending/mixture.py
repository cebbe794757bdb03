"""How much each candidate source is trusted: a mixture learnt online from what users took."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

# Situations are told apart by how many items a user's history holds: what helps a newcomer is not what helps
# a regular.
HISTORY_STEPS = np.array([1, 3, 10])
SITUATIONS = len(HISTORY_STEPS) + 1
# Before anything is learnt, as if so many taken items had been explained like this per situation. Popularity
# first: it is never absurd. Much larger, and a log's first thousands of events are spent unlearning it.
PRIOR_COUNT = 50.0
PRIOR = {"popular": 0.55, "trending": 0.15, "co-visitation": 0.2, "content": 0.1}


def source_names(half_lives: int) -> list[str]:
    """Names of the sources in the kernels' order: popular once per half-life, then the others.

    Examples
    --------
    >>> source_names(2)
    ['popular', 'popular', 'trending', 'co-visitation', 'content']
    """
    return ["popular"] * half_lives + ["trending", "co-visitation", "content"]


def situation(history_length: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Give the situation of users with so many items in their history, int64 (m,).

    Examples
    --------
    >>> situation(np.array([0, 1, 2, 3, 50]))
    array([0, 1, 1, 2, 3])
    """
    return np.searchsorted(HISTORY_STEPS, history_length, side="right").astype(np.int64)


class Mixture:
    """Weights of the sources, by situation.

    A list ranks items by p(item) = sum over sources of w_s p_s(item). For an item that a user took, each
    source's share in that sum is its responsibility; the weights are the decayed mean responsibilities:
    online expectation maximisation of the likelihood of what is taken next (Cappe and Moulines, 2009). A
    source with no use gets no weight.
    """

    def __init__(self, half_life: float, sources: Sequence[str]) -> None:
        self.half_life = half_life  # in taught items
        prior = np.array([PRIOR[name] / sources.count(name) for name in sources])
        self.sums = np.tile(prior * PRIOR_COUNT, (SITUATIONS, 1))

    @property
    def weights(self) -> npt.NDArray[np.float32]:
        """float32 (SITUATIONS, sources), rows sum to 1."""
        return np.asarray(self.sums / self.sums.sum(1, keepdims=True), np.float32)

    def fold(self, responsibilities: npt.NDArray[np.float32]) -> None:
        """Take in summed responsibilities (SITUATIONS, sources)."""
        self.sums *= 0.5 ** (responsibilities.sum(1, keepdims=True) / self.half_life)
        self.sums += responsibilities
