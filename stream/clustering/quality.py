"""How good a clustering is: on its own, against batch k-means, against the truth, and over time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.clustering.assign import Floats, as_rows, assign
from stream.clustering.seeding import seed_centres

Labels = npt.NDArray[np.int64]
# Points that a silhouette is taken from; its cost grows with the square: 2,000 are 16 MB and a tenth of a
# second.
SAMPLE = 2_000


def quantisation_error(X: npt.ArrayLike, centres: npt.ArrayLike) -> float:
    """Mean squared distance of ``X`` (n, d) to the nearest of ``centres`` (k, d); 0 of no points."""
    points = as_rows(X)
    return float(assign(points, as_rows(centres))[1].mean(dtype=np.float64)) if len(points) else 0.0


def batch_centres(X: npt.ArrayLike, k: int, seed: int = 0, restarts: int = 10, steps: int = 100) -> Floats:
    """Centres of batch k-means with all of ``X`` (n, d) at hand, the best of ``restarts``: hindsight."""
    points = as_rows(X)
    runs = [seed_centres(points, k, seed + run, lloyd_steps=steps) for run in range(restarts)]
    return min(runs, key=lambda centres: quantisation_error(points, centres))


def silhouette(X: npt.ArrayLike, labels: npt.ArrayLike, seed: int = 0, sample: int = SAMPLE) -> float:
    """Mean silhouette (Rousseeuw, 1987) of at most ``sample`` points of ``X`` (n, d), from -1 to 1, the best.

    0 if there are fewer than two clusters. A point alone in its cluster counts 0.
    """
    points, of = _sampled(as_rows(X), np.asarray(labels), seed, sample)
    names, cluster = np.unique(of, return_inverse=True)
    if len(names) < 2:
        return 0.0
    squares = np.einsum("ij,ij->i", points, points)
    away = np.sqrt(np.maximum(squares[:, None] + squares - 2 * (points @ points.T), 0)).astype(np.float64)
    np.fill_diagonal(away, 0)
    sizes = np.bincount(cluster)
    sums = away @ np.eye(len(names))[cluster]
    own = sums[np.arange(len(points)), cluster] / np.maximum(sizes[cluster] - 1, 1)
    means = sums / sizes
    means[np.arange(len(points)), cluster] = np.inf
    other = means.min(axis=1)
    score = (other - own) / np.maximum(np.maximum(own, other), np.finfo(np.float64).tiny)
    return float(np.where(sizes[cluster] > 1, score, 0).mean())


def _sampled(X: Floats, labels: Labels, seed: int, sample: int) -> tuple[Floats, Labels]:
    if len(X) <= sample:
        return X, labels
    chosen = np.sort(np.random.default_rng(seed).choice(len(X), sample, replace=False))
    return X[chosen], labels[chosen]


def davies_bouldin(X: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Mean over clusters of their worst (spread + spread) / distance (Davies and Bouldin, 1979); 0 is best.

    0 if there are fewer than two clusters; those with one centre are infinitely close.
    """
    points = as_rows(X).astype(np.float64)
    names, cluster = np.unique(np.asarray(labels), return_inverse=True)
    k = len(names)
    if k < 2:
        return 0.0
    sizes = np.bincount(cluster)
    centres = np.stack([points[cluster == c].mean(axis=0) for c in range(k)])
    spread = np.bincount(cluster, np.linalg.norm(points - centres[cluster], axis=1)) / sizes
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.nan_to_num((spread[:, None] + spread) / apart, nan=0.0, posinf=np.inf)
    return float(ratio.max(axis=1).mean())


def adjusted_rand(truth: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Pairs on which both agree, less what chance gives (Hubert and Arabie, 1985): 1 the same, 0 chance."""
    table = _contingency(truth, labels)

    def pairs(counts: npt.NDArray[np.float64]) -> float:
        return float((counts * (counts - 1)).sum() / 2)

    both, one, other = pairs(table), pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    every = pairs(table.sum(keepdims=True))
    chance = one * other / every if every else 0.0
    most = (one + other) / 2
    return 1.0 if most == chance else (both - chance) / (most - chance)


def normalised_mutual_information(truth: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Mutual information over the mean of the entropies: 1 if each tells the other, 0 if it says nothing."""
    joint = _contingency(truth, labels)
    joint /= max(joint.sum(), 1)
    rows, columns = joint.sum(axis=1), joint.sum(axis=0)
    mean = (_entropy(rows) + _entropy(columns)) / 2
    # Both of one cluster: they are the same.
    return 1.0 if mean == 0 else (_entropy(rows) + _entropy(columns) - _entropy(joint.ravel())) / mean


def _contingency(a: npt.ArrayLike, b: npt.ArrayLike) -> npt.NDArray[np.float64]:
    _, rows = np.unique(np.asarray(a), return_inverse=True)
    _, columns = np.unique(np.asarray(b), return_inverse=True)
    if len(rows) != len(columns):
        raise ValueError(f"labels of the same points must be as many, not {len(rows)} and {len(columns)}")
    table = np.zeros((rows.max(initial=0) + 1, columns.max(initial=0) + 1))
    np.add.at(table, (rows, columns), 1)
    return table


def _entropy(shares: npt.NDArray[np.float64]) -> float:
    some = shares[shares > 0]
    return float(-(some * np.log(some)).sum())


def churn(before: npt.ArrayLike, after: npt.ArrayLike, changed: npt.ArrayLike | None = None) -> float:
    """Share of users whose cluster differs although they did nothing: the clustering moved them.

    Parameters
    ----------
    before, after
        Ids of the same users at two times, (n,), -1 for none; those without a cluster at either are left out.
    changed
        Which of them did something in between, bool (n,); they are left out.

    Examples
    --------
    >>> churn([1, 1, 2, -1], [1, 3, 2, 5], changed=[False, False, True, False])
    0.5
    """
    first, second = np.asarray(before), np.asarray(after)
    still = np.ones(len(first), np.bool_) if changed is None else ~np.asarray(changed, np.bool_)
    still &= (first >= 0) & (second >= 0)
    return float((first != second)[still].mean()) if still.any() else 0.0
