"""Clustering beside scikit-learn's and River's: speed, error, agreement with the truth, who is moved, four workers.

Directories named by ``SHOAL_BENCH_LOGS`` (see ``bench.cluster_log``) are measured beside the generated log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from bench.cluster_log import LOGS, Log, given_logs, settings
from bench.cluster_quality import BATCH_SEEDS, PERSONAS, SHIFT_DAY, error, rand
from bench.cluster_speed import one, speed
from bench.cluster_workers import compare, restart
from bench.load import SEED
from bench.report import Measured, Row
from stream.encoder import TextEncoder, make_encoder

DIMENSIONS, CLUSTERS = 384, 64
BATCHES = (1, 64, 1_024, 8_192)
SECONDS = 1.0  # of turns at each size
SEEDS = range(1, 6)  # of generated logs


def cluster() -> Measured:
    """Every figure that clustering is asked for, but the table over all sizes."""
    encoder = make_encoder(settings().encoder)
    with threadpool_limits(1):
        rows = [
            *_speed(),
            *_error(encoder),
            *_steady(encoder),
            *_shifted(encoder),
            *restart(encoder),
            *_workers(encoder),
        ]
    ratios = {row["what"]: row["value"] for row in rows}
    notes = [
        "batches beside MiniBatchKMeans.partial_fit, the rest of the speed beside river.cluster.KMeans",
        "errors beside KMeans with hindsight, k-means++, ten restarts, on profiles active within the last half-life",
        f"Rand: {PERSONAS} clusters for as many personas, beside the mean of {BATCH_SEEDS} seeds of ten restarts each",
        f"further logs: {LOGS}",
    ]
    return Measured(rows, ratios, SEED, notes)


def sizes() -> Measured:
    """``learn_many`` over dimensions, clusters and batches."""
    with threadpool_limits(1):
        found = [
            speed(d, k, n, 0.5)
            for d in (64, 384, 768)
            for k in (8, 64, 512, 4_096)
            for n in (1, 64, 1_024, 8_192)
        ]
    times = [row["times faster"] for row in found]
    ratios = {"scikit-learn/Shoal, time, least": min(times), "the same, median": float(np.median(times))}
    return Measured(found, ratios, SEED, ["beside MiniBatchKMeans.partial_fit, one thread"])


def _row(what: str, value: float, **bound: float) -> Row:
    return {"what": what, "value": value, **bound}


def _speed() -> Iterator[Row]:
    for n in BATCHES:
        found = speed(DIMENSIONS, CLUSTERS, n, SECONDS)
        bound = {"at least": 1.0} if n == 1_024 else {}
        yield _row(f"scikit-learn/Shoal, time, batches of {n:,}", found["times faster"], **bound)
        yield _row(f"us/event, batches of {n:,}", found["us/event"])
    for found in one(DIMENSIONS, CLUSTERS):
        least = 2_000.0 if found["what"].startswith("batches") else 300.0
        yield _row(f"River/Shoal, time, {found['what']}", found["times"], **{"at least": least})


def _error(encoder: TextEncoder) -> Iterator[Row]:
    for log in chain([Log.generated(users=2_000, events=100_000)], given_logs()):
        yield from error(log, encoder)


def _steady(encoder: TextEncoder) -> Iterator[Row]:
    found = [rand(seed, encoder) for seed in SEEDS]
    last, mean, least = (np.array([one[name] for one in found]) for name in ("last", "mean", "least"))
    yield _row(
        "Rand less batch's, nothing drifts, at the end, worst of 5 logs", last.min(), **{"at least": -0.03}
    )
    yield _row("the same, mean over the looks, worst of 5 logs", mean.min(), **{"at least": -0.03})
    yield _row("the same, single looks, worst of 50", least.min())
    yield _row("share of the looks within .03", float(np.mean([one["within"] for one in found])))
    yield _row("false alarms of drift on 5 logs", sum(len(one["drifts"]) for one in found), **{"at most": 0})
    yield from _spread(found)


def _spread(found: Iterable[dict[str, Any]]) -> Iterator[Row]:
    wide = [look["batch, most"] - look["batch, least"] for one in found for look in one["looks"]]
    yield _row("Rand of batch k-means by its seed, most less least, mean of the looks", float(np.mean(wide)))


def _shifted(encoder: TextEncoder) -> Iterator[Row]:
    found = [rand(seed, encoder, SHIFT_DAY) for seed in SEEDS]
    least = min(one["least"] for one in found)
    yield _row(
        "Rand less batch's, all looks after an abrupt drift, worst of 5 logs", least, **{"at least": -0.05}
    )
    yield _row(
        "events from the drift to the first of these looks, most",
        max(one["first look after"] for one in found),
    )
    yield _row("plain River's Rand at these looks, most", max(one["river"] for one in found))
    told = [one["told after"] for one in found]
    yield _row(
        "logs of 5 on which the drift is told", sum(after is not None for after in told), **{"at least": 5}
    )
    yield _row("events from the drift until it is told, most", max(after or np.inf for after in told))


def _workers(encoder: TextEncoder) -> Iterator[Row]:
    found = [row for seed in range(2) for row in compare(encoder, seed)]
    four = [row for row in found if row["workers"] == 4]
    yield _row("error of four workers, in units of one's, worst of 2 logs", max(row["ratio"] for row in four),
               **{"at most": 1.02})  # fmt: skip
    yield _row(
        "four workers' centres, furthest apart", max(row["apart"] for row in four), **{"at most": 1e-4}
    )
    yield _row(
        "logs of 2 on which their ids are the same", sum(row["same_ids"] for row in four), **{"at least": 2}
    )
