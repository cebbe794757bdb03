"""A real Kafka with a log in it, on which contestants run in turns, each in a process of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

from bench.load import Load
from bench.sampling import ROOT, Contestant, Progress
from bench.scenarios import Unavailable
from consumers.demo.worker_process import environment
from producers.items import load_items
from stream.broker.embedded import EmbeddedKafka
from stream.broker.interface import TopicSpec
from stream.broker.kafka import KafkaBroker
from stream.broker.topics import Topics, ensure_topics
from stream.catalogue import item_text
from stream.config import Settings
from stream.encoder import make_encoder

CACHE = ROOT / "build" / "bench" / "vectors"
QUIX_PYTHON = ROOT / ".venv-quix" / "bin" / "python"
KAFKA_S = 240.0  # for what takes it seconds; where others want the cores, its start alone took over a minute
IDLE_S = 30.0  # a worker that finds nothing for so long has lost something, and ends
NAIVE_EVENTS = 1_000  # some seconds of it, at most
COPIES = ("lists", "rows", "deltas", "events", "answers")  # to which others than workers write


class Field:
    """A log on a broker. Each worker's run is of a new generation, each other's of a new group."""

    def __init__(self, servers: str, name: str, load: Load) -> None:
        self.servers, self.name, self.load = servers, name, load
        self._runs = 0
        self._generation = 1
        self._feed()

    def settings(self, cache: str | None = str(CACHE)) -> Settings:
        """The defaults, but for where things are; of the worker that ran last."""
        kafka = {
            "bootstrap_servers": self.servers,
            "prefix": f"{self.name}.",
            "generation": self._generation,
        }
        nowhere = {"directory": None}  # or a worker would find what one on another broker has left
        return Settings.model_validate({"kafka": kafka, "encoder": {"cache": cache}, "snapshots": nowhere})

    def start_worker(
        self, records: int, instance: int = 1, command: Sequence[str] = (sys.executable,), **parts: Any
    ) -> Contestant:
        """Start a worker of the present generation, to end after ``records``; ``command`` runs Python."""
        settings = self.settings(**parts)
        own = settings.worker.model_copy(update={"instance": f"worker-{instance}"})
        settings = settings.model_copy(update={"worker": own})
        job = {"records": records, "idle_s": IDLE_S}
        return Contestant("bench.worker_app", job, environment(settings, os.environ), command)

    def worker(self, **parts: Any) -> Progress:
        """Run a worker over the log."""
        self.next_generation()
        return self.start_worker(len(self.load.events), **parts).result()

    def next_generation(self) -> None:
        """Let the workers that start from now on read the log from its beginning."""
        self._runs += 1
        self._generation = self._runs

    def loop(self, per_list: float) -> Progress:
        """Run the bare loop with what the last worker wrote, one list and row for ``per_list`` events."""
        topics = self._topics
        job = {
            "captured": [topics.recommendations.name, topics.profiles.name, topics.model_updates.name],
            "to": [self._copy(what) for what in ("lists", "rows", "deltas")],
            "batch": self.settings().worker.micro_batch,
            "per_list": per_list,
            "records": len(self.load.events),
        }
        return self._other("bench.loop_app", job)

    def naive(self) -> Progress:
        """Run the naive program over the head of the log."""
        texts = {item.item_id: item_text(item) for item in self.load.items}
        records = min(NAIVE_EVENTS, len(self.load.events))
        return self._other(
            "bench.naive_app", {"texts": texts, "to": self._copy("answers"), "records": records}
        )

    def quix_copy(self, values: str = "json") -> Progress:
        """Run the copying application over the log, as ``json`` or ``bytes``. Raises Unavailable without it."""
        if not QUIX_PYTHON.exists():
            raise Unavailable("quixstreams has no environment of its own yet: `make bench` makes it")
        job = {"to": self._copy("events"), "records": len(self.load.events), "values": values}
        return self._other("bench.quix_copy_app", job, str(QUIX_PYTHON))

    @property
    def _topics(self) -> Topics:
        return Topics(self.settings().kafka)

    def _copy(self, what: str) -> str:
        return f"{self.name}.copied-{what}"

    def _other(self, module: str, job: Mapping[str, Any], python: str = sys.executable) -> Progress:
        self._runs += 1
        where = {
            "servers": self.servers,
            "name": f"{self.name}-{self._runs}",
            "events": self._topics.events.name,
        }
        return Contestant(module, {**job, **where}, None, [python]).result()

    def _feed(self) -> None:
        """Write catalogue and events, and encode their texts."""
        settings = self.settings()
        with closing(KafkaBroker(settings.kafka, self.servers)) as broker:
            ensure_topics(broker, self._topics, settings.kafka)
            broker.create_topics([TopicSpec(self._copy(what), settings.kafka.partitions) for what in COPIES])
            with closing(broker.publisher()) as publisher:
                load_items(publisher, self._topics.items.name, self.load.items)
                events = self.load.events
                publisher.send(
                    self._topics.events.name, [e.key() for e in events], [e.to_json() for e in events]
                )
                publisher.flush(KAFKA_S)
        self.encode(self.load)

    def encode(self, load: Load) -> None:
        """Put the vectors of the texts of ``load`` into the cache."""
        CACHE.mkdir(parents=True, exist_ok=True)
        with closing(make_encoder(self.settings().encoder)) as encoder:  # type: ignore[type-var]
            encoder.encode([*map(item_text, load.items), *load.texts()])


@contextmanager
def fields(loads: Mapping[str, Load]) -> Iterator[dict[str, Field]]:
    """Start a broker for a scenario, with a log for each of ``loads``."""
    with EmbeddedKafka(start_timeout=KAFKA_S) as kafka:
        yield {name: Field(kafka.bootstrap_servers, name, load) for name, load in loads.items()}
