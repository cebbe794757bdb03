"""Where the pipeline's CPU time goes, stage by stage: a table for docs/performance.md.

Run: python -m bench.stages. In this process and without Kafka, as ``bench.inprocess`` has it; the lower quartile of the
batches of the second half, so that a burst of others' work does not count.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from bench import inprocess
from bench.inprocess import Service, Stopwatch, batches
from bench.load import Load
from stream import pipeline
from stream.model import Model
from stream.profiles.table import ProfileTable
from stream.recommending import recommender
from stream.recommending.counts import ItemCounts
from stream.recommending.explorer import Explorer
from stream.recommending.recommender import Recommender

EVENTS = 61_440
QUARTILE = 0.25
# Stages within others are taken from these.
STAGES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "decoding": (pipeline, ("decode",)),
    "finding users, dropping duplicates": (pipeline, ("find_users", "drop_duplicates")),
    "scoring the lists published before": (Recommender, ("score_published",)),
    "profile vectors": (pipeline, ("describe", "learn_vectors")),
    "histories": (pipeline, ("learn_history",)),
    "placing users in clusters": (pipeline, ("place_users", "distances_of_taken")),
    "reading profiles": (pipeline, ("read_profiles", "expected_return")),
    "sources": (recommender, ("propose", "propose_by_text")),
    "ranking": (recommender, ("make_lists",)),
    "lists, the rest": (Recommender, ("recommend", "refresh")),
    "exploring": (Explorer, ("explore",)),
    "records of lists": (pipeline, ("publish_lists",)),
    "lessons": (pipeline, ("choose_lessons",)),
    "sampled lists": (Recommender, ("sample",)),
    "the delta": (pipeline, ("contribute", "count_outcome")),
    "changelog rows": (ProfileTable, ("serialise", "begin", "commit")),
    "the delta's bytes": (inprocess, ("encode_entry", "decode_entry")),
    "folding: item counts": (ItemCounts, ("count", "advance")),
    "folding, the rest": (Model, ("fold",)),
}


class Clock:
    """CPU seconds of this thread by stage, each without those within it."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._within: list[float] = []

    def timed(self, stage: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        def outer(*args: Any, **kwargs: Any) -> Any:
            self._within.append(0.0)
            start = time.thread_time()
            try:
                return inner(*args, **kwargs)
            finally:
                took = time.thread_time() - start
                self.spent[stage] += took - self._within.pop()
                if self._within:
                    self._within[-1] += took

        return outer


@contextmanager
def watching(clock: Clock) -> Iterator[None]:
    """Have ``clock`` time all stages while this lasts."""
    with ExitStack() as stack:
        for stage, (owner, names) in STAGES.items():
            for name in names:
                inner = getattr(owner, name)
                stack.callback(setattr, owner, name, inner)
                setattr(owner, name, clock.timed(stage, inner))
        yield


def measure(per_list: int) -> dict[str, float]:
    """Microseconds per event of each stage."""
    load = Load.generated(EVENTS, per_list)
    service = Service.empty()
    service.catalogue.upsert(load.items)
    service.pipeline.encode_catalogue()
    found: dict[str, list[float]] = defaultdict(list)
    for records in batches([event.to_json() for event in load.events], service.settings):
        clock = Clock()
        with watching(clock), Stopwatch() as whole:
            service.take(records)
        clock.spent["all else"] = whole.seconds - sum(clock.spent.values())
        clock.spent["in all"] = whole.seconds
        for stage, seconds in clock.spent.items():
            found[stage].append(seconds / len(records) * 1e6)
        service.decide()
    return {stage: float(np.quantile(us[len(us) // 2 :], QUARTILE)) for stage, us in found.items()}


def main(shapes: list[int]) -> None:
    costs = [measure(n) for n in shapes]
    print("| stage |" + "".join(f" {n} per list |" for n in shapes) + "\n|---|" + "---|" * len(shapes))
    for stage in sorted(costs[0], key=lambda stage: -costs[0][stage]):
        print(f"| {stage} |" + "".join(f" {cost.get(stage, 0):.1f} |" for cost in costs))


if __name__ == "__main__":
    main([int(n) for n in sys.argv[1:]] or [1, 10])
