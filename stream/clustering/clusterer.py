"""What every clusterer of users can do, whatever is behind it."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


class StreamClusterer(Protocol):
    """Learns from arrays and says to which cluster points belong; the conformance suite holds each to this.

    Input is never kept by reference or changed. What is not finite raises ValueError and is not learnt.
    """

    @property
    def ids(self) -> npt.NDArray[np.int64]:
        """Permanent ids of the clusters, (k,), ascending; empty before there are any. Never reused."""
        ...

    @property
    def centres(self) -> npt.NDArray[Any]:
        """Centre of each cluster, (k, d)."""
        ...

    def learn_many(self, X: Any) -> None:
        """Learn the rows of ``X`` (n, d)."""
        ...

    def predict_many(self, X: Any) -> npt.NDArray[np.int64] | None:
        """Ids for the rows of ``X`` (n, d), int64 (n,); None before there are clusters. Changes nothing."""
        ...

    def state(self) -> dict[str, Any]:
        """Arrays, numbers and strings from which an equal one is made."""
        ...
