"""What learning clusters costs, one thread, beside scikit-learn's and River's k-means."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from river import cluster
from sklearn.cluster import MiniBatchKMeans

from stream.clustering import StreamingKMeans
from stream.clustering.assign import unit_rows

BATCH = 1_024


def best_of(seconds: float, *runs: Callable[[], object]) -> list[float]:
    """Least time of each of ``runs``, which take turns for ``seconds``: noise hits all alike."""
    for run in runs:
        run()
    best = [np.inf] * len(runs)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for i, run in enumerate(runs):
            start = time.perf_counter()
            run()
            best[i] = min(best[i], time.perf_counter() - start)
    return best


def speed(d: int, k: int, n: int, seconds: float = 2.0) -> dict[str, Any]:
    """``learn_many`` on batches of n points of d dimensions with k clusters, against scikit-learn."""
    rng = np.random.default_rng(0)
    start = unit_rows(rng.normal(size=(max(k, n), d)).astype(np.float32))
    X = start[:n].copy()
    ours = StreamingKMeans(n_clusters=k, half_life=1e6, spherical=True, seed=0)
    ours.seed_with(start[:k])
    theirs = MiniBatchKMeans(k, init=start[:k], n_init=1, batch_size=n).partial_fit(start)
    a, b = best_of(seconds, lambda: ours.learn_many(X), lambda: theirs.partial_fit(X))
    return {
        "d": d,
        "k": k,
        "batch": n,
        "us/event": a / n * 1e6,
        "scikit-learn, us/event": b / n * 1e6,
        "times faster": b / a,
    }


def one(d: int, k: int, n: int = 2_000) -> Iterator[dict[str, Any]]:
    """One event at a time and in batches of 1,024, against ``river.cluster.KMeans.learn_predict_one``."""
    X = unit_rows(np.random.default_rng(0).normal(size=(n, d)).astype(np.float32))
    points = [dict(enumerate(x.tolist())) for x in X]
    river = cluster.KMeans(n_clusters=k, seed=0)
    same = StreamingKMeans(n_clusters=k, seed=0)
    weighted = StreamingKMeans(n_clusters=k, half_life=1e6, spherical=True, seed=0)
    weighted.learn_many(X)

    def some(model: Any, events: int) -> Callable[[], object]:
        return lambda: [model.learn_predict_one(x) for x in points[:events]]

    # Few of River's and many of ours take about as long; a single call of ours would measure cold caches.
    slow, mode, production = best_of(6.0, some(river, 5), some(same, 500), some(weighted, 500))
    slow, mode, production = slow / 5, mode / 500, production / 500
    (batch,) = (s / BATCH for s in best_of(1.0, lambda: weighted.learn_many(X[:BATCH])))
    for name, seconds in (
        ("one at a time, River's mode", mode),
        ("one at a time, production mode", production),
        ("batches of 1,024", batch),
    ):
        yield {"what": name, "us": seconds * 1e6, "river_us": slow * 1e6, "times": slow / seconds}
