"""Better centres from those there are: places go from clusters of little use to those that are too wide.

Breathing k-means (Fritzke, 2020): some centres are added where the error is largest, as many are taken away where
they are missed least, and Lloyd's steps follow each; while that helps, again, else with fewer. From the same start it
ends lower than the best of ten runs of k-means, at the cost of some four of them, and most centres stay.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.clustering.assign import Floats, assign, half_squares, squared_lengths
from stream.clustering.seeding import lloyd_step

BREATH = 4  # centres in the first breath; more find little more and cost more
STEPS = 4  # of Lloyd after each half of a breath; fewer judge places that have not settled
REST = 20  # of Lloyd at the end; most of what is left comes in the first few
BESIDE = 0.3  # root mean squared errors that a new centre starts from the old one: near, yet not the same
LEAST = 1e-4  # share of the error that a breath must take off to count; rounding takes less


def settle(X: Floats, centres: Floats, steps: int = REST, spherical: bool = False) -> Floats:
    """Centres (k, d) after at most ``steps`` of Lloyd on ``X`` (m, d)."""
    ones = np.ones(len(X), np.float32)
    for _ in range(steps):
        moved = lloyd_step(X, centres, ones, spherical)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres


def breathe(X: Floats, centres: Floats, seed: int = 0, spherical: bool = False) -> Floats:
    """Better centres (k, d) for ``X`` (m, d), unit rows if spherical; the same input gives the same.

    Examples
    --------
    >>> X = np.array([[0, 0], [0, 1], [9, 0], [9, 1], [50, 0], [50, 1]], np.float32)
    >>> stuck = np.array([[0, 0], [0, 1], [30, 0.5]], np.float32)
    >>> np.sort(breathe(X, stuck)[:, 0])
    array([ 0.,  9., 50.], dtype=float32)
    """
    rng, breath = np.random.default_rng(seed), min(BREATH, len(centres))
    best = settle(X, centres, STEPS, spherical)
    error = total_error(X, best)
    while breath:
        more = settle(X, _inhale(X, best, breath, rng), STEPS, spherical)
        trial = settle(X, np.delete(more, _spare(X, more, breath), axis=0), STEPS, spherical)
        after = total_error(X, trial)
        if after < (1 - LEAST) * error:
            best, error = trial, after
        else:
            breath -= 1
    return settle(X, best, REST, spherical)


def total_error(X: Floats, centres: Floats) -> float:
    """Sum of squared distances of ``X`` (m, d) to the nearest centres."""
    return float(assign(X, centres)[1].sum(dtype=np.float64))


def usefulness(X: Floats, centres: Floats) -> npt.NDArray[np.float64]:
    """By how much the error of ``X`` (m, d) would grow without each of the centres (k, d), float64 (k,)."""
    if len(centres) < 2:
        return np.full(len(centres), np.inf)
    away = squared_lengths(X)[:, None] - 2 * (X @ centres.T) + 2 * half_squares(centres)
    everyone, rows = np.arange(len(X)), away.argmin(axis=1)
    nearest = away[everyone, rows]
    away[everyone, rows] = np.inf
    growth = np.maximum(away.min(axis=1) - np.maximum(nearest, 0), 0)
    return np.bincount(rows, growth, len(centres)).astype(np.float64)


def _inhale(X: Floats, centres: Floats, breath: int, rng: np.random.Generator) -> Floats:
    """Centres and ``breath`` more, beside those of the largest errors."""
    rows, away = assign(X, centres)
    errors, sizes = np.bincount(rows, away, len(centres)), np.bincount(rows, minlength=len(centres))
    wide = np.argsort(-errors, kind="stable")[:breath]
    ways = rng.normal(size=(breath, X.shape[1]))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    radius = BESIDE * np.sqrt(errors[wide] / np.maximum(sizes[wide], 1))
    return np.concatenate([centres, (centres[wide] + radius[:, None] * ways).astype(np.float32)])


def _spare(X: Floats, centres: Floats, breath: int) -> npt.NDArray[np.int64]:
    """Rows of ``breath`` centres that are missed least; the nearest to one of them stays, as it takes over."""
    order = np.argsort(usefulness(X, centres), kind="stable")
    apart = ((centres[:, None] - centres) ** 2).sum(axis=2)
    np.fill_diagonal(apart, np.inf)
    gone: list[int] = []
    needed: set[int] = set()
    for row in order.tolist():
        if len(gone) < breath and row not in needed:
            gone.append(row)
            needed.add(int(apart[row].argmin()))
    rest = [
        row for row in order.tolist() if row not in gone
    ]  # where all are needed, usefulness decides alone
    return np.array(gone + rest[: breath - len(gone)], np.int64)
