"""Clustering's cost beside River's and scikit-learn's; ``bench.cluster`` has quality, drift and churn too."""

from __future__ import annotations

from bench.cluster import one, speed
from bench.load import SEED
from bench.report import Measured, Row

DIMENSIONS, CLUSTERS = 384, 64
BATCHES = (1, 64, 1_024, 8_192)
SECONDS = 1.0  # of turns at each size


def cluster() -> Measured:
    """Microseconds an event of ``learn_many`` by batch size, and one event at a time."""
    rows: list[Row] = []
    ratios = {}
    for n in BATCHES:
        found = speed(DIMENSIONS, CLUSTERS, n, SECONDS)
        rows.append(
            {
                "what": f"batches of {n:,}",
                "us/event": found["us_per_event"],
                "theirs, us/event": found["sklearn"],
            }
        )
        ratios[f"scikit-learn/Shoal, time, batches of {n:,}"] = found["times_faster"]
    for found in one(DIMENSIONS, CLUSTERS):
        rows.append({"what": found["what"], "us/event": found["us"], "theirs, us/event": found["river_us"]})
        ratios[f"River/Shoal, time, {found['what']}"] = found["times_faster"]
    notes = ["batches beside MiniBatchKMeans.partial_fit, the rest beside river.cluster.KMeans"]
    return Measured(rows, ratios, SEED, notes)
