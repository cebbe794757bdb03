"""What a worker of these tests does besides its work: it dies or aborts where it is told to, in the middle of a commit.

Orders are files in a directory that all workers share, named ``<number>.<crash or abort>@<step>``. The worker that
reaches the step first takes the order by moving the file, so that each is obeyed once. None of this is in the code
that is tested: it stands between the worker and its broker.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stream.broker.interface import Records
from stream.broker.kafka import KafkaBroker
from stream.broker.kafka_group import KafkaGroupConsumer
from stream.config import KafkaSettings
from stream.errors import TransactionAborted
from stream.profiles.table import ProfileTable


class Orders:
    """The directory of what is to be done, and beside it that of what was done."""

    def __init__(self, directory: Path) -> None:
        self.due, self.done = directory / "due", directory / "done"
        for one in (self.due, self.done):
            one.mkdir(parents=True, exist_ok=True)

    def give(self, number: int, what: str, step: str) -> None:
        """``what`` is crash or abort."""
        (self.due / f"{number:04d}.{what}@{step}").touch()

    def take(self, step: str) -> str | None:
        """What is to be done at ``step`` now, if anything is."""
        for name in sorted(os.listdir(self.due)):
            if name.endswith(f"@{step}"):
                try:
                    (self.due / name).rename(self.done / name)
                except FileNotFoundError:  # another worker was faster
                    continue
                return name.partition(".")[2].partition("@")[0]
        return None


class HookedProducer:
    """A transactional producer that asks for orders before every step."""

    def __init__(self, inner: Any, orders: Orders, offsets_in_transaction: bool) -> None:
        self._inner, self._orders = inner, orders
        self._offsets_in_transaction = offsets_in_transaction
        self._of_batch: bool | None = (
            None  # whether the open transaction is a batch's; None: nothing sent yet
        )

    def begin(self) -> None:
        self._of_batch = None
        self._inner.begin()

    def send(self, topic: str, *columns: Any) -> None:
        name = topic.rsplit(".", 1)[-1]
        if self._of_batch is None:
            self._of_batch = name == "recommendations"
        self._reach(name)
        self._inner.send(topic, *columns)

    def send_offsets(self, consumer: Any, offsets: Mapping[int, int]) -> None:
        self._reach("send_offsets")
        if self._offsets_in_transaction or not self._of_batch:
            self._inner.send_offsets(consumer, offsets)

    def commit(self) -> None:
        self._reach("commit")
        self._inner.commit()
        self._reach("committed")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _reach(self, step: str) -> None:
        order = self._orders.take(step if self._of_batch else f"decision:{step}")
        if order == "crash":
            self._inner._producer.flush(5)  # what was sent is at the broker, and the transaction open there
            os.kill(os.getpid(), signal.SIGKILL)
        elif order == "abort":
            self._inner.abort()
            raise TransactionAborted(f"aborted at {step}, as ordered")


class HookedBroker(KafkaBroker):
    """A ``KafkaBroker`` whose producers obey orders, and which can be sabotaged: see ``SABOTAGE``."""

    def __init__(self, settings: KafkaSettings, servers: str, orders: Path, sabotage: str | None) -> None:
        super().__init__(settings, servers)
        self._orders = Orders(orders)
        self._sabotage = sabotage
        if sabotage == "no-rollback":
            ProfileTable.rollback = ProfileTable.commit  # type: ignore[method-assign]

    def transactional_producer(self, transactional_id: str) -> Any:
        inner = super().transactional_producer(transactional_id)
        return HookedProducer(inner, self._orders, self._sabotage != "early-offsets")

    def subscribe(self, topic: str, *others: Any, **named: Any) -> KafkaGroupConsumer:
        consumer = super().subscribe(topic, *others, **named)
        if self._sabotage == "early-offsets" and topic.endswith("events"):
            commit_when_read(consumer)
        return consumer


# Ways of breaking Shoal that the checks have to notice.
SABOTAGE = {
    "early-offsets": "offsets are committed when records are read, before they are processed",
    "no-rollback": "an abort leaves the profiles as they are",
}


def commit_when_read(consumer: KafkaGroupConsumer) -> None:
    """Let ``consumer`` commit what it reads at once, as a client with auto-commit does."""
    from confluent_kafka import TopicPartition

    poll = consumer.poll

    def committing(max_records: int, timeout: float) -> Records:
        records = poll(max_records, timeout)
        if len(records):
            positions = [TopicPartition(consumer.topic, p, o) for p, o in records.next_offsets().items()]
            consumer._consumer.commit(offsets=positions, asynchronous=False)
        return records

    consumer.poll = committing  # type: ignore[method-assign]
