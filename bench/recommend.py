"""What a list costs in this process, and what a list of items alike costs with ``implicit``, one thread each."""

from __future__ import annotations

from statistics import median

import numpy as np
from implicit.nearest_neighbours import CosineRecommender
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from bench.inprocess import Service, Stopwatch, batches, watched
from bench.load import SEED, Load
from bench.report import Measured
from stream.hashing import hash_texts

EVENTS, USERS = 60_000, 1_024
ROUNDS = 9


def recommend() -> Measured:
    """Microseconds a list: ours from a user's profile to ranked items, theirs from a matrix of users and items."""
    load = Load.generated(EVENTS, 1)
    with threadpool_limits(1):
        ours, k = _ours(load)
        theirs = _theirs(load, k)
    rows = [
        {"contestant": "Shoal, all sources and the ranker", "us/list": ours},
        {"contestant": "implicit, cosine of items, one source", "us/list": theirs},
    ]
    notes = [f"{len(load.items):,} items, {EVENTS:,} events behind them, at least {USERS:,} users at a time"]
    return Measured(rows, {"implicit/Shoal, time": theirs / ours}, SEED, notes)


def _ours(load: Load) -> tuple[float, int]:
    """Microseconds, and how long a list is."""
    service = Service.empty()
    service.catalogue.upsert(load.items)
    service.pipeline.encode_catalogue()
    each = []
    for records in batches([event.to_json() for event in load.events], service.settings):
        with watched(service.pipeline.recommender, "recommend") as seconds:
            outcome = service.take(records)
        service.decide()
        each.append(sum(seconds) / len(outcome.lists))
    return median(each[len(each) // 2 :]) * 1e6, service.settings.recommending.k


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
