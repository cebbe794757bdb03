"""Shoal on the real Kafka: a service with its topics, workers on it, and what has to be true of its output."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from consumers.worker import Worker
from stream.broker.interface import Records
from stream.broker.kafka import KafkaBroker
from stream.broker.topics import Topics, ensure_topics
from stream.clock import SystemClock
from stream.config import Settings
from stream.encoder import make_encoder
from stream.entries import Delta, Entry, decode_entry
from stream.events.dead_letters import DeadLetterRecord, parse_dead_letter
from stream.events.schema import EventRecord, ItemRecord
from stream.profiles.layout import RowLayout, Rows
from stream.wire import Assembler
from tests.kafka.processes import PATIENCE, Nursery, WorkerProcess, until
from tests.kafka.worker_process import shared_encoder


@dataclass
class WorkerThread:
    """A worker that runs in a thread; what it raises comes out of ``stop``, which closes it."""

    worker: Worker
    commits: int = 0
    error: BaseException | None = None
    table: dict[tuple[int, bytes], bytes] = field(default_factory=dict)  # its rows when it stopped
    _stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.worker.run(self._stop)
        except BaseException as error:  # noqa: BLE001 - raised again by stop
            self.error = error

    def partitions(self) -> frozenset[int]:
        return self.worker._consumer.assignment()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        self.table = Service.table(self.worker)
        self.worker.close()
        if self.error:
            raise self.error


class Service:
    """Topics of one prefix, what was fed, the workers, and what they have written."""

    def __init__(
        self, servers: str, partitions: int, nursery: Callable[[], Nursery], **sections: dict[str, Any]
    ) -> None:
        self.raw: dict[str, dict[str, Any]] = {
            "kafka": {
                "prefix": f"t{uuid.uuid4().hex[:10]}.",
                "partitions": partitions,
                # A killed worker's partitions stand still for a session.
                "librdkafka": {"heartbeat.interval.ms": "200", "session.timeout.ms": "2000"},
            },
            "encoder": {"model": "hashing"},
            "clustering": {"k": 4, "seed_users_per_cluster": 4, "dimensions": 16},
            "recommending": {"k": 10},
            "snapshots": {"directory": ""},
            "worker": {"provenance": True, "micro_batch": 100, "linger_ms": 20, "learn_every": 500},
        }
        for name, values in sections.items():
            self.raw[name] = self.raw.get(name, {}) | values
        self.servers = servers
        self.settings = Settings.model_validate(self.raw)
        self.broker = KafkaBroker(self.settings.kafka, servers)
        self.topics = Topics(self.settings.kafka)
        ensure_topics(self.broker, self.topics, self.settings.kafka)
        self._nursery = nursery
        self._open: list[Any] = []

    def worker(
        self,
        instance: str = "w",
        on_commit: Callable[..., None] = lambda _: None,
        shared: bool = False,
        **sections: Any,
    ) -> Worker:
        settings = Settings.model_validate(self._raw(instance, sections))
        broker = KafkaBroker(settings.kafka, self.servers)
        encoder = shared_encoder(settings) if shared else make_encoder(settings.encoder)
        worker = Worker(settings, broker, encoder, SystemClock(), on_commit)
        self._open.append(worker)
        return worker

    def thread(self, instance: str, **sections: Any) -> WorkerThread:
        def committed(_: object) -> None:
            running.commits += 1

        running = WorkerThread(self.worker(instance, committed, **sections))
        self._open.append(running)
        return running

    def process(
        self,
        instance: str = "w",
        die_at: tuple[str, int] | None = None,
        hooks: dict[str, Any] | None = None,
        shared: bool = False,
        **sections: Any,
    ) -> WorkerProcess:
        request = {"settings": self._raw(instance, sections), "servers": self.servers}
        return self._nursery().start(request | {"die_at": die_at, "hooks": hooks, "shared": shared})

    def _raw(self, instance: str, sections: dict[str, Any]) -> dict[str, Any]:
        raw = self.raw | {name: self.raw[name] | values for name, values in sections.items()}
        return raw | {"worker": raw["worker"] | {"instance": instance}}

    def close(self) -> None:
        for opened in reversed(self._open):
            opened.stop() if isinstance(opened, WorkerThread) else opened.close()

    # What goes in.

    def feed(self, events: Sequence[EventRecord | bytes | None]) -> None:
        keys = [event.key() if isinstance(event, EventRecord) else None for event in events]
        self._publish(
            self.topics.events.name, keys, [e.to_json() if isinstance(e, EventRecord) else e for e in events]
        )

    def load(self, items: Sequence[ItemRecord]) -> None:
        self._publish(
            self.topics.items.name, [item.key() for item in items], [item.to_json() for item in items]
        )

    def publish_item(self, key: bytes, value: bytes) -> None:
        self._publish(self.topics.items.name, [key], [value])

    def _publish(self, topic: str, keys: list[bytes | None], values: list[bytes | None]) -> None:
        publisher = self.broker.publisher()
        publisher.send(topic, keys, values)
        publisher.close()

    def fed(self) -> int:
        return sum(end for _, end in self.broker.offsets(self.topics.events.name).values())

    # What comes out, under read_committed.

    def stream(self, topic: str) -> Iterator[Records]:
        reader = self.broker.reader(topic, "earliest")
        try:
            yield from reader.read_to_end(PATIENCE)
        finally:
            reader.close()

    def read(self, topic: str) -> Records:
        return Records.concat(topic, list(self.stream(topic)))

    def lists(self, generation: int = 1) -> list[tuple[int, dict[str, Any]]]:
        """Partition and record of each list of a generation."""
        records = self.read(self.topics.recommendations.name)
        made = [
            (int(p), json.loads(value or b""))
            for p, value in zip(records.partition, records.values, strict=True)
        ]
        mine = f"g{generation}-"
        return [(p, one) for p, one in made if one["list_id"].startswith(mine)]

    def dead_letters(self) -> dict[bytes, DeadLetterRecord]:
        records = self.read(self.topics.dead_letters.name)
        pairs = zip(records.keys, records.values, strict=True)
        return {key or b"": parse_dead_letter(value or b"") for key, value in pairs}

    def entries(self) -> list[Entry]:
        assembler = Assembler()
        values = self.read(self.topics.model_updates.name).values
        wholes = [assembler.add(value or b"") for value in values]
        return [decode_entry(whole.data) for whole in wholes if whole is not None]

    def counts(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for entry in self.entries():
            if isinstance(entry, Delta):
                total.update(entry.counts)
        return total

    def profiles(self, generation: int = 1) -> dict[tuple[int, bytes], bytes]:
        """The newest row of each partition and key in the changelog."""
        kafka = self.settings.kafka.model_copy(update={"generation": generation})
        return {
            (p, key or b""): value or b""
            for records in self.stream(Topics(kafka).profiles.name)
            for p, key, value in zip(records.partition.tolist(), records.keys, records.values, strict=True)
        }

    # What has to be so.

    until = staticmethod(until)

    def settle(self, *workers: Worker) -> None:
        """Let ``workers`` work in turns until all that was fed is in the model of each."""
        fed, deadline = self.fed(), time.monotonic() + PATIENCE
        while any(worker.model.counts["records"] < fed for worker in workers):
            assert time.monotonic() < deadline, [w.model.counts for w in workers]
            for worker in workers:
                worker.step()
        while sum(worker.step() for worker in workers):  # decisions that are due are made, too
            assert time.monotonic() < deadline
        for worker in workers:  # whoever would do something twice does it now
            worker.step()

    def is_done(self) -> bool:
        """Whether all that was fed is in the model log."""
        return self.counts()["records"] >= self.fed()

    def wait(self, patience: float = PATIENCE) -> None:
        """Wait until all that was fed is in the model log."""
        until(self.is_done, f"all of {self.fed()} records: {self.counts()}", patience)

    def check_exactly_once(self) -> None:
        """Every offset is in one list, a dead letter, or dropped for a reason; lists are numbered without a gap."""
        taken: Counter[tuple[int, int]] = Counter()
        numbers: dict[tuple[int, str], list[int]] = defaultdict(list)
        for partition, made in self.lists():
            assert made["source"]["partition"] == partition
            taken.update((partition, offset) for offset in made["source"]["offsets"])
            numbers[partition, made["user_id"]].append(made["user_seq"])
        gaps = {user: got for user, got in numbers.items() if got != list(range(1, len(got) + 1))}
        assert not gaps
        events = self.topics.events.name
        dead = [letter for letter in self.dead_letters().values() if letter.topic == events]
        dropped = self._dropped()
        taken.update((letter.partition, letter.offset) for letter in dead)
        taken.update(dropped)
        assert taken == self._all_offsets()
        assert self._covered() == taken
        counts = self.counts()
        assert counts["records"] == self.fed() == counts["events"] + len(dropped) + len(dead)
        assert counts["lists"] == len(self.lists())
        assert sum(n for name, n in counts.items() if name.startswith("dead.")) == len(dead)
        assert sum(n for name, n in counts.items() if name.startswith("dropped.")) == len(dropped)

    def _all_offsets(self) -> Counter[tuple[int, int]]:
        ends = self.broker.offsets(self.topics.events.name)
        return Counter((p, offset) for p, (_, end) in ends.items() for offset in range(end))

    def _covered(self) -> Counter[tuple[int, int]]:
        """How many deltas cover each offset."""
        covered: Counter[tuple[int, int]] = Counter()
        for entry in self.entries():
            if isinstance(entry, Delta):
                for p, (first, last) in entry.offsets.items():
                    covered.update((p, offset) for offset in range(first, last + 1))
        return covered

    def _dropped(self) -> list[tuple[int, int]]:
        """Offsets of what is to be dropped: no value, nobody's, or sent before."""
        records = self.read(self.topics.events.name)
        seen: set[tuple[int, str, str]] = set()
        dropped = []
        for row, value in enumerate(records.values):
            where = (int(records.partition[row]), int(records.offset[row]))
            try:
                event = json.loads(value) if value is not None else None
            except ValueError:
                continue
            if event is None or not event.get("user_id"):
                dropped.append(where)
                continue
            name = (where[0], event["user_id"], event.get("event_id") or str(where))
            if name in seen:
                dropped.append(where)
            seen.add(name)
        return dropped

    def check_profiles_equal(self, one: dict[Any, bytes], other: dict[Any, bytes]) -> None:
        """Rows of two runs with other batches: what events say is equal, vectors up to the rounding of each batch."""
        assert one.keys() == other.keys()
        mine, others = (self.rows([run[key] for key in sorted(one)]) for run in (one, other))
        exact = ["user", "offset", "time", "session", "events"]
        exact += [f"history_{name}" for name in ("item", "time", "weight", "count", "hold")]
        for name in exact:
            np.testing.assert_array_equal(mine[name], others[name], name)
        np.testing.assert_array_equal(np.sort(mine["event_id"]), np.sort(others["event_id"]))
        for name in ("mass", "taste"):
            np.testing.assert_allclose(mine[name], others[name], rtol=1e-4, atol=1e-4, err_msg=name)
        vectors = [rows["vector"].astype(np.float32) for rows in (mine, others)]
        # Two units in the last place of a float16 near 1.
        np.testing.assert_allclose(*vectors, atol=2 * float(np.finfo(np.float16).eps))

    def rows(self, values: Sequence[bytes]) -> Rows:
        encoder, k = make_encoder(self.settings.encoder), self.settings.recommending.k
        layout = RowLayout.of(self.settings.profiles, k, encoder.dimensions, encoder.encoder_id, 1)
        return np.frombuffer(b"".join(values), layout.dtype)

    @staticmethod
    def table(worker: Worker) -> dict[tuple[int, bytes], bytes]:
        """The rows of ``worker``'s table as ``profiles`` has the changelog's."""
        table = worker.profiles
        every: npt.NDArray[np.int64] = np.arange(len(table))
        keys, values = table.keys(every), table.serialise(every)
        partitions = table._partition[: len(table)].tolist()
        return {(p, k or b""): v or b"" for p, k, v in zip(partitions, keys, values, strict=True)}
