"""Loops of clustering: nearest centres, sums per cluster, folding; tested against plain references."""

from __future__ import annotations

import numpy as np
from numba import njit

# Sums may be reordered so that they vectorise; NaN and infinity keep their meaning, as bad input is known by
# them.
LOOSE_SUMS = {"reassoc", "contract", "nsz", "arcp"}


@njit(cache=True, fastmath=LOOSE_SUMS)
def square(x):  # type: ignore[no-untyped-def]
    """Squared length of ``x`` (d,)."""
    total = x.dtype.type(0)
    for j in range(len(x)):
        total += x[j] * x[j]
    return total


@njit(cache=True, fastmath=LOOSE_SUMS)
def nearest(X, products, half, spherical, rows, distances):  # type: ignore[no-untyped-def]
    """Nearest centre of each row of ``X`` (n, d); ``products`` is X @ centres.T, ``half`` is |centre|^2 / 2.

    Writes ``rows`` (n,) and ``distances`` (n,), the squared distance to it; of equally near ones the first.
    Spherical: as if the rows had unit length.
    """
    for i in range(len(X)):
        length = square(X[i])
        scale = unit_scale(X[i], spherical)
        best = products[i, 0] * scale - half[0]
        row = 0
        for c in range(1, products.shape[1]):
            score = products[i, c] * scale - half[c]
            if score > best:
                best = score
                row = c
        rows[i] = row
        # A plain maximum(0, .) would turn NaN into 0 and hide bad input.
        distance = length * scale * scale - 2 * best
        distances[i] = 0 if distance < 0 else distance


@njit(cache=True, fastmath=LOOSE_SUMS)
def keep_current(products, half, scale, current, margin, rows):  # type: ignore[no-untyped-def]
    """Put ``rows`` (n,) back to ``current`` (n,) where its squared distance is nearly as small.

    ``scale`` (n, 2) holds what rows are multiplied by and their squared length after that; ``current`` is -1
    for none.
    """
    for i in range(len(rows)):
        row = current[i]
        if row >= 0:
            near = scale[i, 1] - 2 * (products[i, rows[i]] * scale[i, 0] - half[rows[i]])
            own = scale[i, 1] - 2 * (products[i, row] * scale[i, 0] - half[row])
            if own <= near * (1 + margin):
                rows[i] = row


@njit(cache=True, fastmath=LOOSE_SUMS)
def add_rows(X, weights, rows, distances, spherical, weight, sums, error):  # type: ignore[no-untyped-def]
    """Add ``X`` (n, d), times ``weights`` (n,) or (0,) for ones, to ``sums`` (k, d) of clusters ``rows``."""
    for i in range(len(X)):
        w = weights[i] if len(weights) else np.float32(1)
        scale = w * unit_scale(X[i], spherical)
        target = sums[rows[i]]
        for j in range(X.shape[1]):
            target[j] += scale * X[i, j]
        weight[rows[i]] += w
        error[rows[i]] += w * distances[i]


@njit(cache=True, fastmath=LOOSE_SUMS)
def fold_rows(means, centres, weights, errors, rows, sums, weight, error, spherical):  # type: ignore[no-untyped-def]
    """Fold statistics of clusters ``rows`` (c,) into weighted ``means`` (k, d) and their ``centres``."""
    for i in range(len(rows)):
        r = rows[i]
        if weight[i] <= 0:
            continue
        total = weights[r] + weight[i]
        keep = np.float32(weights[r] / total)
        new = np.float32(1 / total)
        for j in range(means.shape[1]):
            means[r, j] = keep * means[r, j] + new * sums[i, j]
        weights[r] = total
        errors[r] += error[i]
        scale = np.float32(1)
        if spherical:
            length = square(means[r])
            # Points that cancel out have no direction: the centre stays where it was.
            if length <= 0:
                continue
            scale = np.float32(1) / np.sqrt(length)
        for j in range(means.shape[1]):
            centres[r, j] = means[r, j] * scale


@njit(cache=True, fastmath=LOOSE_SUMS)
def nearest_one(x, centres, scale):  # type: ignore[no-untyped-def]
    """Row of ``centres`` (k, d) nearest to ``scale`` times ``x`` (d,), and its squared distance.

    The distance is infinite if no distance is finite.
    """
    row = 0
    best = np.float32(np.inf)
    for c in range(len(centres)):
        total = np.float32(0)
        for j in range(len(x)):
            difference = centres[c, j] - scale * x[j]
            total += difference * difference
        if total < best:
            best = total
            row = c
    return row, best


@njit(cache=True, fastmath=LOOSE_SUMS)
def unit_scale(x, spherical):  # type: ignore[no-untyped-def]
    """Factor for ``x`` (d,): 1, or if spherical what makes its length 1, or 0 if it has none."""
    if not spherical:
        return np.float32(1)
    length = square(x)
    return np.float32(1) / np.sqrt(length) if length > 0 else np.float32(0)


@njit(cache=True)
def learn_one(x, means, centres, weights, errors, fade, spherical):  # type: ignore[no-untyped-def]
    """Fold the point ``x`` (d,) after all has faded by ``fade``; its row, -1 if it is not finite."""
    scale = unit_scale(x, spherical)
    row, distance = nearest_one(x, centres, scale)
    if not np.isfinite(distance):
        return -1
    for c in range(len(weights)):
        weights[c] *= fade
        errors[c] *= fade
    sums = np.empty((1, len(x)), np.float32)
    for j in range(len(x)):
        sums[0, j] = scale * x[j]
    fold_rows(
        means,
        centres,
        weights,
        errors,
        np.full(1, row),
        sums,
        np.ones(1),
        np.full(1, np.float64(distance)),
        spherical,
    )
    return row


@njit(cache=True, fastmath=LOOSE_SUMS)
def nearest_minkowski(centres, x, p):  # type: ignore[no-untyped-def]
    """Row of ``centres`` (k, d) with the least sum of |difference|^p to ``x`` (d,); of equal ones the first.

    -1 if no sum is finite, as ``x`` then is not.
    """
    row = -1
    best = np.inf
    for c in range(len(centres)):
        total = 0.0
        if p == 2:
            for j in range(len(x)):
                difference = centres[c, j] - x[j]
                total += difference * difference
        else:
            for j in range(len(x)):
                total += abs(centres[c, j] - x[j]) ** p
        if total < best:
            best = total
            row = c
    return row


@njit(cache=True)
def nearest_minkowski_many(centres, X, p):  # type: ignore[no-untyped-def]
    """``nearest_minkowski`` for each row of ``X`` (n, d)."""
    rows = np.empty(len(X), np.int64)
    for i in range(len(X)):
        rows[i] = nearest_minkowski(centres, X[i], p)
    return rows


@njit(cache=True)
def step(centres, x, present, p, rate):  # type: ignore[no-untyped-def]
    """Move the centre nearest to ``x`` (d,) by ``rate`` of the way along the features ``present`` (d,).

    The centre's row; -1, and nothing moved, if ``x`` is not finite.
    """
    row = nearest_minkowski(centres, x, p)
    if row >= 0:
        for j in range(len(x)):
            if present[j]:
                centres[row, j] += rate * (x[j] - centres[row, j])
    return row


@njit(cache=True)
def step_many(centres, X, p, rate):  # type: ignore[no-untyped-def]
    """``step`` for each row of ``X`` (n, d) in order."""
    present = np.ones(X.shape[1], np.bool_)
    for i in range(len(X)):
        step(centres, X[i], present, p, rate)
