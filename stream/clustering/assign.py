"""Nearest centres of many points: one matrix product and one pass, in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.clustering import kernels

Floats = npt.NDArray[np.float32]
# Products held at once, 4 bytes each: 4 MiB stay in the cache between the product and the pass over it.
# Larger ones go out to memory and come back, much smaller ones starve the matrix product.
BLOCK = 1 << 20
# How much nearer another centre must be, in squared distance, before a user moves. At 0 users on borders move
# with every tremble of a centre, and a birth takes its neighbours' users; above about 0.5 users stay where
# they do not belong.
MARGIN = 0.2
NOT_FINITE = "a vector holds NaN, infinity or values above 1e18; drop such rows first"


def as_rows(X: Any) -> Floats:
    """Give ``X`` as C-contiguous float32 (n, d): itself if it is that already, a view of a torch tensor.

    Raises
    ------
    ValueError
        If it has not two dimensions.
    """
    if hasattr(X, "detach"):
        X = X.detach().cpu().numpy()
    if np.ndim(X) != 2:
        raise ValueError(f"vectors must be an array of shape (n, d), not {np.shape(X)}")
    return np.ascontiguousarray(X, np.float32)


def check_rows(X: npt.NDArray[Any]) -> None:
    """Refuse what are no finite rows (n, d), of any type of number. Raises ValueError."""
    if X.ndim != 2:
        raise ValueError(f"vectors must be an array of shape (n, d), not {X.shape}")
    if not np.isfinite(X).all():
        raise ValueError(NOT_FINITE)


def check_finite(distances: Floats) -> None:
    """Refuse points that are not finite, known by their ``distances`` (n,) at no further cost.

    Raises
    ------
    ValueError
        If one is NaN, infinite or so large that its square is.
    """
    if not np.isfinite(distances.sum(dtype=np.float64)):
        raise ValueError(f"{NOT_FINITE} (row {int(np.argmin(np.isfinite(distances)))})")


def squared_lengths(X: Floats) -> Floats:
    """Squared lengths of the rows of ``X`` (n, d), float32 (n,); refuses rows as ``check_finite`` does."""
    squares = np.einsum("ij,ij->i", X, X)
    check_finite(squares)
    return np.asarray(squares, np.float32)


def unit_rows(X: Floats) -> Floats:
    """Rows of ``X`` (n, d) scaled to unit length; rows of zeros stay so."""
    length = np.linalg.norm(X, axis=1, keepdims=True)
    return np.asarray(np.divide(X, length, out=np.zeros_like(X), where=length > 0))


def blocks(n: int, k: int) -> Iterator[slice]:
    """Slices of ``n`` rows, so that each has about ``BLOCK`` products with ``k`` centres."""
    size = max(64, BLOCK // max(k, 1))
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def half_squares(centres: Floats) -> Floats:
    """Half the squared length of each centre, float32 (k,): product less half is largest for the nearest."""
    return np.asarray(0.5 * np.einsum("ij,ij->i", centres, centres), np.float32)


def assign(X: Floats, centres: Floats, spherical: bool = False) -> tuple[npt.NDArray[np.int64], Floats]:
    """Rows of the ``centres`` (k, d) nearest to ``X`` (n, d), int64 (n,), and squared distances, float32.

    Distances come from ``|x|^2 - 2 x.c + |c|^2``, which is exact to about 1e-6 of ``|x|^2``: points far from
    the origin and close to each other should be centred first.

    Examples
    --------
    >>> X = np.array([[0, 1], [3, 0]], np.float32)
    >>> assign(X, np.array([[3, 1], [0, 0]], np.float32))
    (array([1, 0]), array([1., 1.], dtype=float32))
    """
    rows, distances = np.empty(len(X), np.int64), np.empty(len(X), np.float32)
    half = half_squares(centres)
    for b in blocks(len(X), len(centres)):
        kernels.nearest(X[b], X[b] @ centres.T, half, spherical, rows[b], distances[b])
    check_finite(distances)
    return rows, distances


def assign_sticky(
    X: Floats, centres: Floats, current: npt.NDArray[np.int64], margin: float, spherical: bool = False
) -> npt.NDArray[np.int64]:
    """As ``assign``, but a point keeps its ``current`` row (n,), -1 for none, unless one is clearly nearer.

    Clearly: its squared distance to the current centre is more than ``1 + margin`` times that to the nearest.
    So a centre that trembles, or one born next door, moves nobody who sits between two.
    """
    rows, distances = np.empty(len(X), np.int64), np.empty(len(X), np.float32)
    half = half_squares(centres)
    for b in blocks(len(X), len(centres)):
        products = X[b] @ centres.T
        kernels.nearest(X[b], products, half, spherical, rows[b], distances[b])
        kernels.keep_current(
            products, half, _scales(X[b], spherical), current[b], np.float32(margin), rows[b]
        )
    check_finite(distances)
    return rows


def _scales(X: Floats, spherical: bool) -> Floats:
    squares = np.einsum("ij,ij->i", X, X)
    if not spherical:
        return np.stack([np.ones_like(squares), squares], axis=1)
    some = squares > 0
    scale = np.zeros_like(squares)
    scale[some] = 1 / np.sqrt(squares[some])
    return np.stack([scale, some.astype(np.float32)], axis=1)
