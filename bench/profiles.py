"""Taking events into profiles: whole arrays against the same sums written event by event with NumPy."""

from __future__ import annotations

from collections import OrderedDict
from statistics import median

import numpy as np

from bench.inprocess import Service, Stopwatch, batches, watched
from bench.load import SEED, Load
from bench.report import Measured, Row
from stream import pipeline
from stream.config import Settings
from stream.events.batch import EventBatch

EVENTS = 40_960
STEPS = ("find_users", "drop_duplicates", "learn_vectors", "learn_history")  # of the pipeline


def profiles() -> Measured:
    """Events per CPU second at 384 dimensions, vectors and histories."""
    rows: list[Row] = []
    ratios = {}
    for per_list in (1, 10):
        load = Load.generated(EVENTS, per_list)
        ours, theirs = _rates(load)
        rows += [
            {"contestant": "Shoal, arrays", "events/list": per_list, "events/CPU s": ours},
            {"contestant": "NumPy, event by event", "events/list": per_list, "events/CPU s": theirs},
        ]
        ratios[f"arrays/event by event at {per_list}"] = ours / theirs
    return Measured(rows, ratios, SEED, [f"{EVENTS:,} events, medians over the batches of the second half"])


def _rates(load: Load) -> tuple[float, float]:
    service, reference = Service.empty(), Reference(Settings())
    service.catalogue.upsert(load.items)
    service.pipeline.encode_catalogue()
    ours, theirs = [], []
    for records in batches([event.to_json() for event in load.events], service.settings):
        with watched(pipeline, *STEPS) as seconds:
            outcome = service.take(records)
        ours.append(sum(seconds) / len(records))
        theirs.append(reference.learn(outcome.events, service.catalogue.vectors) / len(records))
    half = len(ours) // 2
    return 1 / median(ours[half:]), 1 / median(theirs[half:])


class Reference:
    """The same in the plainest way: a dictionary of users."""

    def __init__(self, settings: Settings) -> None:
        self._half_life = settings.profiles.half_life_ms
        self._history = settings.profiles.history
        self._users: dict[int, tuple[np.ndarray, int, OrderedDict[int, int]]] = {}

    def learn(self, events: EventBatch, vectors: np.ndarray) -> float:
        columns = (events.user.tolist(), events.item.tolist(), events.time.tolist(), events.weight.tolist())
        with Stopwatch() as watch:
            for user, item, time, weight in zip(*columns, strict=True):
                total, last, history = self._users.get(user) or (
                    np.zeros(vectors.shape[1]),
                    time,
                    OrderedDict(),
                )
                total = (
                    total * 0.5 ** ((time - last) / self._half_life) + weight * vectors[item % len(vectors)]
                )
                history[item] = time
                history.move_to_end(item)
                if len(history) > self._history:
                    history.popitem(last=False)
                self._users[user] = (total, time, history)
        return watch.seconds
