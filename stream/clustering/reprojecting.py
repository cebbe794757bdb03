"""When the clusters' space has gone stale, and how centres are carried over into a new one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.clustering.assign import Floats, assign
from stream.clustering.projection import Projection, fit_projection

# A projection is stale when it captures less than this share of what one fitted now would. Higher replaces it for the
# noise of a sample, and every time some users on borders move; lower leaves clusters in a space where all are alike.
STALE = 0.95
# Turns of the old axes by which a better space is sketched. Of one that has nothing in common with the old two saw 91 %
# of what there is to see, three 97 %; a sketch that sees less finds the old space stale later.
TURNS = 3
# Sampled users whose mean is a centre; with fewer it is chance, and the old centre is mapped.
MEMBERS = 8


def captured(projection: Projection, X: Floats) -> float:
    """Share of the spread of ``X`` (m, D) about the projection's mean that still tells rows apart once projected.

    Falls when axes turn and when the mean moves off: then all rows lie in one direction.

    Examples
    --------
    >>> X = np.array([[1, 0, 0], [-1, 0, 0], [0, 0, 1], [0, 0, -1]], np.float32)
    >>> plane = Projection(np.zeros(3, np.float32), np.eye(3, dtype=np.float32)[:, :2])
    >>> captured(plane, X), captured(plane, X[:2])
    (0.5, 1.0)
    """
    axes, _ = np.linalg.qr(projection.components)  # whitened ones are not of unit length
    within = (X @ axes).var(axis=0, dtype=np.float64).sum()
    total = ((X - projection.mean) ** 2).sum(axis=1).mean(dtype=np.float64)
    return float(within / total) if total > 0 else 1.0


def better_projection(old: Projection, X: Floats, dimensions: int, whiten: bool) -> Projection | None:
    """Fit to the sample ``X`` (m, D) anew, if ``old`` is stale; None: it is good enough.

    Half of the sample fits and the other half compares, as any fit is better on its own rows.
    """
    trial = _turned(old, X[::2], dimensions)
    if captured(old, X[1::2]) >= STALE * captured(trial, X[1::2]):
        return None
    return fit_projection(X, dimensions, whiten)


def _turned(old: Projection, X: Floats, dimensions: int) -> Projection:
    """Turn the axes of ``old`` towards those that ``fit_projection`` finds, at a tenth of its cost.

    Orthogonal iteration: each turn multiplies by the covariance. Where axes are to be added, rows are the start.
    """
    mean = X.mean(axis=0)
    centred = X - mean
    more = max(0, dimensions - old.dimensions)
    axes = np.concatenate([old.components, centred[:more].T], axis=1)[:, :dimensions]
    for _ in range(TURNS):
        axes, _ = np.linalg.qr(centred.T @ (centred @ axes))
    return Projection(mean, axes)


def carry_over(
    centres: Floats, old: Projection, new: Projection, X: Floats
) -> tuple[Floats, npt.NDArray[np.float64]]:
    """Centres (k, d) of ``old`` in the space of ``new``, (k, d'), and mean squared distances to them, (k,).

    A centre goes to the mean of those of the sample ``X`` (m, D) who are nearest to it now, so that users stay
    together. One that has few of them is mapped: back along the old axes, as far from the mean as users are, and on.
    """
    rows, before = assign(old.apply(X), centres)
    vectors = new.apply(X)
    k = len(centres)
    sums = np.zeros((k, vectors.shape[1]), np.float64)
    np.add.at(sums, rows, vectors)
    counts = np.bincount(rows, minlength=k)
    means = (sums / np.maximum(counts, 1)[:, None]).astype(np.float32)
    carried = np.where((counts >= MEMBERS)[:, None], means, _mapped(centres, old, new, X))
    away = ((vectors - carried[rows]) ** 2).sum(axis=1)
    errors = np.bincount(rows, away, k) / np.maximum(counts, 1)
    return carried, np.where(counts > 0, errors, before.mean(dtype=np.float64))


def _mapped(centres: Floats, old: Projection, new: Projection, X: Floats) -> Floats:
    reach = np.linalg.norm((X - old.mean) @ old.components, axis=1).mean()
    back = old.mean + reach * (centres @ np.linalg.pinv(old.components))
    # ``apply`` gives directions; how far a centre lies within the sphere is how much its users agree.
    return np.asarray(new.apply(back) * np.linalg.norm(centres, axis=1, keepdims=True), np.float32)
