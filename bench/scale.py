"""One, two and four workers that share a log, against one: events per CPU second of all of them together."""

from __future__ import annotations

from collections.abc import Sequence

from bench.field import Field, fields
from bench.load import SEED, Load
from bench.report import Measured
from bench.sampling import Progress

EVENTS = 80_000
WORKERS = (1, 2, 4)


def scale() -> Measured:
    """CPU time by event, and the part of it that goes into folding the deltas, others' included."""
    rows, rates = [], {}
    with fields({"scale": Load.generated(EVENTS, 1)}) as found:
        for n in WORKERS:
            runs = _together(found["scale"], n)
            events, cpu = _totals(runs, "cpu")
            folding = sum(_after_first(run.also.get("folding", [0.0])) for run in runs)
            rates[n] = events / cpu
            rows.append(
                {
                    "workers": n,
                    "events/CPU s": rates[n],
                    "events/s": events
                    / (max(r.wall[-1] for r in runs) - min(r.wall[min(1, len(r.wall) - 1)] for r in runs)),
                    "folding, us/event and worker": folding / events / n * 1e6,
                    "folding, share of CPU": folding / cpu,
                }
            )
    ratios = {f"{n} workers/1, events per CPU second": rates[n] / rates[1] for n in WORKERS[1:]}
    return Measured(rows, ratios, SEED, ["from each worker's first commit on; the learner's work is in it"])


def _together(field: Field, n: int) -> list[Progress]:
    field.next_generation()
    running = [field.start_worker(EVENTS, instance) for instance in range(1, n + 1)]
    return [worker.result() for worker in running]


def _totals(runs: list[Progress], what: str) -> tuple[int, float]:
    """Events and seconds of all, from each one's first commit on."""
    events = sum(_after_first(run.events) for run in runs)
    return int(events), sum(_after_first(getattr(run, what)) for run in runs)


def _after_first(totals: Sequence[float]) -> float:
    """What came after the first commit; nothing of a worker that found nothing to do."""
    return totals[-1] - totals[min(1, len(totals) - 1)]
