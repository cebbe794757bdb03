"""Writing to Kafka: in transactions, and at the edge without."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from stream.broker.interface import GroupConsumer
from stream.broker.kafka_client import (
    REQUEST_TIMEOUT,
    as_shoal_error,
    client_configuration,
    configured,
    logger,
)
from stream.broker.kafka_group import KafkaGroupConsumer
from stream.config import KafkaSettings
from stream.errors import BrokerError, BrokerUnavailable, Fenced, TransactionAborted

# Seconds in which an unknown outcome must become known. The broker decides within the transaction's timeout,
# a restarted one some seconds later; after that the process has to end, since it must not guess.
OUTCOME_PATIENCE = 120.0
# Seconds that an abort waits for records under way. librdkafka ends a transaction that the broker may not
# know of yet when its first records are unanswered (its issue 4849), and cannot go on after that.
ABORT_FLUSH = 5.0
# Seconds in which a producer that is closed aborts what is open. With the broker gone nothing can be aborted: then its
# timeout, or the successor of the same name, ends the transaction there.
CLOSE_PATIENCE = 3.0
ROOM_WAIT = 0.05  # seconds to wait for room in the buffer before looking again

WRITING = {
    "acks": "all",
    # JSON and state rows shrink to a third or less, and with them disk, network and every reader's time.
    "compression.type": "lz4",
    # Only failures are reported back: a report per record would cost as much as the record.
    "delivery.report.only.error": True,
    # The limit of the topic with the largest records, dead letters; others refuse theirs from 1 MiB on.
    "message.max.bytes": 2 * 1_048_576,
    # With librdkafka's "rebootstrap" a producer whose brokers were all away forgets the group's coordinator, and
    # offsets that it was adding to a transaction stay under way for ever (its issues 5456 and 5511). Not for other
    # clients: without it an AdminClient waits for a controller that has gone.
    "metadata.recovery.strategy": "none",
}


class KafkaTransactionalProducer:
    """A ``TransactionalProducer`` on Kafka. Used by one thread at a time."""

    def __init__(self, settings: KafkaSettings, bootstrap_servers: str, transactional_id: str) -> None:
        self._id = transactional_id
        self._open = False
        self._refusal: BrokerError | None = None  # why nothing more can be done with it
        self._timeout = settings.transaction_timeout_ms / 1000
        own = WRITING | {
            "transactional.id": transactional_id,
            "transaction.timeout.ms": settings.transaction_timeout_ms,
        }
        with configured(settings):
            self._configuration = client_configuration(settings, bootstrap_servers, own)
            self._producer = Producer(self._configuration)
        self._insist("opening", self._producer.init_transactions, REQUEST_TIMEOUT)

    def begin(self) -> None:
        """See ``TransactionalProducer.begin``."""
        self._check(open_=False)
        self._insist("beginning", lambda _timeout: self._producer.begin_transaction(), 0)
        self._open = True

    def send(
        self,
        topic: str,
        partitions: npt.NDArray[np.int32] | int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
    ) -> None:
        """See ``TransactionalProducer.send``."""
        self._check(open_=True)
        produce = self._producer.produce
        wanted = np.broadcast_to(partitions, len(values)).tolist()
        try:
            for partition, key, value in zip(wanted, keys, values, strict=True):
                while True:
                    try:
                        produce(topic, value, key, partition)
                        break
                    except BufferError:
                        self._producer.poll(ROOM_WAIT)
        except KafkaException as error:
            self._fail(error, f"writing to {topic}")
        self._producer.poll(0)

    def send_offsets(self, consumer: GroupConsumer, offsets: Mapping[int, int]) -> None:
        """See ``TransactionalProducer.send_offsets``."""
        if not isinstance(consumer, KafkaGroupConsumer):
            raise TypeError("a consumer of this broker is needed")
        self._check(open_=True)
        try:
            proof = consumer.membership(offsets)
        except TransactionAborted:
            self.abort()
            raise
        # Once the offsets are with the broker, this member may be declared dead, and its successor restores what
        # the logs hold: rows still under way here would be missed, and then committed after all.
        self._insist("writing records of", self._flush, OUTCOME_PATIENCE)
        positions = [TopicPartition(consumer.topic, p, offset) for p, offset in offsets.items()]
        self._insist(
            "adding offsets to", lambda _timeout: self._add_offsets(positions, proof), OUTCOME_PATIENCE
        )

    def _add_offsets(self, positions: list[TopicPartition], proof: Any) -> None:
        """Add offsets, within the transaction's own time, after which it is aborted anyway.

        In a thread, since librdkafka's call never returns where the broker that coordinates the group has gone, and
        heeds no time limit (its issues 5456 and 5511). That thread is left behind with its producer.
        """
        producer, raised = self._producer, list[BaseException]()

        def add() -> None:
            try:
                producer.send_offsets_to_transaction(positions, proof, self._timeout)
            except BaseException as error:  # noqa: BLE001 - raised below
                raised.append(error)

        thread = threading.Thread(target=add, name="offsets", daemon=True)
        thread.start()
        thread.join(self._timeout)
        if thread.is_alive():
            self._replace()
            raise TransactionAborted(
                f"no answer for {self._timeout:g} s to the offsets in a transaction of {self._id}: the broker that "
                "coordinates the group has gone"
            )
        if raised:
            raise raised[0]

    def _replace(self) -> None:
        """Go on with a new producer of the same name, which ends what this one has left open."""
        self._open = False
        self._refusal = BrokerUnavailable(f"no producer could be opened again for {self._id}")
        self._producer = Producer(self._configuration)
        self._insist("opening", self._producer.init_transactions, OUTCOME_PATIENCE)
        self._refusal = None

    def commit(self) -> None:
        """See ``TransactionalProducer.commit``."""
        self._check(open_=True)
        # Without a time limit librdkafka takes what is left of the transaction's own, as it recommends.
        try:
            self._insist(
                "committing", lambda _timeout: self._producer.commit_transaction(-1), OUTCOME_PATIENCE
            )
        except BrokerUnavailable as away:
            # An abort could only be refused now, or come true beside a commit that is believed in.
            self._open = False
            self._refusal = BrokerUnavailable(
                f"{away}. Whether it has taken effect is not known here, so this process has to end; the next one "
                "finds it as it is"
            )
            raise self._refusal from away
        self._open = False

    def abort(self) -> None:
        """See ``TransactionalProducer.abort``."""
        self._check(open_=True)
        try:
            self._abort(OUTCOME_PATIENCE)
        except (BrokerUnavailable, Fenced):
            raise
        except BrokerError as error:
            # As when the broker was restarted and does not know of the transaction (librdkafka's issue 4849).
            logger.warning("%s; going on with a new producer", error)
            self._replace()

    def _abort(self, patience: float) -> None:
        self._producer.flush(min(ABORT_FLUSH, patience))
        self._insist("aborting", self._producer.abort_transaction, patience)
        self._open = False

    def _flush(self, timeout: float) -> None:
        if left := self._producer.flush(timeout):
            raise BrokerUnavailable(f"{left} records of {self._id} could not be stored within {timeout:g} s")

    def _insist(self, what: str, call: Callable[[float], Any], patience: float) -> None:
        """Do ``call`` until it succeeds or fails for good; librdkafka resumes what had not finished."""
        deadline = time.monotonic() + patience
        while True:
            try:
                call(max(1.0, deadline - time.monotonic()))
                return
            except KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() >= deadline:
                    self._fail(error, f"{what} a transaction of {self._id}")
                logger.warning("%s a transaction: %s; trying again", what, error.args[0].str())

    def _fail(self, error: KafkaException, what: str) -> None:
        """Raise what ``error`` means; a transaction that has to be aborted is aborted first."""
        cause: KafkaError = error.args[0]
        meaning = as_shoal_error(cause, what)
        if isinstance(meaning, TransactionAborted):
            self.abort()
        elif cause.fatal() or isinstance(meaning, Fenced):
            self._refusal = meaning
            self._open = False
        raise meaning from error

    def _check(self, open_: bool) -> None:
        if self._refusal:
            raise self._refusal
        if self._open != open_:
            raise BrokerError("no transaction is open" if open_ else "a transaction is open already")

    def close(self) -> None:
        """See ``TransactionalProducer.close``."""
        if self._open and not self._refusal:
            try:
                self._abort(CLOSE_PATIENCE)
            except BrokerUnavailable as away:
                logger.warning("an open transaction is left to its timeout: %s", away)
                self._producer.purge()
        self._open = False
        self._refusal = self._refusal or BrokerError(f"the producer {self._id} is closed")


class KafkaPublisher:
    """A ``Publisher`` on Kafka. Used by one thread at a time."""

    def __init__(self, settings: KafkaSettings, bootstrap_servers: str) -> None:
        self._failure: KafkaError | None = None
        self._closed = False
        own = WRITING | {
            "enable.idempotence": True,
            # As Kafka's own clients do, so that a user's events come together whoever sends them.
            "partitioner": "murmur2_random",
            # How long a record waits for company. Below 5 ms batches are small, and broker and network busy.
            "linger.ms": 10,
        }
        with configured(settings):
            self._producer = Producer(client_configuration(settings, bootstrap_servers, own))

    def send(self, topic: str, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> None:
        """See ``Publisher.send``."""
        if self._closed:
            raise BrokerError("this publisher is closed")
        produce = self._producer.produce
        try:
            for key, value in zip(keys, values, strict=True):
                while True:
                    try:
                        produce(topic, value, key, on_delivery=self._reported)
                        break
                    except BufferError:
                        self._producer.poll(ROOM_WAIT)
                        self._raise_failure(topic)
        except KafkaException as error:
            raise as_shoal_error(error.args[0], f"writing to {topic}") from error
        self._producer.poll(0)
        self._raise_failure(topic)

    def _reported(self, error: KafkaError | None, _message: Message) -> None:
        self._failure = self._failure or error

    def _raise_failure(self, topic: str = "") -> None:
        failure, self._failure = self._failure, None
        if failure:
            raise as_shoal_error(failure, f"an earlier record could not be written {topic}".strip())

    def flush(self, timeout: float) -> None:
        """See ``Publisher.flush``."""
        left = self._producer.flush(timeout)
        self._raise_failure()
        if left:
            raise BrokerUnavailable(f"{left} records could not be stored within {timeout:g} s")

    def close(self) -> None:
        """See ``Publisher.close``."""
        if not self._closed:
            self._closed = True
            self.flush(REQUEST_TIMEOUT)
