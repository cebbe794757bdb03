"""One, two and four workers that share a log, against one: events per CPU second of all of them together."""

from __future__ import annotations

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
            folding = sum(run.also["folding"][-1] - run.also["folding"][1] for run in runs)
            rates[n] = events / cpu
            rows.append(
                {
                    "workers": n,
                    "events/CPU s": rates[n],
                    "events/s": events / (max(r.wall[-1] for r in runs) - min(r.wall[1] for r in runs)),
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
    events = sum(run.events[-1] - run.events[1] for run in runs)
    return events, sum(getattr(run, what)[-1] - getattr(run, what)[1] for run in runs)
