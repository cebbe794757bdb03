"""One run: what is fed, what is done to those who work on it, and the same log worked on in peace."""

from __future__ import annotations

import random
import signal
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stream.broker.embedded import EmbeddedKafka
from stream.broker.kafka import KafkaBroker
from stream.broker.topics import Topics
from stream.config import KafkaSettings
from tests.kafka.processes import Nursery, WorkerProcess
from tests.kafka.service import Service
from tests.torture.crew import Crew
from tests.torture.feeding import Feeder, make_log, make_records
from tests.torture.hooks import Orders
from tests.torture.plan import DECISION, Fault, Size, make_plan
from tests.torture.watching import ModelLog, Progress

LOOK_EVERY = 0.1  # seconds between looks at progress and workers
STALLED_S = (
    90.0  # no commit for so long ends a run as failed: no fault here holds anybody for a third of that
)
BREAK_EVERY_S = 1.0  # between broken items while orders for the learner are due
MOST_UNASKED = 20  # workers that ended without being told to: more are no accident
SESSION_MS = 2_000  # after which a silent worker's partitions go to others
PAUSE_S = (3.0, 5.0)  # a paused worker is silent for longer than its session
BROKER_AWAY_S = (0.2, 2.0)  # from the broker's end to its next start
# A compacted log is compacted only in closed segments: small ones, and restores meet compacted logs within minutes.
SEGMENT_BYTES = 2 * 1024 * 1024
SNAPSHOTS = {"every_ms": 5_000, "entries": 300}


@dataclass(frozen=True)
class Event:
    """A fault as it happened."""

    seconds: float  # since the run began
    committed: int
    fault: Fault
    detail: str


@dataclass
class Story:
    """What happened in a run, for checks and report."""

    plan: list[Fault]
    events: list[Event] = field(default_factory=list)
    wall: dict[str, float] = field(default_factory=dict)  # seconds of each part
    not_obeyed: list[str] = field(default_factory=list)
    broker_back: list[float] = field(default_factory=list)  # when, by time.monotonic()


class Run:
    """A service of its own on ``kafka``, and what is done to it."""

    def __init__(
        self,
        size: Size,
        seed: int,
        kafka: EmbeddedKafka,
        nursery: Nursery,
        scratch: Path,
        sabotage: str | None = None,
    ) -> None:
        self.size, self.seed, self.kafka = size, seed, kafka
        self.service = make_service(size, seed, kafka.bootstrap_servers, nursery, scratch)
        self.orders = Orders(scratch / "orders")
        self._hooks = {"orders": str(scratch / "orders"), "sabotage": sabotage}
        self._chance = random.Random(seed + 1)
        self.crew = Crew(lambda instance: self.service.process(instance, hooks=self._hooks), self._chance)
        self.model_log = ModelLog(self.service.broker, self.service.topics.model_updates.name)
        self.progress = self._progress(self.service.topics)
        self.story = Story(make_plan(size, seed))
        self.began = time.monotonic()

    def torture(self) -> None:
        """Feed, break, and wait until all is committed."""
        self.began = time.monotonic()
        log = make_log(self.size, self.seed)
        self.service.load(log.items)
        feeder = Feeder(
            self.service.broker.publisher(),
            self.service.topics.events.name,
            make_records(log, self.seed),
            self.size.rate,
            lambda: self.progress.committed,
        )
        feeder.start()
        for number, fault in enumerate(self.story.plan):
            self._wait_for(fault.at, feeder)
            time.sleep(fault.delay)
            detail = self._do(number, fault)
            self.story.events.append(
                Event(round(time.monotonic() - self.began, 2), self.progress.look(), fault, detail)
            )
        self._wait_for(self.size.events, feeder)
        self._wait_for_orders()
        self.crew.stop()
        self.model_log.finish()
        self.story.not_obeyed = sorted(path.name for path in self.orders.due.iterdir())
        self.story.wall["torture"] = time.monotonic() - self.began

    def repeat_in_peace(self) -> None:
        """Let one worker process the same log, as another generation with state of its own."""
        began = time.monotonic()
        worker = self.service.process("undisturbed", kafka={"generation": 2}, worker={"micro_batch": 2_048})
        peaceful = self._progress(Topics(self.service.settings.kafka.model_copy(update={"generation": 2})))
        while peaceful.look() < self.size.events:
            assert worker.code() is None, worker.said()
            time.sleep(LOOK_EVERY)
        end(worker)
        self.story.wall["in peace"] = time.monotonic() - began

    def _progress(self, topics: Topics) -> Progress:
        return Progress(
            self.kafka.bootstrap_servers, topics.group("workers"), topics.events.name, self.size.partitions
        )

    def _wait_for(self, committed: int, feeder: Feeder) -> None:
        last, since = -1, time.monotonic()
        while (now := self.progress.look()) < committed:
            if feeder.error:
                raise feeder.error
            if now != last:
                last, since = now, time.monotonic()
            assert time.monotonic() - since < STALLED_S, (
                f"no commit for {STALLED_S:g} s at {now} of {feeder.fed} fed; workers ended: {self.crew.ends[-5:]}"
            )
            self.crew.tend()
            unasked = [end for end in self.crew.ends if end.by == "itself"]
            assert len(unasked) < MOST_UNASKED, unasked[-3:]
            time.sleep(LOOK_EVERY)

    def _wait_for_orders(self) -> None:
        """Let a learner meet the orders for it that are still due.

        The last of the log may be committed while the learner's role is between two workers; and one transaction may
        hold the dead letters of several broken items, so that each order gets another one until it is obeyed.
        """
        since, asked = time.monotonic(), 0
        while any(DECISION in path.name for path in self.orders.due.iterdir()):
            if time.monotonic() - since > STALLED_S:
                return  # a check says which they are
            self._break_an_item(f"broken-at-the-end-{(asked := asked + 1)}")
            for _ in range(round(BREAK_EVERY_S / LOOK_EVERY)):
                self.crew.tend()
                time.sleep(LOOK_EVERY)

    def _break_an_item(self, name: str) -> None:
        """Publish an item that cannot be read: the learner writes its dead letter at once."""
        self.service.publish_item(name.encode(), b"{")

    def _do(self, number: int, fault: Fault) -> str:
        match fault.kind:
            case "kill":
                return self.crew.kill()
            case "pause":
                return self.crew.pause(self._chance.uniform(*PAUSE_S))
            case "broker":
                return self._restart_broker()
            case "workers":
                self.crew.size = int(fault.what)
                self.crew.tend()
            case kind:
                self.orders.give(number, kind, fault.what)
                if fault.what.startswith(DECISION):
                    self._break_an_item(f"broken-{number}")
        return ""

    def _restart_broker(self) -> str:
        began = time.monotonic()
        self.kafka.kill()
        time.sleep(self._chance.uniform(*BROKER_AWAY_S))
        self.kafka.start()
        self.story.broker_back.append(time.monotonic())
        return f"away for {time.monotonic() - began:.1f} s"

    def close(self) -> None:
        """Give connections back."""
        self.service.close()


def end(worker: WorkerProcess) -> None:
    """Let ``worker`` end properly."""
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0, worker.said()


def make_service(size: Size, seed: int, servers: str, nursery: Nursery, scratch: Path) -> Service:
    """The service that is tortured.

    Lists and rows are small, so that time goes into what is to be shown; snapshots are frequent, so that faults meet
    them too, and the model log is trimmed behind them.
    """
    kafka: dict[str, Any] = {
        "prefix": f"torture{seed}.",
        "partitions": size.partitions,
        "librdkafka": {"heartbeat.interval.ms": "200", "session.timeout.ms": str(SESSION_MS)},
    }
    settings = KafkaSettings.model_validate(kafka)
    profiles = Topics(settings).profiles
    small = dict(profiles.settings) | {"segment.bytes": str(SEGMENT_BYTES)}
    KafkaBroker(settings, servers).create_topics([replace(profiles, settings=small)])
    return Service(
        servers,
        size.partitions,
        lambda: nursery,
        kafka=kafka,
        clustering={"k": 8},
        recommending={"k": 5},
        profiles={"history": 16},
        worker={"micro_batch": 100, "linger_ms": 20},
        snapshots={"directory": str(scratch / "snapshots"), **SNAPSHOTS},
    )
