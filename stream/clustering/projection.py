"""From encoder vectors to the space in which users are clustered: centred, few dimensions, unit length.

Vectors of BERT-like encoders crowd into a narrow cone (Ethayarajh, 2019): without centring, all are near to
all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.clustering.assign import Floats, as_rows


@dataclass(frozen=True, slots=True)
class Projection:
    """Subtract ``mean``, look along ``components``, scale to unit length.

    Examples
    --------
    >>> plane = Projection(np.array([1, 0, 0], np.float32), np.eye(3, dtype=np.float32)[:, :2])
    >>> plane.apply(np.array([[4, 4, 7], [1, 0, 9]]))
    array([[0.6, 0.8],
           [0. , 0. ]], dtype=float32)
    """

    mean: Floats  # (D,)
    components: Floats  # (D, d)

    @property
    def dimensions(self) -> int:
        """Length of a projected vector."""
        return int(self.components.shape[1])

    def apply(self, X: npt.ArrayLike) -> Floats:
        """Project rows of ``X`` (n, D): float32 (n, d), of unit length, or zeros if nothing is left."""
        points = as_rows(X)
        projected = points @ self.components - self.mean @ self.components
        length = np.linalg.norm(projected, axis=1, keepdims=True)
        # A row at the mean has no direction; what rounding leaves of it must not be blown up to one.
        size = np.sqrt(np.einsum("ij,ij->i", points, points))[:, None] + np.linalg.norm(self.mean)
        clear = length > 1e-6 * size
        return np.asarray(np.divide(projected, length, out=np.zeros_like(projected), where=clear))


@dataclass(slots=True)
class Moments:
    """Weight, sum and second moment of vectors: a covariance that is kept online and merges.

    Examples
    --------
    >>> both = Moments.zeros(2)
    >>> both.add(np.array([[0, 1], [2, 1]]))
    >>> both.covariance()
    array([[1., 0.],
           [0., 0.]])
    """

    weight: float
    sums: npt.NDArray[np.float64]  # (D,)
    squares: npt.NDArray[np.float64]  # (D, D)

    @classmethod
    def zeros(cls, dimensions: int) -> Moments:
        """Of no vector yet."""
        return cls(0.0, np.zeros(dimensions), np.zeros((dimensions, dimensions)))

    def add(self, X: npt.ArrayLike, decay: float = 1.0) -> None:
        """Count in the rows of ``X`` (n, D), after what was counted has faded by the factor ``decay``."""
        points = np.asarray(X, np.float64)
        self.weight = self.weight * decay + len(points)
        self.sums = self.sums * decay + points.sum(axis=0)
        self.squares = self.squares * decay + points.T @ points

    def covariance(self) -> npt.NDArray[np.float64]:
        """Covariance (D, D)."""
        mean = self.sums / self.weight
        return np.asarray(self.squares / self.weight - np.outer(mean, mean))

    def projection(self, dimensions: int, whiten: bool = False) -> Projection:
        """Onto the axes of largest variance, ``dimensions`` of them or as many as there are.

        Parameters
        ----------
        whiten
            Scale the axes to equal variance. It evens out a cone, and raises noise where ``dimensions`` is
            large.

        Raises
        ------
        ValueError
            If no vector was counted or ``dimensions`` is below 1.
        """
        if self.weight <= 0 or dimensions < 1:
            raise ValueError(
                f"a projection needs vectors and dimensions >= 1, not {self.weight:g} and {dimensions}"
            )
        variances, axes = np.linalg.eigh(self.covariance())
        variances, axes = variances[::-1], axes[:, ::-1]
        # Points span at most as many axes as there are; along the others is only rounding.
        rank = int((variances > 1e-9 * max(variances[0], np.finfo(np.float64).tiny)).sum())
        d = max(1, min(dimensions, rank))
        variances, axes = variances[:d], axes[:, :d]
        # Eigenvectors are known up to their sign: the largest coordinate is made positive.
        axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(d)])
        if whiten:
            axes = axes / np.sqrt(np.maximum(variances, np.finfo(np.float64).tiny))
        return Projection(
            (self.sums / self.weight).astype(np.float32), np.ascontiguousarray(axes, np.float32)
        )


def fit_projection(X: npt.ArrayLike, dimensions: int, whiten: bool = False) -> Projection:
    """Find ``dimensions`` principal axes of ``X`` (m, D), or as many as it spans: ``Moments.projection``.

    Examples
    --------
    >>> fit_projection(np.array([[0, 5], [2, 5]]), dimensions=2).components
    array([[1.],
           [0.]], dtype=float32)
    """
    points = as_rows(X)
    moments = Moments.zeros(points.shape[1])
    moments.add(points)
    return moments.projection(dimensions, whiten)
