"""River's dicts as vectors: every feature gets a column when it is first learnt."""

from __future__ import annotations

import struct
from collections.abc import Callable, Hashable, Mapping
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt


class FeatureIndex:
    """Columns of features, in the order of their first appearance.

    Examples
    --------
    >>> index = FeatureIndex()
    >>> index.add(["a", "b"])
    >>> index.vector({"b": 2.0})
    (array([0., 2.]), array([False,  True]))
    """

    def __init__(self, names: list[Hashable] | None = None) -> None:
        self.names: list[Hashable] = []
        self._columns: dict[Hashable, int] = {}
        self.add(names or [])

    def __len__(self) -> int:
        return len(self.names)

    def __getstate__(self) -> list[Hashable]:
        return self.names

    def __setstate__(self, names: list[Hashable]) -> None:
        self.__init__(names)  # type: ignore[misc]

    def unknown(self, x: Mapping[Any, Any]) -> list[Hashable]:
        """Features of ``x`` without a column, in the order in which ``river.cluster.KMeans`` meets them."""
        if len(x) <= len(self.names) and all(name in self._columns for name in x):
            return []
        # River walks this very set, and draws starting coordinates in its order.
        return [name for name in {*self.names, *x.keys()} if name not in self._columns]

    def add(self, names: list[Hashable]) -> None:
        """Give ``names`` the next columns."""
        for name in names:
            self._columns[name] = len(self.names)
            self.names.append(name)
        self.all_present = np.ones(len(self.names), np.bool_)
        self._buffer = np.zeros(len(self.names), np.float64)
        self._format = f"{len(self.names)}d"
        self._values: Callable[[Mapping[Any, Any]], tuple[Any, ...]] | None = (
            itemgetter(*self.names) if len(self.names) > 1 else None
        )

    def dense(self, x: Mapping[Any, float]) -> npt.NDArray[np.float64] | None:
        """``x`` as float64 (d,) if it has just the known features, else None; good until the next call."""
        if self._values is None or len(x) != len(self.names):
            return None
        try:
            struct.pack_into(self._format, self._buffer.data, 0, *self._values(x))
        except KeyError:
            return None
        return self._buffer

    def vector(self, x: Mapping[Any, float]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """``x`` as float64 (d,), 0 for a feature it lacks, and which features it has, bool (d,).

        Unknown ones are left out. The arrays are good until the next call.
        """
        if self.dense(x) is not None:
            return self._buffer, self.all_present
        present = np.zeros(len(self.names), np.bool_)
        self._buffer[:] = 0
        for name, value in x.items():
            column = self._columns.get(name)
            if column is not None:
                self._buffer[column] = value
                present[column] = True
        return self._buffer, present
