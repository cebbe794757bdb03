"""Room in which kernels work, used again and again: for a million items, making it anew would cost more than a list."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

# What stands in ``place`` of an item that is no candidate; and of one that is to be none.
FREE, BARRED = -1, -2


class Scratch:
    """Arrays that grow. Not for two threads at once; who uses them leaves them as they were found.

    ``place`` int32 (items,) says where an item stands in a list that is being drawn up, and is FREE between two uses.
    ``shares`` float32 (columns, candidates) are zeros between two uses.
    """

    def __init__(self) -> None:
        self.place = np.empty(0, np.int32)
        self.shares = np.empty((0, 0), np.float32)

    def places(self, items: int) -> npt.NDArray[np.int32]:
        """Room for ``items`` items: ``place``, which may be longer."""
        if len(self.place) < items:
            self.place = np.full(max(items, 2 * len(self.place), 1024), FREE, np.int32)
        return self.place

    def candidates(self, items: int, columns: int, most: int) -> tuple[npt.NDArray[Any], ...]:
        """Room for ``most`` candidates of one user: places, rows, shares, own places, mixture, liking, choice."""
        if self.shares.shape[0] != columns or self.shares.shape[1] < most:
            self.shares = np.zeros((columns, most), np.float32)
            self._rows, self._own_at = np.empty(most, np.int32), np.empty(most, np.int32)
            self._mixed, self._liked = np.empty(most, np.float32), np.empty(most, np.float32)
            self._chosen = np.empty(most, np.int64)
        return (
            self.places(items), self._rows, self.shares, self._own_at, self._mixed, self._liked, self._chosen,
        )  # fmt: skip
