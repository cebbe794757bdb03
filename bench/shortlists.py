"""The clusters as an index of the catalogue: what their shortlists find of the items nearest to a user, and its cost.

On a generated catalogue of 1,000,000 items, and on the logs that ``SHOAL_BENCH_LOGS`` names: see ``bench.cluster_log``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from bench.cluster_log import follow, given_logs, settings
from bench.inprocess import Stopwatch
from bench.load import SEED
from bench.report import Measured, Row
from stream.clustering.assign import assign
from stream.clustering.quality import batch_centres
from stream.encoder import make_encoder
from stream.placing import place_users
from stream.recommending.content import NEAREST, SHORTLIST, nearest_in
from stream.recommending.tables import Proposals, heaviest

ITEMS, TOPICS, USERS, TAKEN = 1_000_000, 400, 20_000, 5
ASKING = 256  # users for whom all items are scanned
BATCH = 32  # of them at once: 4 bytes for each and item
EVENTS = 40_000  # of each log
CLUSTERS = (16, 256)  # by default, and as many as a large service may have
ROUNDS = 5

Floats = npt.NDArray[np.float32]


def shortlists() -> Measured:
    """Recall of the NEAREST items against a scan of all, and microseconds a user of both."""
    with threadpool_limits(1):
        rows = [*_generated(), *_real()]
    ratios = {
        f"scan/shortlist, time, {row['catalogue']}": row["us/user, scan"] / row["us/user"] for row in rows
    }
    notes = [f"the {NEAREST} nearest of {SHORTLIST} per cluster; one thread, scans of {BATCH} users at once"]
    return Measured(rows, ratios, SEED, notes)


def _generated() -> Iterator[Row]:
    """Items lie around topics, and users between some items of one topic."""
    rng = np.random.default_rng(SEED)
    d = settings().clustering.dimensions
    topics = rng.normal(size=(TOPICS, d)).astype(np.float32)
    of = rng.integers(0, TOPICS, ITEMS)
    items = _unit(topics[of] + rng.normal(size=(ITEMS, d)).astype(np.float32))
    by_topic = np.argsort(of, kind="stable")
    start = np.searchsorted(of[by_topic], np.arange(TOPICS))
    size = np.bincount(of, minlength=TOPICS)
    interest = rng.integers(0, TOPICS, USERS)
    taken = start[interest][:, None] + (rng.random((USERS, TAKEN)) * size[interest][:, None]).astype(int)
    users = _unit(items[by_topic[taken]].mean(axis=1))
    keys = np.arange(ITEMS, dtype=np.uint64)
    for k in CLUSTERS:
        centres = batch_centres(users, k, SEED, restarts=1, steps=20)
        cluster = assign(users, centres)[0].astype(np.int64)
        lists = np.stack([heaviest(items @ c + np.float32(2), SHORTLIST, keys) for c in centres])
        yield compare(
            f"generated, {k} clusters", items, np.arange(ITEMS), lists, cluster[:ASKING], users[:ASKING]
        )


def _real() -> Iterator[Row]:
    encoder = make_encoder(settings().encoder)
    for log in given_logs():
        cut = replace(log, events=sorted(log.events, key=lambda event: event.timestamp)[:EVENTS])
        evaluation = follow(cut, encoder)
        content, model = evaluation.pipeline.recommender.content, evaluation.model
        content.refresh(model)
        placed = place_users(evaluation.profiles.rows[: len(evaluation.profiles)], model)
        some = np.random.default_rng(SEED).permutation(np.flatnonzero(placed.cluster >= 0))[:ASKING]
        known = np.flatnonzero(evaluation.catalogue.has_vector & evaluation.catalogue.available)
        lists = content.shortlists
        vectors = content.vectors(len(model.index))
        yield compare(log.name, vectors, known, lists, placed.cluster[some], placed.vectors[some])


def compare(
    name: str, items: Floats, known: npt.NDArray[np.int64], lists: npt.NDArray[np.int32],
    cluster: npt.NDArray[np.int64], users: Floats,
) -> Row:  # fmt: skip
    """Both ways for users (m, d) of ``cluster`` (m,); of ``items`` (n, d) those in the rows ``known`` may be found."""
    held: Any = SimpleNamespace(vectors=lambda _: items)
    proposals = Proposals.blank(len(users), 1, NEAREST)
    cheap, dear = [], []
    for _ in range(ROUNDS):
        with Stopwatch() as watch:
            nearest_in(lists, held, cluster, users, proposals)
        cheap.append(watch.seconds)
    among = np.ascontiguousarray(items[known])
    for _ in range(2):
        with Stopwatch() as watch:
            best = np.concatenate([_scan(users[u : u + BATCH], among) for u in range(0, len(users), BATCH)])
        dear.append(watch.seconds)
    met = [
        np.isin(known[best[u]], proposals.item[u, 0, : proposals.length[u, 0]]).mean()
        for u in range(len(users))
    ]
    return {
        "catalogue": name,
        "items": len(known),
        f"recall@{NEAREST}": float(np.mean(met)),
        "us/user": min(cheap) / len(users) * 1e6,
        "us/user, scan": min(dear) / len(users) * 1e6,
    }


def _scan(users: Floats, items: Floats) -> npt.NDArray[np.int64]:
    """Places (m, NEAREST) of the ``items`` (n, d) nearest to ``users`` (m, d)."""
    return np.argpartition(users @ -items.T, NEAREST - 1, axis=1)[:, :NEAREST]


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
