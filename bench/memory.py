"""Bytes of a user and of an item in a worker, against the same in Python's own objects."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable

import numpy as np

from bench.growth import fill_items, fill_users
from bench.inprocess import Service
from bench.load import SEED
from bench.report import Measured

SIZES = (10_000, 100_000, 1_000_000)
PLAIN = 10_000  # of Python's objects, which take long to make


def memory() -> Measured:
    """What is allocated for them."""
    rng = np.random.default_rng(SEED)
    rows = []
    bytes_of: dict[str, float] = {}
    for n in SIZES:
        bytes_of["user"] = _grows(lambda n=n: _with_users(n)) / n
        bytes_of["item"] = _grows(lambda n=n: _with_items(n, rng)) / n
        rows += [{"what": what, "how many": n, "bytes each": size} for what, size in bytes_of.items()]
    plain = {
        "user": _grows(lambda: _plain_users(rng)) / PLAIN,
        "item": _grows(lambda: _plain_items(rng)) / PLAIN,
    }
    rows += [
        {"what": f"{what}, Python objects", "how many": PLAIN, "bytes each": b} for what, b in plain.items()
    ]
    ratios = {f"Python objects/Shoal, bytes per {what}": plain[what] / bytes_of[what] for what in plain}
    return Measured(
        rows, ratios, SEED, ["384 dimensions; arrays grow by doubling, and the room that is left is counted"]
    )


def _grows(make: Callable[[], object]) -> int:
    """Bytes allocated by Python and NumPy for what ``make`` gives, room to grow included."""
    gc.collect()
    tracemalloc.start()
    try:
        made = make()
        gc.collect()
        current, _ = tracemalloc.get_traced_memory()
        del made
        return current
    finally:
        tracemalloc.stop()


def _with_users(n: int) -> Service:
    service = Service.empty()
    fill_users(service, n)
    return service


def _with_items(n: int, rng: np.random.Generator) -> Service:
    service = Service.empty()
    fill_items(service, n, rng)
    return service


def _plain_users(rng: np.random.Generator) -> list[object]:
    """A vector as a list, 64 items of a history and 16 ids of events as tuples and texts, a list of 20."""
    return [
        {
            "user_id": f"user-{n}",
            "vector": rng.random(384).tolist(),
            "history": [(f"item-{n * 64 + i}", 1_750_000_000_000 + i, 1.0, "view") for i in range(64)],
            "event_ids": [f"event-{n * 16 + i}" for i in range(16)],
            "list": [f"item-{n + i}" for i in range(20)],
        }
        for n in range(PLAIN)
    ]


def _plain_items(rng: np.random.Generator) -> list[object]:
    return [
        {
            "item_id": f"i{n}",
            "title": f"Item number {n}",
            "category": "Things",
            "vector": rng.random(384).tolist(),
        }
        for n in range(PLAIN)
    ]
