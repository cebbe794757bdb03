"""How much each candidate source is trusted: a mixture learnt online from what users took."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stream.recommending.sources import PRIOR

# Situations are told apart by how many items a user's history holds: what helps a newcomer is not what helps
# a regular.
HISTORY_STEPS = np.array([1, 3, 10])
SITUATIONS = len(HISTORY_STEPS) + 1
# Before anything is learnt, as if so many taken items had been explained like this per situation. Much larger, and a
# log's first thousands of events are spent unlearning it.
PRIOR_COUNT = 50.0
# In taught items: shorter is noisy, longer late.
HALF_LIFE = 20_000.0


def situation(history_length: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Give the situation of users with so many items in their history, int64 (m,).

    Examples
    --------
    >>> situation(np.array([0, 1, 2, 3, 50]))
    array([0, 1, 1, 2, 3])
    """
    return np.searchsorted(HISTORY_STEPS, history_length, side="right").astype(np.int64)


class Mixture:
    """Weights of the sources' columns, by situation.

    p(item) = sum over columns of w_s p_s(item). For an item that a user took, each column's share in that sum is its
    responsibility; the weights are the decayed mean responsibilities: online expectation maximisation of the
    likelihood of what is taken next (Cappe and Moulines, 2009). A source with no use gets no weight.
    """

    def __init__(self, columns: Sequence[str], enabled: Sequence[str]) -> None:
        self.enabled = np.array([name in enabled for name in columns])
        prior = np.array([PRIOR[name] / columns.count(name) for name in columns])
        self.sums = np.tile(prior * PRIOR_COUNT, (SITUATIONS, 1))

    @property
    def weights(self) -> npt.NDArray[np.float32]:
        """float32 (SITUATIONS, columns), rows sum to 1; 0 for what is switched off."""
        sums = self.sums * self.enabled
        return np.asarray(sums / np.maximum(sums.sum(1, keepdims=True), 1e-30), np.float32)

    def fold(self, responsibilities: npt.NDArray[np.float32]) -> None:
        """Take in summed responsibilities (SITUATIONS, columns)."""
        self.sums *= 0.5 ** (responsibilities.sum(1, keepdims=True) / HALF_LIFE)
        self.sums += responsibilities
