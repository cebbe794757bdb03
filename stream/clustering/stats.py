"""What a batch says of the clusters: the part of a delta that merges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class ClusterStats:
    """Sums over the points that fell to each of c clusters; sums of two batches are the sums of both."""

    ids: npt.NDArray[np.int64]  # (c,) permanent ids, ascending
    weight: npt.NDArray[np.float64]  # (c,)
    sums: npt.NDArray[np.float32]  # (c, d) weighted sum of the vectors
    error: npt.NDArray[np.float64]  # (c,) weighted squared distances to the centre they were assigned to

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def mean_error(self) -> float:
        """Mean squared distance of a point to its centre; 0 of no points."""
        total = float(self.weight.sum())
        return float(self.error.sum()) / total if total else 0.0


def merge_stats(parts: Sequence[ClusterStats]) -> ClusterStats:
    """One ``ClusterStats`` for all ``parts``, one at least.

    Examples
    --------
    >>> one = ClusterStats(np.array([3]), np.array([2.0]), np.ones((1, 2), np.float32), np.array([0.5]))
    >>> merge_stats([one, one]).weight
    array([4.])
    """
    ids, rows = np.unique(np.concatenate([part.ids for part in parts]), return_inverse=True)
    sums = np.zeros((len(ids), parts[0].sums.shape[1]), np.float32)
    np.add.at(sums, rows, np.concatenate([part.sums for part in parts]))
    weight = np.zeros(len(ids), np.float64)
    np.add.at(weight, rows, np.concatenate([part.weight for part in parts]))
    error = np.zeros(len(ids), np.float64)
    np.add.at(error, rows, np.concatenate([part.error for part in parts]))
    return ClusterStats(ids, weight, sums, error)
