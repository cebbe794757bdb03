"""The worker: events in, lists out, exactly once.

One thread, one round after the other: collect a batch, run the pipeline, commit everything in one
transaction, fold the model log, decide if the learner's role is here. What a commit holds, in its order,
stands in ``_commit``.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing

import numpy as np
import numpy.typing as npt
import structlog

from consumers.following import CatalogueFollower, EntryWriter, ModelFollower, coordinates
from consumers.learner import LearnerRole
from stream.broker.interface import Broker, Records
from stream.broker.topics import Topics, ensure_topics
from stream.catalogue import Catalogue
from stream.clock import Clock
from stream.config import Settings
from stream.encoder import TextEncoder
from stream.errors import TransactionAborted
from stream.events.dead_letters import dead_letter_record
from stream.hashing import HashIndex
from stream.model import Model
from stream.pipeline import Outcome, Pipeline
from stream.profiles.layout import RowLayout
from stream.profiles.table import ProfileTable

log = structlog.get_logger()

# How long one look for events waits when there are none; also how late a stop signal may be noticed.
IDLE_S = 0.2
# A changelog that brings nothing for so long, while it must, belongs to a broker that is away.
SILENCE_S = 60.0
# How long a worker waits to read its own delta before it makes the next lists without. It comes within
# milliseconds, unless another worker died in an open transaction and holds the log back.
OWN_DELTA_S = 1.0
# Idle profiles are looked for this often: a look reads the time of every row, and who is idle for a year can wait.
SWEEP_EVERY_S = 600.0


class Worker:
    """One member of the group that shares the partitions of ``events``. Also the listener of its assignment."""

    def __init__(
        self,
        settings: Settings,
        broker: Broker,
        encoder: TextEncoder,
        clock: Clock,
        on_commit: Callable[[Outcome], None] = lambda _: None,
    ) -> None:
        self.settings, self.broker, self.clock = settings, broker, clock
        self.topics = Topics(settings.kafka)
        self._on_commit = on_commit
        ensure_topics(broker, self.topics, settings.kafka)
        index = HashIndex()
        self.catalogue = Catalogue(index, encoder.dimensions)
        self.model = Model(settings, index, encoder.dimensions)
        self.profiles = ProfileTable(
            RowLayout.of(
                settings.profiles,
                settings.recommending.k,
                encoder.dimensions,
                encoder.encoder_id,
                settings.kafka.generation,
            )
        )
        self.pipeline = Pipeline(settings, encoder, self.catalogue)
        self._epochs: dict[int, int] = {}  # of the partitions assigned now
        self._epoch = 0
        self._collected: list[Records] = []
        self._active_at = clock.monotonic()  # when records were last taken in, or partitions restored
        self._swept_at = clock.monotonic()
        self._own = -1  # number of the last entry of ours that stands in the model log
        instance = settings.worker.instance
        # First of all: it fences a predecessor of the same name, and ends what that left open.
        self._producer = broker.transactional_producer(self.topics.transactional_id(instance))
        self._items = CatalogueFollower(broker, self.topics, self.catalogue)
        self._model_log = ModelFollower(broker, self.topics, self.model)
        self._entries = EntryWriter(f"{instance}/{uuid.uuid4().hex[:12]}")
        self._catch_up()
        # Members of groups last: from here on they have to be polled.
        self._learner = LearnerRole(settings, broker, self.topics, self.catalogue, self._entries, clock)
        self._consumer = broker.subscribe(self.topics.events.name, self.topics.group("workers"), self)

    def run(self, stop: threading.Event, idle_s: float | None = None) -> None:
        """Work until ``stop`` is set, or until no event has come for ``idle_s`` seconds.

        Raises whatever stops the work, BrokerError above all. State is as of the last commit then, in the log
        and here, but an assignment may have been cut short: the caller closes, and starts a new worker to go
        on.
        """
        self._active_at = self.clock.monotonic()
        while not stop.is_set():
            self.step()
            if idle_s is not None and self.clock.monotonic() - self._active_at > idle_s:
                return

    def step(self) -> int:
        """One round; how many records it took in."""
        records = self._collect()
        self._items.poll()
        self.pipeline.encode_catalogue()
        if len(records):
            self._process(records)
            self._active_at = self.clock.monotonic()
        else:
            self._model_log.poll(0.0)
        self._decide()
        return len(records)

    def close(self) -> None:
        """Leave the groups and give connections back; what was collected and not committed is read by others.

        All of it is tried, also where a part fails; raises what the first failing one raised.
        """
        failures: list[Exception] = []
        for part in (self._consumer, self._learner, self._producer, self._model_log, self._items):
            try:
                part.close()
            except Exception as failure:  # noqa: BLE001 - raised below, or said here
                log.error("closing failed", part=type(part).__name__, error=str(failure))
                failures.append(failure)
        if failures:
            raise failures[0]

    def lag(self) -> int:
        """Records of the assigned partitions that are not processed yet."""
        return sum(self._consumer.lag().values())

    def assigned(self, partitions: Sequence[int]) -> None:
        """Restore the profiles of ``partitions`` from the changelog, to its end."""
        started = self.clock.monotonic()
        before = len(self.profiles)
        with closing(
            self.broker.reader(self.topics.profiles.name, dict.fromkeys(partitions, 0))
        ) as changelog:
            for records in changelog.read_to_end(SILENCE_S):
                for partition in np.unique(records.partition):
                    part = records.select(records.partition == partition)
                    self.profiles.restore(int(partition), part.keys, part.values)
        self._epoch += 1
        self._epochs.update(dict.fromkeys(partitions, self._epoch))
        self._active_at = self.clock.monotonic()
        log.info(
            "partitions assigned",
            partitions=list(partitions),
            profiles=len(self.profiles) - before,
            seconds=round(self.clock.monotonic() - started, 2),
        )

    def revoked(self, partitions: Sequence[int]) -> None:
        """Let go of ``partitions``: what is collected of them is left to the next owner, who reads it again."""
        gone = list(partitions)
        self._collected = [r.select(~np.isin(r.partition, gone)) for r in self._collected]
        for partition in gone:
            self._epochs.pop(partition, None)
        self.profiles.drop(gone)
        log.info("partitions revoked", partitions=gone)

    def lost(self, partitions: Sequence[int]) -> None:
        """As ``revoked``: nothing uncommitted is kept in either case."""
        self.revoked(partitions)

    def _catch_up(self) -> None:
        self._items.catch_up()
        encoded = self.pipeline.encode_catalogue()
        self._model_log.catch_up()
        log.info("caught up", items=len(self.catalogue), encoded=encoded, model_version=self.model.version)

    def _collect(self) -> Records:
        """A batch: full, or open for the linger time, or nothing after a short wait."""
        worker = self.settings.worker
        closes: float | None = None
        while True:
            room = worker.micro_batch - sum(map(len, self._collected))
            left = IDLE_S if closes is None else closes - self.clock.monotonic()
            if room <= 0 or left <= 0:
                break
            got = self._consumer.poll(room, left)
            if len(got):
                self._collected.append(got)
                closes = closes or self.clock.monotonic() + worker.linger_ms / 1000
            elif closes is None:
                break
        batch, self._collected = Records.concat(self.topics.events.name, self._collected), []
        return batch

    def _process(self, records: Records) -> None:
        self.profiles.begin()
        try:
            outcome = self.pipeline(records, self._epochs, self.profiles, self.model)
            idle = self._sweep(outcome)
            self._commit(records, outcome, idle)
        except TransactionAborted as aborted:
            self.profiles.rollback()
            log.warning("commit aborted; the batch will be read again", reason=str(aborted))
            first = records.first_offsets()
            self._consumer.seek({p: first[p] for p in first if p in self._consumer.assignment()})
            return
        except BaseException:
            self.profiles.rollback()
            raise
        self.profiles.commit()
        if len(idle):
            self.profiles.forget(idle)
        self._fold_own()
        self._on_commit(outcome)

    def _sweep(self, outcome: Outcome) -> npt.NDArray[np.int64]:
        """Rows of users who have been idle for too long, now and then; tombstones end them in the changelog."""
        if self.clock.monotonic() - self._swept_at < SWEEP_EVERY_S:
            return np.empty(0, np.int64)
        self._swept_at = self.clock.monotonic()
        idle = np.setdiff1d(self.profiles.idle(self.settings.profiles.ttl_ms), outcome.touched.rows)
        log.info("idle profiles forgotten", profiles=len(idle))
        return idle

    def _commit(self, records: Records, outcome: Outcome, idle: npt.NDArray[np.int64]) -> None:
        """One transaction: lists, profile rows, dead letters, consumed offsets, and last the delta."""
        topics, touched, producer = self.topics, outcome.touched, self._producer
        users: list[bytes | None] = [outcome.events.user_id[i].encode() for i in touched.last_event]
        dead = outcome.dead
        producer.begin()
        producer.send(topics.recommendations.name, touched.partition, users, list(outcome.lists))
        producer.send(
            topics.profiles.name,
            touched.partition,
            self.profiles.keys(touched.rows),
            self.profiles.serialise(touched.rows),
        )
        producer.send(
            topics.profiles.name, self.profiles.partitions(idle), self.profiles.keys(idle), [None] * len(idle)
        )
        producer.send(
            topics.dead_letters.name,
            0,
            [coordinates(records, letter.row) for letter in dead],
            [dead_letter_record(records, letter) for letter in dead],
        )
        producer.send_offsets(self._consumer, records.next_offsets())
        parts = self._entries.parts(outcome.delta)
        producer.send(topics.model_updates.name, 0, [None] * len(parts), parts)
        producer.commit()

    def _decide(self) -> None:
        """Write all decisions that are due, if the learner's role is here, each made on what came of the one before."""
        if not self._learner.is_here():
            return
        # A model without what was written last would lead to the same decision again.
        while self._model_log.has(self._entries.sender, self._own):
            if not self._learner.act(self._producer, self.model, self._items):
                return
            self._fold_own()

    def _fold_own(self) -> None:
        """Fold up to what was committed just now."""
        self._own = self._entries.sequence
        if not self._model_log.wait_for(self._entries.sender, self._own, self.clock, OWN_DELTA_S):
            log.warning("own delta not read back yet; the model log is held back", version=self.model.version)
