"""A contestant: Shoal's worker, as ``shoal worker`` runs it, that takes notes and ends after so many records."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from typing import Any

from bench.sampling import Progress, Threads
from consumers.connect import connected
from consumers.worker import Worker
from stream import learner
from stream.clock import SystemClock
from stream.config import load
from stream.encoder import make_encoder
from stream.model import Model
from stream.pipeline import Outcome


def timed(owner: Any, method: str, spent: dict[str, float], name: str) -> None:
    """Add up the CPU time of the calling thread within ``owner.method``."""
    inner: Callable[..., Any] = getattr(owner, method)

    def outer(*args: Any, **kwargs: Any) -> Any:
        start = time.thread_time()
        try:
            return inner(*args, **kwargs)
        finally:
            spent[name] += time.thread_time() - start

    setattr(owner, method, outer)


def main(records: int, idle_s: float) -> None:
    spent: dict[str, float] = defaultdict(float)
    timed(learner.Learner, "decide", spent, "learner")
    timed(learner, "fit_item_models", spent, "learner")  # in a thread of its own
    timed(Model, "fold", spent, "folding")
    settings = load(None, os.environ)
    progress, threads, stop, taken = Progress(), Threads(), threading.Event(), 0

    def note(outcome: Outcome) -> None:
        nonlocal taken
        progress.note(
            len(outcome.events),
            len(outcome.lists),
            learner=spent["learner"],
            folding=spent["folding"],
            **threads.seconds(),
        )
        taken += int(outcome.delta.counts["records"])
        if taken >= records:
            stop.set()

    with connected(settings) as broker:
        encoder = make_encoder(settings.encoder)
        with closing(Worker(settings, broker, encoder, SystemClock(), note)) as worker:
            worker.run(stop, idle_s)
    progress.report()


if __name__ == "__main__":
    job = json.load(sys.stdin)
    main(job["records"], job["idle_s"])
