"""Clustering measured: speed against River and scikit-learn, quality, drift, churn, four workers.

Run: python -m bench.cluster speed|full|one|quality|drift|churn|workers [--log DIRECTORY ...] [--out FILE]
``--log`` names directories with Shoal's ``events.jsonl`` and ``items.jsonl``; without one the generated log
is used. For one thread set OMP_NUM_THREADS=1 and OPENBLAS_NUM_THREADS=1. Each scenario prints one JSON line
a result; ratios are between runs of this process, taken in turns.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from river import cluster
from sklearn.cluster import KMeans, MiniBatchKMeans

from bench.cluster_log import BATCH, Learner, Log
from bench.cluster_workers import compare
from stream.clustering import StreamingKMeans
from stream.clustering.assign import MARGIN, unit_rows
from stream.clustering.lifecycle import apply, propose
from stream.clustering.quality import adjusted_rand, churn, quantisation_error


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
        "us_per_event": a / n * 1e6,
        "sklearn": b / n * 1e6,
        "times_faster": b / a,
    }


def one(d: int = 384, k: int = 64, n: int = 2_000) -> Iterator[dict[str, Any]]:
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
        ("river mode", mode),
        ("production, one", production),
        ("production, 1,024", batch),
    ):
        yield {"what": name, "us": seconds * 1e6, "river_us": slow * 1e6, "times_faster": slow / seconds}


def quality(log: Log, k: int = 16, half_life: float = 20_000.0, spherical: bool = False) -> dict[str, Any]:
    """Error on the profiles active within the last half-life, against scikit-learn's with hindsight."""
    learner = Learner(k, half_life, spherical)
    learner.run(log)
    assert learner.model is not None
    first = learner.touched.max() - int(half_life / BATCH)
    X = learner.project(np.flatnonzero(learner.touched >= first))
    batch = KMeans(k, n_init=10, random_state=0).fit(X)
    centres = unit_rows(batch.cluster_centers_.astype(np.float32)) if spherical else batch.cluster_centers_
    ours, theirs = quantisation_error(X, learner.model.centres), quantisation_error(X, centres)
    sizes = np.bincount(np.searchsorted(learner.model.ids, learner.model.predict_many(X)), minlength=k)
    return {
        "log": log.name, "spherical": spherical, "events": len(log.users), "active": len(X), "error": ours,
        "hindsight": theirs, "ratio": ours / theirs, "smallest": int(sizes.min()), "k": k,
        "lineage": len(learner.events), "drifts": learner.drifts,
    }  # fmt: skip


def drift(shift_day: float | None, **settings: Any) -> Iterator[dict[str, Any]]:
    """Adjusted Rand index over time against the personas, beside batch k-means on the same vectors."""
    log = Log.generated(**{"drift": 0.0, "shift_day": shift_day, **settings})
    learner = Learner(14, 20_000.0)
    rows: list[dict[str, Any]] = []
    step = max(1, len(log.users) // BATCH // 12)

    def look(n: int, at: Learner) -> None:
        if at.model is None or n % step != step - 1:
            return
        users = at.recent()
        now = int(log.times[min((n + 1) * BATCH, len(log.times)) - 1])
        truth, X = [log.truth(log.user_ids[u], now) for u in users], at.project(users)
        batch = KMeans(14, n_init=10, random_state=0).fit_predict(X)
        ours = adjusted_rand(truth, at.model.predict_many(X))
        day = (now - log.times[0]) / 86_400_000
        rows.append(
            {"events": (n + 1) * BATCH, "day": day, "ari": ours, "batch_ari": adjusted_rand(truth, batch)}
        )

    learner.run(log, look)
    return iter([*rows, {"drifts": learner.drifts, "shift_day": shift_day}])


def moves(log: Log, k: int = 16) -> Iterator[dict[str, Any]]:
    """Users moved by a restart, by k to k + 1, and per day though they did nothing."""
    learner, shares, last = Learner(k, 20_000.0), [], {}

    def look(n: int, at: Learner) -> None:
        day = int(log.times[min((n + 1) * BATCH, len(log.times)) - 1] // 86_400_000)
        if at.model is None or last.get("day") == day:
            return
        known = last.get("ids", np.full(len(log.user_ids), -1))
        now = at.model.predict_many(at.project(np.arange(len(known))), at.lineage.resolve(known), MARGIN)
        now[at.touched < 0] = -1
        if "day" in last:
            shares.append(churn(known, now, at.touched > last["n"]))
        last.update(day=day, ids=now, n=n)

    learner.run(log, look)
    assert learner.model is not None
    X = learner.project(np.flatnonzero(learner.touched >= 0))
    before = learner.model.predict_many(X)
    again = StreamingKMeans.from_state(learner.model.state())
    yield {"what": "restart", "moved": float(np.mean(before != again.predict_many(X)))}
    decision = propose(again, learner.project(learner.recent()), k + 1)
    split = {e.cluster for e in (apply(again, decision) if decision else []) if e.kind == "split"}
    after, was = again.predict_many(X, before, MARGIN), np.isin(before, list(split))
    yield {
        "what": "k+1",
        "of_split": float(np.mean(after[was] != before[was])),
        "rest": churn(before[~was], after[~was]),
    }
    yield {
        "what": "idle users a day",
        "log": log.name,
        "mean": float(np.mean(shares)),
        "worst": float(np.max(shares)),
    }


def scenarios(what: str, logs: list[Path]) -> Iterator[dict[str, Any]]:
    read = [lambda path=path: Log.read(path) for path in logs] or [
        lambda: Log.generated(users=2_000, events=100_000)
    ]
    if what == "speed":
        yield from (speed(384, 64, n) for n in (1, 64, 1_024, 8_192))
    elif what == "full":
        yield from (
            speed(d, k, n, 0.5)
            for d in (64, 384, 768)
            for k in (8, 64, 512, 4_096)
            for n in (1, 64, 1_024, 8_192)
        )
    elif what == "one":
        yield from one()
    elif what == "quality":
        yield from (
            quality(log, spherical=mode) for make in read for log in [make()] for mode in (False, True)
        )
    elif what == "drift":
        for day in (None, 15.0):
            yield from drift(day, users=1_000, events=80_000)
    elif what == "churn":
        yield from (row for make in read for row in moves(make()))
    elif what == "workers":
        yield from (row for seed in range(2) for row in compare(seed))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["speed", "full", "one", "quality", "drift", "churn", "workers"])
    parser.add_argument("--log", type=Path, action="append", default=[])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    results = []
    for result in scenarios(args.what, args.log):
        results.append(result)
        print(
            json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in result.items()}), flush=True
        )
    if args.out:
        args.out.write_text(
            json.dumps({"scenario": args.what, "machine": platform.processor(), "results": results})
        )


if __name__ == "__main__":
    main()
