"""The worker: events in, lists out, exactly once.

Two threads. This one polls, commits, and never waits for long, or the group would take its partitions away. The other,
behind a ``Lane``, owns catalogue, model and profiles (``Processor``) and does one job at a time: process a batch,
settle what became of its transaction, restore partitions. One batch is under way; the next collects meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np
import structlog

from consumers.collecting import Collector
from consumers.committing import Batch, BatchTransaction, Transaction, commit
from consumers.lane import Lane
from consumers.lifecycle import Closable, close_all, start_processor
from consumers.processing import Moves, Restored
from consumers.roles import Role
from stream.broker.interface import Broker
from stream.broker.topics import Topics, ensure_topics
from stream.clock import Clock
from stream.config import Settings
from stream.encoder import TextEncoder
from stream.errors import BrokerError, TransactionAborted
from stream.model import Model
from stream.pipeline import Outcome
from stream.profiles.table import ProfileTable

log = structlog.get_logger()

# How long one look for events waits when there are none; also how late a stop signal may be noticed.
IDLE_S = 0.2
# How often this thread polls while the other works; also how late a rebalance may be noticed then.
BUSY_S = 0.01
# How long partitions that are to go wait for their batch under way: one takes well under a second, unless it stands
# still, and then others should not wait for it. At most half of kafka.max_poll_interval_ms.
REVOKE_S = 5.0
# A rebalance or a restart of the broker aborts a commit or two. More in a row have a reason that stays, such as a list
# larger than its topic takes, and doing the same again does not help.
MOST_ABORTS = 10
# How long a stop waits for the batch under way before it leaves it to the next owner.
STOP_S = 10.0


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
        worker = settings.worker
        self._epochs: dict[int, int] = {}  # of the partitions assigned now
        self._epoch = 0
        self._restored: set[int] = set()  # of these; the others wait for their profiles
        self._gone: list[int] = []  # partitions that the processor has to hear of, and those that came
        self._came: dict[int, int] = {}
        self._held: set[int] = set()  # paused
        self._collector = Collector(self.topics.events.name, worker.micro_batch, worker.linger_ms / 1000)
        self._batch: Batch | None = None  # under way
        self._idle = False  # whether there is nothing under way that somebody waits for
        self._aborts = 0  # of commits, one after the other
        self._closing = False
        self._active_at = clock.monotonic()  # when something last happened
        # First of all: it fences a predecessor of the same name, and ends what that left open.
        self._producer = broker.transactional_producer(self.topics.transactional_id(worker.instance))
        self._lane: Lane[Transaction | Restored | None] = Lane("processing")
        # Members of groups have to be polled. The encoders' is needed to catch up; of the others those that have.
        instance = worker.instance if settings.kafka.static_membership else None
        group = self.topics.group
        self._encoders = Role(broker, self.topics.items.name, group("encoders"), instance, "encoder")
        self._processor = start_processor(
            settings, broker, self.topics, encoder, clock, self._encoders, self._lane
        )
        self._learner = Role(broker, self.topics.model_updates.name, group("learner"), instance, "learner")
        positions = self._processor.positions()
        self._consumer = broker.subscribe(
            self.topics.events.name, group("workers"), self, start=positions, instance=instance
        )

    @property
    def model(self) -> Model:
        """The model as folded now. The processing thread's: to be read while it rests."""
        return self._processor.model

    @property
    def profiles(self) -> ProfileTable:
        """The profiles of the partitions here. The processing thread's: to be read while it rests."""
        return self._processor.profiles

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
                break
        self._finish_within(STOP_S)

    def step(self) -> bool:
        """One turn: poll, commit what is ready, begin what is due; whether anything is under way."""
        had_work = not self._idle
        self._encoders.attend()
        rested = self._poll()
        if self._lane.busy and self._lane.wait(BUSY_S):
            self._finish()
        if not self._lane.busy:
            self._begin(rested)
        busy = had_work or not self._idle or len(self._collector) > 0
        if busy:
            self._active_at = self.clock.monotonic()
        return busy

    def close(self) -> None:
        """Leave the groups and give connections back; what is not committed is read by others.

        All of it is tried, also where a part fails; raises what the first failing one raised.
        """
        self._closing = True
        parts: list[Closable] = [
            self._consumer,
            self._learner,
            self._encoders,
            self._producer,
            self._processor,
        ]
        if self._lane.busy and not self._lane.wait(STOP_S):
            parts.pop()  # the other thread stands still in what it does, and its connections are its own
        failures = close_all(parts)
        self._lane.close()
        if failures:
            raise failures[0]

    def lag(self) -> int:
        """Records of the assigned partitions that are not committed yet."""
        under_way = len(self._batch.records) if self._batch else 0
        return sum(self._consumer.lag().values()) + len(self._collector) + under_way

    def assigned(self, partitions: Sequence[int]) -> None:
        """Let ``partitions`` wait until their profiles are restored."""
        self._epoch += 1
        came = dict.fromkeys(partitions, self._epoch)
        self._epochs.update(came)
        self._came.update(came)
        self._held.difference_update(partitions)  # whatever was paused in an earlier epoch
        self._hold()
        log.info("partitions assigned", partitions=list(partitions))

    def revoked(self, partitions: Sequence[int]) -> None:
        """Let go of ``partitions``: what is not committed of them is left to the next owner, who reads it again."""
        try:
            if self._batch is not None and not self._closing and self._batch.epochs.keys() & set(partitions):
                self._finish_within(min(REVOKE_S, self.settings.kafka.max_poll_interval_ms / 2000))
        finally:
            self.lost(partitions)

    def lost(self, partitions: Sequence[int]) -> None:
        """As ``revoked``, but nothing can be committed for ``partitions`` any more."""
        gone = list(partitions)
        self._collector.discard(gone)
        for partition in gone:
            self._epochs.pop(partition, None)
            self._came.pop(partition, None)
        self._restored.difference_update(gone)
        self._held.difference_update(gone)
        self._gone += gone
        log.info("partitions revoked", partitions=gone)

    def _poll(self) -> bool:
        """Read what has come, wait for it only where there is nothing else to do; whether it waited in vain."""
        wait = 0.0
        if not self._lane.busy:
            wait = min(IDLE_S, self._collector.due_in(self.clock.monotonic()))
        records = self._consumer.poll(self._collector.room(), wait)
        self._collector.add(records)
        self._hold()
        return wait > 0 and not len(records)

    def _hold(self) -> None:
        """Pause what waits for its profiles, and all while too much waits; resume the rest."""
        full = self._collector.is_full()
        wanted = set(self._epochs) if full else self._epochs.keys() - self._restored
        if pause := wanted - self._held:
            self._consumer.pause(sorted(pause))
        if resume := self._held - wanted:
            self._consumer.resume(sorted(resume))
        self._held = wanted

    def _begin(self, rested: bool) -> None:
        """Give the other thread what is to be done next, if anything is."""
        self._idle = False
        now = self.clock.monotonic()
        if self._gone or self._came:
            moves = Moves(self._gone, self._came)
            self._gone, self._came = [], {}
            self._lane.start(lambda: self._processor.move(moves))
        elif self._collector.due_in(now) == 0:
            records = self._collector.take(now)
            partitions = np.unique(records.partition).tolist()
            epochs = {p: self._epochs[p] for p in partitions}
            batch = self._batch = Batch(records, epochs, self._consumer.take_skipped())
            self._lane.start(lambda: self._processor.process(batch))
        elif self._epochs.keys() != self._restored:
            self._lane.start(self._processor.restore)
        else:
            self._idle = True
            decide = bool(self._learner.attend())
            if rested:
                self._lane.start(lambda: self._processor.attend(decide))

    def _finish(self) -> None:
        """Take what the other thread has done: commit it, or process partitions that are restored."""
        done = self._lane.result()
        if isinstance(done, Restored):
            self._restored |= {p for p, epoch in done.epochs.items() if self._epochs.get(p) == epoch}
            # What has gathered in the log meanwhile comes in full batches.
            self._collector.pace(self.clock.monotonic())
            self._hold()
        elif done is not None:
            self._commit(done)

    def _finish_within(self, seconds: float) -> None:
        """Wait for what is under way, and commit it, unless it takes longer."""
        deadline = self.clock.monotonic() + seconds
        while self._lane.busy and not self._idle:
            if not self._lane.wait(max(0.0, deadline - self.clock.monotonic())):
                log.warning("what is under way is not waited for any longer", seconds=seconds)
                return
            self._finish()

    def _commit(self, transaction: Transaction) -> None:
        """Commit ``transaction`` if all of its partitions are here as they were; let the processor know."""
        self._idle = False
        batch, self._batch = self._batch, None
        try:
            committed = (batch is None or self._is_current(batch)) and self._takes_effect(transaction)
        except BaseException:
            self._settle(transaction, False)
            self._lane.wait(STOP_S)
            raise
        if batch is not None and not committed:
            mine = [self._epochs.get(p) == epoch for p, epoch in batch.epochs.items()]
            kept = [p for p, current in zip(batch.epochs, mine, strict=True) if current]
            self._collector.put_back(batch.records.select(np.isin(batch.records.partition, kept)))
        self._settle(transaction, committed)
        if committed and isinstance(transaction, BatchTransaction):
            self._on_commit(transaction.outcome)

    def _takes_effect(self, transaction: Transaction) -> bool:
        """Write ``transaction``; whether it was committed, and not aborted.

        Raises BrokerError where one after the other is aborted, and what ``commit`` raises else.
        """
        consumer = self._consumer if isinstance(transaction, BatchTransaction) else self._learner.member
        try:
            commit(self._producer, consumer, transaction)
        except TransactionAborted as aborted:
            self._aborts += 1
            log.warning("commit aborted; it is done again", reason=str(aborted))
            if self._aborts > MOST_ABORTS:
                raise BrokerError(
                    f"{self._aborts} commits one after the other were aborted, the last one since: {aborted}"
                ) from aborted
            return False
        self._aborts = 0
        return True

    def _settle(self, transaction: Transaction, committed: bool) -> None:
        decide = committed and bool(self._learner.attend())
        self._lane.start(lambda: self._processor.settle(transaction, committed, decide))

    def _is_current(self, batch: Batch) -> bool:
        """Whether nothing of ``batch`` went to another worker since, not even for a while."""
        return all(self._epochs.get(p) == epoch for p, epoch in batch.epochs.items())
