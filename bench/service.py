"""The whole service on a real Kafka, beside what else could read the same events.

A rate is the median of the rounds, in which the contestants take turns. CPU time is that of the contestant's
process, all of its threads, without the broker's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from bench.field import NAIVE_EVENTS, Field, fields
from bench.load import SEED, Load
from bench.report import Measured, Row
from bench.sampling import Progress, Rates

ROUNDS = 3
EVENTS = {1: 80_000, 10: 160_000}  # by events per list: some seconds of a worker each
COLD_ITEMS, COLD_EVENTS = 1_000, 20_000


def worker() -> Measured:
    """Everything, at about 1 and about 10 events per list."""
    return _contest([1, 10], ["worker", "loop", "quix-copy", "naive"])


def loop() -> Measured:
    """The bare loop, and the worker whose records it writes."""
    return _contest([1, 10], ["worker", "loop"], rounds=1)


def quix_copy() -> Measured:
    """The copying application beside the bare loop."""
    return _contest([10], ["worker", "loop", "quix-copy"], rounds=1)


def naive() -> Measured:
    """The naive program beside the bare loop."""
    return _contest([1], ["worker", "loop", "naive"], rounds=1)


def cold() -> Measured:
    """From the start of the process, with all texts still to be encoded, and with all vectors in the cache."""
    load = Load.generated(COLD_EVENTS, 1, items=COLD_ITEMS)
    with fields({"cold": load}) as found:
        field = found["cold"]
        runs = {
            name: [_from_start(field, cache) for _ in range(ROUNDS)]
            for name, cache in (("cached", {}), ("no vector cached", {"cache": None}))
        }
    middle = {name: sorted(times)[len(times) // 2] for name, times in runs.items()}
    rows = [
        {
            "contestant": name,
            "s to first commit": first,
            "s to end": end,
            "CPU s": cpu,
            "events/s": len(load.events) / end,
            "events/CPU s": len(load.events) / cpu,
        }
        for name, (first, end, cpu) in middle.items()
    ]
    with_all, with_none = middle["cached"], middle["no vector cached"]
    ratios = {
        "cold/cached, time to first commit": with_none[0] / with_all[0],
        "cold/cached, CPU time": with_none[2] / with_all[2],
    }
    notes = [f"{COLD_ITEMS:,} items, {len(load.texts()):,} free texts; below 1 would be in favour of cold"]
    return Measured(rows, ratios, SEED, notes)


def _from_start(field: Field, cache: dict[str, None]) -> tuple[float, float, float]:
    """Seconds to the first commit and to the end, of wall time from the start, and CPU seconds in all."""
    started = time.perf_counter()  # one clock for all processes of a machine
    progress = field.worker(**cache)
    return progress.wall[1] - started, progress.wall[-1] - started, progress.cpu[-1]


def _contest(shapes: Sequence[int], contestants: Sequence[str], rounds: int = ROUNDS) -> Measured:
    loads = {f"per{n}": Load.generated(EVENTS[n], n) for n in shapes}
    with fields(loads) as found:
        results = {n: _take_turns(found[f"per{n}"], contestants, rounds) for n in shapes}
    rows = [_row(name, n, rates) for n, of in results.items() for name, rates in of.items()]
    first = contestants[0]
    ratios: dict[str, float] = {}
    for n, of in results.items():
        ours = Rates.median(of[first])
        for name in of.keys() - {first}:
            theirs = Rates.median(of[name]).per_cpu_s
            ratios[f"{first}/{name} at {n}"] = ours.per_cpu_s / theirs
            ratios[f"{first} without learner/{name} at {n}"] = ours.without("learner") / theirs
    notes = [
        "rates are medians, low and high their extremes; ratios are of events per CPU second",
        f"naive takes up to {NAIVE_EVENTS:,} events, the others {_counted(shapes)}; the first third warms up",
    ]
    return Measured(rows, ratios, SEED, notes)


def _counted(shapes: Sequence[int]) -> str:
    return " and ".join(f"{EVENTS[n]:,} at {n} per list" for n in shapes)


def _take_turns(field: Field, contestants: Sequence[str], rounds: int) -> dict[str, list[Rates]]:
    """Rates of each contestant, by round."""
    results: dict[str, list[Rates]] = {}
    per_list = float(field.load.per_list)

    runs: dict[str, Callable[[], Progress]] = {
        "worker": field.worker,
        "loop": lambda: field.loop(per_list),
        "quix-copy": field.quix_copy,
        "naive": field.naive,
    }
    for _ in range(rounds):
        for name in contestants:
            rates = runs[name]().rates()
            if name == "worker":
                per_list = rates.per_list
            results.setdefault(name, []).append(rates)
    return results


def _row(name: str, shape: int, rounds: Sequence[Rates]) -> Row:
    middle = Rates.median(rounds)
    rates = [r.per_cpu_s for r in rounds]
    return {
        "contestant": name,
        "shape": shape,
        "events/list": middle.per_list,
        "events/CPU s": middle.per_cpu_s,
        "low": min(rates),
        "high": max(rates),
        "without learner": middle.without("learner"),
        "events/s": middle.per_s,
        **{f"{part}, share of CPU": share for part, share in middle.parts.items()},
    }
