"""What a batch teaches of lists: carried by its delta."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.recommending.mixture import SITUATIONS
from stream.recommending.ranker import SampledLists


@dataclass(frozen=True, slots=True)
class Taught:
    """From some users' steps: which sources spoke for what was taken, which own items came again, and lists."""

    responsibilities: npt.NDArray[
        np.float32
    ]  # (SITUATIONS, columns) of the sources for what was taken, summed
    own_class: npt.NDArray[np.uint16]  # (o,) classes of the users' own items
    own_taken: npt.NDArray[np.bool_]  # (o,) whether each was taken again
    lists: SampledLists

    @classmethod
    def nothing(cls, columns: int) -> Taught:
        """Of no steps."""
        none = np.zeros((SITUATIONS, columns), np.float32)
        return cls(none, np.empty(0, np.uint16), np.empty(0, np.bool_), SampledLists.none(columns))
