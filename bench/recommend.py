"""What a list costs in this process, and where; what one of items alike costs with ``implicit``; one thread each."""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack
from statistics import median
from typing import Any

import numpy as np
from implicit.nearest_neighbours import CosineRecommender
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from bench.inprocess import Service, Stopwatch, batches, watched
from bench.load import SEED, Load
from bench.report import Measured
from stream.encoder.hashing import HashingEncoder
from stream.hashing import hash_texts
from stream.recommending import proposing, recommender
from stream.recommending.content import Content
from stream.recommending.contexts import ContextTable
from stream.recommending.new_items import NewItems
from stream.recommending.pairs import Pairs

EVENTS, USERS = 60_000, 1_024
ROUNDS = 9
MANY_ITEMS = 1_000_000
# Of vectors: in as many, candidates are compared with users and items, whatever the encoder.
DIMENSIONS = 64
# Batches of 2,048 users whose lists are timed, of each kind of service; each event but once, or it were a duplicate.
TIMED = 4
# What a list is made of, and who does it; ranking is all of its kernel: gathering, first glance, features, scores.
PARTS: dict[str, tuple[Any, str]] = {
    "pairs": (Pairs, "propose"),
    "contexts": (ContextTable, "propose"),
    "item models": (proposing, "propose_neighbours"),
    "content": (Content, "propose"),
    "new": (NewItems, "propose"),
    "situations": (recommender, "describe_situation"),
    "ranking": (recommender, "make_lists"),
}


def recommend() -> Measured:
    """Microseconds a list: ours from a user's profile to ranked items, theirs from a matrix of users and items."""
    load = Load.generated(EVENTS, 1)
    few = len(load.items)
    with threadpool_limits(1):
        service, rest = _grown(load)
        ours = _timed(service, rest[:TIMED])
        _widen(service, few)
        full = _timed(service, rest[TIMED : 2 * TIMED])
        _widen(service, MANY_ITEMS)
        many = _timed(service, rest[2 * TIMED :])
        theirs = _theirs(load, service.settings.recommending.k)
    rows = [
        {"contestant": f"Shoal, {few:,} items, as the log leaves them", **ours},
        {"contestant": f"Shoal, {few:,} items, all with 32 neighbours", **full},
        {"contestant": f"Shoal, {MANY_ITEMS:,} items, all with 32 neighbours", **many},
        {"contestant": f"implicit, cosine of items, {few:,} items", "us/list": theirs},
    ]
    ratios = {
        "implicit/Shoal, time": theirs / ours["us/list"],
        "a million items/10,000, time": many["us/list"] / full["us/list"],
    }
    notes = [
        f"{EVENTS:,} events, in batches of at least {USERS:,} users",
        "vectors of further items are generated",
    ]
    return Measured(rows, ratios, SEED, notes)


def _grown(load: Load) -> tuple[Service, list[Any]]:
    """A service that knows the log but for its last batches, and these."""
    service = Service.empty(HashingEncoder(DIMENSIONS))
    service.catalogue.upsert(load.items)
    service.pipeline.encode_catalogue()
    parts = list(batches([event.to_json() for event in load.events], service.settings))
    for records in parts[: -3 * TIMED]:
        service.take(records)
        service.decide()
    return service, parts[-3 * TIMED :]


def _widen(service: Service, items: int) -> None:
    """Let there be ``items`` items, each with a vector and with full lists of neighbours, drawn at random."""
    rng, model = np.random.default_rng(SEED), service.model
    n = len(model.index)
    rows = model.index.insert(rng.integers(1, 2**63, max(items - n, 0), dtype=np.uint64))
    vectors = rng.standard_normal((len(rows), DIMENSIONS), np.float32)
    if len(rows):
        service.catalogue.set_vectors(rows, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    pairs = model.items.pairs
    model.items.reserve(items)
    for table in (pairs.together, pairs.next, pairs.window):
        free = np.flatnonzero(table.ids[:items, -1] < 0)
        table.ids[free] = rng.integers(0, items, (len(free), table.width), dtype=np.int32)
        table.counts[free] = rng.random((len(free), table.width), dtype=np.float32)
        table.totals[free] = table.counts[free].sum(axis=1)


def _timed(service: Service, parts: list[Any]) -> dict[str, float]:
    """Microseconds a list, in all and by part: medians over batches."""
    found = defaultdict(list)
    for records in parts:
        with ExitStack() as stack:
            spent = {part: stack.enter_context(watched(*where)) for part, where in PARTS.items()}
            whole = stack.enter_context(watched(service.pipeline.recommender, "recommend"))
            service.pipeline.recommender.refresh(service.model)
            lists = len(service.take(records).lists)
        found["us/list"].append(sum(whole) / lists * 1e6)
        for part, seconds in spent.items():
            found[part].append(sum(seconds) / lists * 1e6)
    return {name: median(values) for name, values in found.items()}


def _theirs(load: Load, k: int) -> float:
    events = [event for event in load.events if event.item_id]
    _, users = np.unique(hash_texts(event.user_id for event in events), return_inverse=True)
    _, items = np.unique(hash_texts(event.item_id for event in events), return_inverse=True)
    matrix = csr_matrix((np.ones(len(events), np.float32), (users, items))).tocsr()
    model = CosineRecommender(K=32, num_threads=1)
    model.fit(matrix, show_progress=False)
    some = np.arange(min(USERS, matrix.shape[0]))
    theirs = csr_matrix(matrix[some])
    seconds = []
    for n in range(ROUNDS + 1):
        with Stopwatch() as watch:
            model.recommend(some, theirs, N=k)
        if n:
            seconds.append(watch.seconds)
    return median(seconds) / len(some) * 1e6
