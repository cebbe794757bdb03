"""What one commit writes, ready to be sent, and the order in which it is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from stream.broker.interface import GroupConsumer, Records, TransactionalProducer
from stream.entries import Decision
from stream.pipeline import Outcome


@dataclass(frozen=True, slots=True)
class Batch:
    """Records to be processed together, and the epoch in which each of their partitions was assigned."""

    records: Records
    epochs: Mapping[int, int]
    skipped: int = 0  # records that were gone before they could be read, since the batch before


@dataclass(frozen=True, slots=True)
class Output:
    """Records for one topic: n of them, each to the partition of that number."""

    topic: str
    partitions: npt.NDArray[np.int32] | int
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]


@dataclass(frozen=True, slots=True)
class Transaction:
    """What takes effect as a whole. Everything is serialised by now, so that it is open for milliseconds."""

    outputs: list[Output]
    offsets: Mapping[int, int]  # of the group whose member reads what led to this
    entry: Output  # the parts of the delta or decision
    sequence: int  # of the entry among those of this process


@dataclass(frozen=True, slots=True)
class BatchTransaction(Transaction):
    """What became of a batch of events."""

    batch: Batch
    outcome: Outcome
    idle: npt.NDArray[np.int64] = field(
        default_factory=lambda: np.empty(0, np.int64)
    )  # rows that end with it


@dataclass(frozen=True, slots=True)
class DecisionTransaction(Transaction):
    """A decision of the learner, or dead letters alone."""

    decision: Decision | None
    letters: Sequence[bytes]  # keys of the dead letters in it


def commit(producer: TransactionalProducer, consumer: GroupConsumer, transaction: Transaction) -> None:
    """Write all of ``transaction``: outputs, then offsets, last the entry.

    The model log has one partition for all workers, and its readers wait for an open transaction that has written
    there: so the entry comes last. Raises TransactionAborted, Fenced, BrokerError as the producer does.
    """
    producer.begin()
    for output in transaction.outputs:
        producer.send(output.topic, output.partitions, output.keys, output.values)
    producer.send_offsets(consumer, transaction.offsets)
    entry = transaction.entry
    producer.send(entry.topic, entry.partitions, entry.keys, entry.values)
    producer.commit()
