"""A broker in memory with workers on it, and what has to be true of their output."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from consumers.worker import Worker
from stream.broker.interface import Records
from stream.broker.memory import MemoryBroker, MemoryTransactionalProducer
from stream.broker.topics import Topics, ensure_topics
from stream.clock import SystemClock
from stream.config import Settings
from stream.encoder import TextEncoder
from stream.encoder.hashing import HashingEncoder
from stream.entries import Delta, decode_entry
from stream.errors import TransactionAborted
from stream.events.dead_letters import parse_dead_letter
from stream.events.schema import EventRecord, ItemRecord
from stream.wire import Assembler

PARTITIONS = 3
# Where a commit can break: the sends in their order, then the offsets, then the commit itself.
STEPS = ["begin", "recommendations", "profiles", "dead-letters", "send_offsets", "model-updates", "commit"]


@dataclass
class Breaking:
    """A transactional producer that aborts once, at a chosen step of the n-th transaction."""

    inner: MemoryTransactionalProducer
    step: str
    at: int
    error: type[Exception] = TransactionAborted
    transactions: int = 0
    broken: list[str] = field(default_factory=list)

    def _reach(self, step: str) -> None:
        if self.transactions == self.at and step == self.step and not self.broken:
            self.broken.append(step)
            if step != "begin":
                self.inner.abort()
            raise self.error(f"broken at {step}")

    def begin(self) -> None:
        self.transactions += 1
        self._reach("begin")
        self.inner.begin()

    def send(self, topic: str, *columns: Any) -> None:
        self._reach(topic.rsplit(".", 1)[-1])
        self.inner.send(topic, *columns)

    def send_offsets(self, *args: Any) -> None:
        self._reach("send_offsets")
        self.inner.send_offsets(*args)

    def commit(self) -> None:
        self._reach("commit")
        self.inner.commit()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Cluster:
    """A broker with a catalogue and events, the workers on it, and what comes out."""

    def __init__(self, settings: Settings, partitions: int = PARTITIONS) -> None:
        kafka = settings.kafka.model_copy(update={"partitions": partitions})
        worker = settings.worker.model_copy(update={"provenance": True})
        self.settings = settings.model_copy(update={"kafka": kafka, "worker": worker})
        self.broker = MemoryBroker()
        self.topics = Topics(kafka)
        ensure_topics(self.broker, self.topics, kafka)
        self._workers: list[Worker] = []

    def worker(
        self,
        instance: str = "w",
        encoder: TextEncoder | None = None,
        generation: int = 1,
        **changes: object,
    ) -> Worker:
        own = self.settings.worker.model_copy(update={"instance": instance} | changes)
        kafka = self.settings.kafka.model_copy(update={"generation": generation})
        settings = self.settings.model_copy(update={"worker": own, "kafka": kafka})
        worker = Worker(settings, self.broker, encoder or HashingEncoder(32), SystemClock())
        self._workers.append(worker)
        return worker

    def close(self) -> None:
        for worker in self._workers:
            worker.close()

    def feed(self, events: list[EventRecord | bytes]) -> None:
        keys = [event.key() if isinstance(event, EventRecord) else None for event in events]
        values = [event.to_json() if isinstance(event, EventRecord) else event for event in events]
        self.broker.publisher().send(self.topics.events.name, keys, values)

    def load(self, items: list[ItemRecord]) -> None:
        keys, values = [item.key() for item in items], [item.to_json() for item in items]
        self.broker.publisher().send(self.topics.items.name, keys, values)

    def read(self, topic: str) -> Records:
        return Records.concat(topic, list(self.broker.reader(topic, "earliest").read_to_end(1.0)))

    def lists(self) -> list[tuple[int, dict[str, Any]]]:
        records = self.read(self.topics.recommendations.name)
        return [
            (int(p), json.loads(v or b"")) for p, v in zip(records.partition, records.values, strict=True)
        ]

    def deltas(self) -> list[Delta]:
        assembler = Assembler()
        wholes = map(assembler.add, (v or b"" for v in self.read(self.topics.model_updates.name).values))
        entries = [decode_entry(whole.data) for whole in wholes if whole is not None]
        return [entry for entry in entries if isinstance(entry, Delta)]


def drain(*workers: Worker) -> None:
    """Let all work in turns until none has anything to do."""
    idle = 0
    while idle < 2 * len(workers):
        for worker in workers:
            idle = 0 if worker.step() else idle + 1


def check_exactly_once(cluster: Cluster, fed: int) -> None:
    """Every offset is in one list or one delta of what was read, and users' lists are numbered without a gap."""
    offsets: Counter[tuple[int, int]] = Counter()
    numbers: dict[tuple[int, str], list[int]] = defaultdict(list)
    for partition, made in cluster.lists():
        assert made["source"]["partition"] == partition
        offsets.update((partition, offset) for offset in made["source"]["offsets"])
        numbers[partition, made["user_id"]].append(made["user_seq"])
    dead = [
        parse_dead_letter(value or b"") for value in cluster.read(cluster.topics.dead_letters.name).values
    ]
    events = cluster.topics.events.name
    offsets.update((letter.partition, letter.offset) for letter in dead if letter.topic == events)
    ends = {p: end for p, (_, end) in cluster.broker.offsets(cluster.topics.events.name).items()}
    assert sum(ends.values()) == fed
    assert offsets == Counter((p, offset) for p, end in ends.items() for offset in range(end))
    assert all(got == list(range(1, len(got) + 1)) for got in numbers.values())
    covered: Counter[tuple[int, int]] = Counter()
    for delta in cluster.deltas():
        for p, (first, last) in delta.offsets.items():
            covered.update((p, offset) for offset in range(first, last + 1))
    assert covered == offsets
