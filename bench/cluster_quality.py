"""How good the clusters are that the pipeline keeps: error, agreement with the truth, who is moved.

Against scikit-learn's ``KMeans`` with hindsight, on the same vectors: the profiles active within the last half-life.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.cluster import KMeans

from bench.cluster_log import Log, Watched, drifts, follow
from stream.clustering import StreamingKMeans
from stream.clustering.assign import MARGIN
from stream.clustering.lifecycle import apply, propose
from stream.clustering.quality import churn, quantisation_error
from stream.encoder import TextEncoder
from stream.evaluation.clusters import Standing
from stream.evaluation.prequential import Evaluation
from stream.pipeline import Outcome
from stream.placing import place_users

PERSONAS = 14  # and as many clusters: a surplus has to cut some persona in two, and which one is chance
BATCH_SEEDS = (
    5  # of runs of batch k-means, each the best of ten restarts: by seed its Rand index varies by some .05
)
SHIFT_DAY = 15.0


def batch(X: np.ndarray, k: int, seed: int = 0) -> Any:
    """Batch k-means, the best of ten restarts from k-means++."""
    return KMeans(k, n_init=10, random_state=seed).fit(X)


def error(log: Log, encoder: TextEncoder, k: int = 16) -> Iterator[dict[str, Any]]:
    """Error at the end, in units of hindsight's; users moved by k to k + 1, and per day though they did nothing."""
    run = follow(log, encoder, k=k)
    watch, model = run.watch, run.model
    active, kmeans = watch.active(run.profiles, model), model.clusters.kmeans
    assert isinstance(watch, Watched)
    assert kmeans is not None
    X = active.vectors
    ours, theirs = quantisation_error(X, kmeans.centres), float(batch(X, k).inertia_) / len(X)
    nearest = kmeans.predict_many(X)
    yield {
        "what": f"error / hindsight, {log.name}",
        "value": ours / theirs,
        "at most": 1.03,
        "events": model.clock,
        "users": len(X),
        "smallest cluster": int(np.bincount(np.searchsorted(kmeans.ids, nearest), minlength=k).min()),
    }
    yield {"what": f"idle users moved a day, {log.name}", "value": float(np.mean(watch.churn_per_day[1:]))}
    yield from _one_more(kmeans, active, model.clusters.project(model.sample.vectors()), log.name, k)


def _one_more(
    kmeans: StreamingKMeans, active: Standing, sample: np.ndarray, name: str, k: int
) -> Iterator[dict[str, Any]]:
    again = StreamingKMeans.from_state(kmeans.state())
    decision = propose(again, sample, k + 1)
    split = {event.cluster for event in (apply(again, decision) if decision else []) if event.kind == "split"}
    after = again.predict_many(active.vectors, active.cluster, MARGIN)
    was = np.isin(active.cluster, list(split))
    for what, users, most in (("split cluster's", was, 0.5), ("others", ~was, 0.01)):
        yield {
            "what": f"k to k + 1, {what} users moved, {name}",
            "value": churn(active.cluster[users], after[users]),
            "at most": most,
        }


class Truthful:
    """Adjusted Rand indices at each look: ours, batch k-means's by its seeds, and plain River's."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.river = StreamingKMeans(
            PERSONAS, seed=0
        )  # River's to rounding, as tests show, at a speed to wait for

    def learn(self, outcome: Outcome, run: Evaluation) -> None:
        """Give River what an incremental clusterer would be given: the profile of each user touched."""
        profiles = place_users(run.profiles.rows[outcome.touched.rows], run.model).profiles
        self.river.learn_many(profiles[profiles.any(axis=1)])

    def look(self, watch: Watched) -> None:
        active = watch.active(watch.profiles, watch.model)
        batches = [batch(active.vectors, PERSONAS, seed).labels_ for seed in range(BATCH_SEEDS)]
        scores = [watch.against_truth(active, labels) for labels in batches]
        theirs = [score["adjusted_rand_batch"] for score in scores]
        plain = watch.against_truth(active, self.river.predict_many(active.profiles))
        self.rows.append(
            {
                "events": watch.model.clock,
                "ours": scores[0]["adjusted_rand"],
                "batch": float(np.mean(theirs)),
                "batch, least": min(theirs),
                "batch, most": max(theirs),
                "river": plain["adjusted_rand_batch"],
            }
        )


def rand(seed: int, encoder: TextEncoder, shift_day: float | None = None) -> dict[str, Any]:
    """Agreement with the personas of 1,000 users over 40,000 events, of whom three in ten may change on a day."""
    log = Log.generated(users=1_000, events=40_000, drift=0.0, shift_day=shift_day, seed=seed)
    looks = Truthful()
    run = follow(log, encoder, looks.look, looks.learn, k=PERSONAS)
    before = log.count_before(SHIFT_DAY)
    rows = [row for row in looks.rows if shift_day is None or row["events"] > before]
    apart = np.array([row["ours"] - row["batch"] for row in rows])
    found = {
        "seed": seed,
        "looks": rows,
        "last": float(apart[-1]),
        "mean": float(apart.mean()),
        "least": float(apart.min()),
        "within": float(np.mean(np.abs(apart) <= 0.03)),
        "river": max(abs(row["river"]) for row in rows),
        "drifts": [kind for _, kind in drifts(run)],
    }
    if shift_day is not None:
        later = [seen - before for seen, kind in drifts(run) if kind == "drift" and seen >= before]
        found |= {"first look after": rows[0]["events"] - before, "told after": min(later, default=None)}
    return found
