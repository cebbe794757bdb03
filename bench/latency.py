"""From an event produced to its list visible under ``read_committed``, at shares of the highest rate.

One worker in its default configuration. Each event's time runs from the call that produces it to the read of the
list that it is taken into: a list says how many events of its user it covers.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from contextlib import closing

import numpy as np
import orjson
from confluent_kafka import Producer

from bench.field import Field, fields
from bench.load import SEED, Load
from bench.report import Measured, Row
from bench.scenarios import Unavailable
from stream.broker.interface import Reader
from stream.broker.kafka import KafkaBroker
from stream.broker.topics import Topics
from stream.events.schema import EventRecord

EVENTS = 60_000
SHARES = (0.1, 0.5, 0.8)
SECONDS = 15.0  # of each share
SINGLES = 20  # events into an idle service, one at a time
PAUSE_S = 0.5  # between them
WARM = 20_000  # events before the first share: clusters are there then
TICK_S = 0.005  # the sender's
PATIENCE_S = 180.0  # for what is still under way; on a busy machine a worker takes a minute to start


def latency() -> Measured:
    """Percentiles by load, and of single events; against what the issue asks for."""
    load = Load.generated(EVENTS, 1)
    with fields({"full": load, "live": Load([], load.items, 1)}) as found:
        highest = found["full"].worker().rates().per_s
        sizes = [int(share * highest * SECONDS) for share in SHARES]
        # Other events, as one that is sent twice has no list.
        live = Load.generated(1 + WARM + sum(sizes) + SINGLES, 1)
        found["live"].encode(live)
        rows = _run(found["live"], live.events, sizes, highest)
    half, single = rows[1], rows[-1]
    ratios = {
        "250 ms/p99 at 50%": 250 / float(half["p99 ms"]),
        "50 ms/p50 of a single event": 50 / float(single["p50 ms"]),
    }
    return Measured(rows, ratios, SEED, [f"100% is {highest:,.0f} events/s, measured in this run"])


def _run(field: Field, events: list[EventRecord], sizes: list[int], highest: float) -> list[Row]:
    worker = field.start_worker(len(events))
    topics = Topics(field.settings().kafka)
    with (
        closing(KafkaBroker(field.settings().kafka, field.servers)) as broker,
        closing(broker.reader(topics.recommendations.name, "latest")) as reader,
        closing(Live(field.servers, topics.events.name, reader)) as live,
    ):
        ahead = iter(events)
        live.send([next(ahead)], 1.0)  # answered when the worker is up
        live.send([next(ahead) for _ in range(WARM)], highest / 2)
        live.take()
        rows: list[Row] = []
        for share, size in zip(SHARES, sizes, strict=True):
            live.send([next(ahead) for _ in range(size)], share * highest)
            rows.append({"load": f"{share:.0%}", "events/s": share * highest, **live.take()})
        for event in ahead:
            live.send([event], 1 / PAUSE_S)
            time.sleep(PAUSE_S)
        rows.append({"load": "single events", "events/s": 1 / PAUSE_S, **live.take()})
    worker.result()
    return rows


class Live:
    """Sends at a pace, and watches what comes out."""

    def __init__(self, servers: str, topic: str, reader: Reader) -> None:
        self._producer = Producer(
            {"bootstrap.servers": servers, "linger.ms": 0, "partitioner": "murmur2_random"}
        )
        self._topic, self._reader = topic, reader
        self._sent: defaultdict[str, deque[float]] = defaultdict(deque)
        self._open = 0
        self._seconds: list[float] = []
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="watcher")
        self._watcher.start()

    def send(self, events: list[EventRecord], rate: float) -> None:
        """Send ``events`` at ``rate`` a second, and wait for their lists."""
        start = time.perf_counter()
        self._open += len(events)
        for n, event in enumerate(events):
            while (left := start + n / rate - time.perf_counter()) > 0:
                time.sleep(min(left, TICK_S))
            self._sent[event.user_id or ""].append(time.perf_counter())
            self._producer.produce(self._topic, event.to_json(), event.key())
            self._producer.poll(0)
        deadline = time.perf_counter() + PATIENCE_S
        while len(self._seconds) < self._open:
            if time.perf_counter() > deadline:
                raise Unavailable(
                    f"of {self._open} events {len(self._seconds)} were answered in {PATIENCE_S:g} s"
                )
            time.sleep(TICK_S)

    def take(self) -> dict[str, float]:
        """Percentiles of what came since the last call, in ms."""
        taken, self._seconds, self._open = self._seconds, [], 0
        found = np.percentile(np.array(taken) * 1_000, (50, 99, 99.9))
        return dict(zip(("p50 ms", "p99 ms", "p99.9 ms"), map(float, found), strict=True))

    def close(self) -> None:
        self._stop.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._stop.is_set():
            records = self._reader.read(2_000, 0.1)
            now = time.perf_counter()
            for value in records.values:
                made = orjson.loads(value or b"")
                waiting = self._sent[made["user_id"]]
                for _ in range(made["source"]["events"]):
                    self._seconds.append(now - waiting.popleft())
