"""The first centres: k-means++ and a few steps of Lloyd on real points, and how many there should be."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.clustering import kernels
from stream.clustering.assign import Floats, as_rows, assign, squared_lengths, unit_rows

# Steps after k-means++; it starts close, and most of what Lloyd gains comes in the first few.
LLOYD_STEPS = 10


def seed_centres(
    X: npt.ArrayLike,
    k: int,
    seed: int,
    weights: npt.ArrayLike | None = None,
    lloyd_steps: int = LLOYD_STEPS,
    spherical: bool = False,
) -> Floats:
    """Centres for ``X`` (m, d), float32 (k, d); fewer than ``k`` if there are not so many distinct points.

    Greedy k-means++ (Arthur and Vassilvitskii, 2007): each centre is drawn by squared distance to those
    before it, the best of 2 + log k draws counts. The same input gives the same centres.

    Parameters
    ----------
    weights
        What each point counts for, (m,), none negative.
    spherical
        Centres are of unit length and points are taken as if they were.

    Raises
    ------
    ValueError
        If there is no point or ``k`` is below 1, or a point is not finite.

    Examples
    --------
    >>> X = np.array([[0, 0], [0, 1], [9, 0], [9, 1]], np.float32)
    >>> np.sort(seed_centres(X, 2, seed=1), axis=0)
    array([[0. , 0.5],
           [9. , 0.5]], dtype=float32)
    """
    points = as_rows(X)
    if k < 1 or not len(points):
        raise ValueError(f"seeding needs a point and k >= 1, not {len(points)} points and k = {k}")
    squared_lengths(points)  # refuses what is not finite
    weight = np.ones(len(points), np.float32) if weights is None else np.asarray(weights, np.float32)
    if spherical:
        points = unit_rows(points)
    centres = _plus_plus(points, k, np.random.default_rng(seed), weight)
    for _ in range(lloyd_steps):
        moved = lloyd_step(points, centres, weight, spherical)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres


def _plus_plus(X: Floats, k: int, rng: np.random.Generator, weight: Floats) -> Floats:
    chosen = [int(rng.choice(len(X), p=_shares(weight)))]
    squares = np.einsum("ij,ij->i", X, X)
    distances = _squared(X, squares, np.array(chosen))[:, 0]
    for _ in range(1, k):
        potential = distances * weight
        if not potential.any():
            break
        draws = rng.choice(len(X), size=2 + int(np.log(k)), p=_shares(potential))
        after = np.minimum(distances[:, None], _squared(X, squares, draws))
        best = int(np.argmin(weight @ after))
        chosen.append(int(draws[best]))
        distances = after[:, best]
    return X[chosen].copy()


def _shares(amounts: Floats) -> npt.NDArray[np.float64]:
    shares = amounts.astype(np.float64)
    total = shares.sum()
    if not np.isfinite(total) or (shares < 0).any():
        raise ValueError("weights of points must be finite and not negative; drop such rows first")
    return shares / total if total > 0 else np.full(len(shares), 1 / len(shares))


def _squared(X: Floats, squares: Floats, chosen: npt.NDArray[np.int64]) -> Floats:
    """Squared distances (m, c) to the points ``chosen`` (c,); exactly 0 to a point itself and its copies."""
    distances = squares[:, None] - 2 * (X @ X[chosen].T) + squares[chosen]
    # Rounding leaves about 1e-6 of the squared length; without this, copies of a point would count as far
    # from it.
    distances[distances < 4e-6 * squares[:, None]] = 0
    return np.asarray(distances, np.float32)


def lloyd_step(X: Floats, centres: Floats, weight: Floats, spherical: bool = False) -> Floats:
    """Move centres (k, d) to the mean of the points nearest to them; one without to the farthest point."""
    k, d = centres.shape
    rows, distances = assign(X, centres, spherical)
    means, total, error = np.zeros((k, d), np.float32), np.zeros(k), np.zeros(k)
    kernels.add_rows(X, weight, rows, distances, spherical, total, means, error)
    moved = centres.copy()
    full = total > 0
    moved[full] = means[full] / total[full, None].astype(np.float32)
    if not full.all():
        far = np.argsort(-distances * weight, kind="stable")
        for empty, point in zip(np.flatnonzero(~full), far, strict=False):
            moved[empty] = X[point]
    if spherical:
        length = np.linalg.norm(moved, axis=1, keepdims=True)
        moved = np.where(length > 0, moved / np.where(length > 0, length, 1), centres)
    return moved


def simplified_silhouette(X: Floats, centres: Floats) -> float:
    """Mean over ``X`` (m, d) of 1 - a/b, a and b the distances to the nearest two of k centres.

    The silhouette with centres in place of members (Hruschka et al., 2004): -> 1 for points close to their
    own and far from any other, -> 0 for borders that cut through a crowd. 0 for a single centre.
    """
    if len(centres) < 2:
        return 0.0
    squares = np.einsum("ij,ij->i", X, X)[:, None] + np.einsum("ij,ij->i", centres, centres)
    distances = np.sqrt(np.maximum(squares - 2 * (X @ centres.T), 0))
    two = np.partition(distances, 1, axis=1)[:, :2]
    return float(np.mean(1 - two[:, 0] / np.where(two[:, 1] > 0, two[:, 1], 1)))


def choose_k(X: npt.ArrayLike, low: int, high: int, seed: int, spherical: bool = False) -> int:
    """Choose k for ``X`` (m, d) between ``low`` and ``high``: where the simplified silhouette is largest.

    That criterion compares different k on one scale, assumes no shape of clusters and costs one product with
    the centres, unlike the gap statistic (which needs simulated data) or BIC (which takes clusters for round
    Gaussians and asks for too many in high dimensions). Candidates grow by a tenth, as neighbouring k cannot
    be told apart on a sample.

    Raises
    ------
    ValueError
        If not 1 <= low <= high.
    """
    if not 1 <= low <= high:
        raise ValueError(f"bounds of k must be 1 <= low <= high, not {low} and {high}")
    points = as_rows(X)
    candidates = sorted(
        {min(high, round(low * 1.1**i)) for i in range(100)} | set(range(low, min(high, 12) + 1)) | {high}
    )
    best, best_score = low, -np.inf
    for k in candidates:
        if k > len(points):
            break
        score = simplified_silhouette(points, seed_centres(points, k, seed, spherical=spherical))
        if score > best_score:
            best, best_score = k, score
    return best
