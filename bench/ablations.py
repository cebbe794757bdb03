"""What each source, the clusters and the vectors bring to lists: whole logs, each time without one of them.

Directories named by ``SHOAL_BENCH_LOGS`` (see ``bench.cluster_log``), or else a generated log; of each the first
``SHOAL_BENCH_EVENTS`` events, numbers in the same order with the same separator.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from threadpoolctl import threadpool_limits

from bench.cluster_log import Log, given_logs, settings
from bench.load import SEED
from bench.report import Measured, Row
from consumers.ablating import PARTS, ablation
from stream.config_lists import ALL_SOURCES
from stream.encoder import TextEncoder, make_encoder
from stream.evaluation.prequential import Evaluation
from stream.recommending.sources import OPTION

SIZES = "SHOAL_BENCH_EVENTS"
EVENTS = 20_000  # where it says nothing
LAG = 256  # eight times that of `shoal evaluate`: half the time, and the same for all that are compared
NOTHING = "nothing"


def ablations() -> Measured:
    """Recall and NDCG of fresh lists, with all and without each part; ratios are those of what is new to users."""
    encoder = make_encoder(settings().encoder)
    rows: list[Row] = []
    ratios: dict[str, float] = {}
    with threadpool_limits(1):
        for log in cut_logs():
            found = list(_without_each(log, encoder))
            rows += found
            whole = found[0]["new NDCG"]
            ratios |= {
                f"{log.name}, with/without {row['without']}": whole / row["new NDCG"] for row in found[1:]
            }
    notes = [
        "fresh lists of 20; cold: of users with at most 2 earlier events",
        f"the model lags by up to {LAG} events",
        "the ratios are of NDCG of items new to their users",
    ]
    return Measured(rows, ratios, SEED, notes)


def cut_logs() -> Iterator[Log]:
    """The logs that the environment names, or a generated one, each cut to the size that it says."""
    sizes = os.environ.get(SIZES, "").split(os.pathsep)
    logs = list(given_logs()) or [Log.generated(users=500, events=EVENTS)]
    for place, log in enumerate(logs):
        size = int(sizes[place]) if place < len(sizes) and sizes[place] else EVENTS
        yield replace(log, events=sorted(log.events, key=lambda event: event.timestamp)[:size])


def _without_each(log: Log, encoder: TextEncoder) -> Iterator[Row]:
    for part in (NOTHING, *PARTS, *(source for source in ALL_SOURCES if source != OPTION)):
        fresh = _scores(log, encoder, [] if part == NOTHING else [part])
        every, new, cold = (
            fresh["fresh"]["all"],
            fresh["fresh"]["new"],
            fresh["slices"]["cold_users"]["fresh"]["new"],
        )
        row = {
            "log": log.name,
            "without": part,
            "all recall": every["recall@20"],
            "all NDCG": every["ndcg@20"],
            "new recall": new["recall@20"],
            "new NDCG": new["ndcg@20"],
            "cold, new recall": cold["recall@20"],
            "steps": every["steps"],
            "cold steps": cold["steps"],
        }
        print(*row.values(), file=sys.stderr, flush=True)  # an hour in all: to see that it moves
        yield row


def _scores(log: Log, encoder: TextEncoder, without: list[str]) -> dict[str, Any]:
    own = settings()
    given = {name.removeprefix("recommending__"): value for name, value in ablation(None, without).items()}
    own = own.model_copy(update={"recommending": own.recommending.model_copy(update=given)})
    evaluation = Evaluation(own, encoder, log.items, keep_log=False)
    evaluation.run(log.events, lag=LAG)
    return evaluation.report().metrics()
