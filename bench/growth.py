"""What an event costs as users and items grow, at one event per list, against the smallest: in this process.

Users and items are there before the log begins; vectors are random, as what they are does not matter to the cost.
"""

from __future__ import annotations

from statistics import median

import numpy as np

from bench.inprocess import Service, Stopwatch, batches
from bench.load import SEED
from bench.report import Measured
from stream.events.schema import EventRecord, ItemRecord
from stream.hashing import hash_texts

SIZES = (1_000, 100_000, 1_000_000)
MIDDLE = 10_000  # of the other kind, while one grows
WARM, BATCHES = 12, 8
START_MS = 1_750_000_000_000
CHUNK = 20_000


def growth() -> Measured:
    """CPU microseconds an event, at so many users and at so many items."""
    cost = {("users", n): _cost(n, MIDDLE) for n in SIZES} | {("items", n): _cost(MIDDLE, n) for n in SIZES}
    rows = [
        {"what grows": what, "to": n, "us/event": us, "events/CPU s": 1e6 / us}
        for (what, n), us in cost.items()
    ]
    ratios = {
        f"most/least, {what}": max(cost[what, n] for n in SIZES) / min(cost[what, n] for n in SIZES)
        for what in ("users", "items")
    }
    return Measured(
        rows, ratios, SEED, [f"{MIDDLE:,} of the other kind; without Kafka and without the learner"]
    )


def _cost(users: int, items: int) -> float:
    rng = np.random.default_rng(SEED)
    service = Service.empty()
    fill_items(service, items, rng)
    fill_users(service, users)
    micro = service.settings.worker.micro_batch
    values = _events(users, items, (WARM + BATCHES) * micro, micro, rng)
    seconds = []
    for n, records in enumerate(batches(values, service.settings)):
        with Stopwatch() as watch:
            service.take(records)
        if n < WARM:
            service.decide()
        else:
            seconds.append(watch.seconds)
    return median(seconds) / micro * 1e6


def fill_items(service: Service, items: int, rng: np.random.Generator) -> None:
    """Put ``items`` into the catalogue, with vectors."""
    catalogue = service.catalogue
    for start in range(0, items, CHUNK):
        names = range(start, min(start + CHUNK, items))
        catalogue.upsert(
            [ItemRecord(item_id=f"i{n}", title=f"Item number {n}", category="Things") for n in names]
        )
        rows = catalogue.pending()
        vectors = rng.normal(size=(len(rows), service.encoder.dimensions)).astype(np.float32)
        catalogue.set_vectors(rows, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def fill_users(service: Service, users: int) -> None:
    """Have rows for ``users``."""
    table = service.profiles
    for start in range(0, users, CHUNK):
        names = hash_texts(f"u{n}" for n in range(start, min(start + CHUNK, users)))
        table.begin()
        table.gather(names, np.zeros(len(names), np.int32))
        table.commit()


def _events(users: int, items: int, n: int, batch: int, rng: np.random.Generator) -> list[bytes]:
    """Items by a Zipf law; of a batch, users are all different while there are enough."""
    who = np.concatenate([rng.permutation(users)[np.arange(batch) % users] for _ in range(n // batch)])
    what = np.minimum((items ** rng.random(n)).astype(np.int64), items - 1)
    return [
        EventRecord(user_id=f"u{u}", action="click", item_id=f"i{i}", timestamp=START_MS + k * 500).to_json()
        for k, (u, i) in enumerate(zip(who.tolist(), what.tolist(), strict=True))
    ]
