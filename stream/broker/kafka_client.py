"""What every client of Kafka here has in common: configuration, logging, and the translation of errors."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from stream.config import KafkaSettings
from stream.errors import (
    BrokerError,
    BrokerUnavailable,
    ConfigError,
    Fenced,
    OffsetOutOfRange,
    TopicMismatch,
    TransactionAborted,
)

logger = logging.getLogger("stream.kafka")
# librdkafka says the same thing at every attempt to reconnect; once in so many seconds is enough.
REPEAT_AFTER = 10.0


class LogFilter(logging.Filter):
    """Drops what librdkafka repeats, and its warnings of settings for another kind of client.

    The user's settings go to consumers and producers alike, and it warns of each that is not for both.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last_said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether ``record`` is new. Messages that differ only in numbers are the same."""
        message = re.sub(r"\d+", "", record.getMessage())
        if "property and will be ignored by this" in message:
            return False
        if record.created - self._last_said.get(message, -REPEAT_AFTER) < REPEAT_AFTER:
            return False
        # Bounded by what librdkafka can say, but host names are in it too.
        if len(self._last_said) >= 1_000:
            self._last_said.clear()
        self._last_said[message] = record.created
        return True


logger.addFilter(LogFilter())

# Waiting for an answer to a request that has no time limit of its own, in seconds. A healthy broker answers
# in milliseconds, one that is being restarted in ten seconds.
REQUEST_TIMEOUT = 30.0

UNAVAILABLE = {
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
    KafkaError._TIMED_OUT_QUEUE,
    KafkaError._MSG_TIMED_OUT,
    KafkaError._RESOLVE,
    KafkaError._WAIT_COORD,
    KafkaError._DESTROY_BROKER,  # the client dropped the connection it was asking on: a broker has gone
    KafkaError._NOENT,  # no partition has a leader, as just after a restart
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.NOT_COORDINATOR,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.FENCED_LEADER_EPOCH,  # of two brokers, one has not heard yet who leads now
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.BROKER_NOT_AVAILABLE,
}
FENCED = {
    KafkaError._FENCED,
    KafkaError.FENCED_INSTANCE_ID,
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.TRANSACTION_COORDINATOR_FENCED,
}
GONE = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}
NO_TOPIC = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.UNKNOWN_TOPIC_ID,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
}


def client_configuration(
    settings: KafkaSettings, bootstrap_servers: str, own: Mapping[str, Any]
) -> dict[str, Any]:
    """Configuration of one librdkafka client: what all share, ``own`` over it, the user's over both."""
    configuration = {
        "bootstrap.servers": bootstrap_servers,
        "client.id": settings.prefix.rstrip(".") or "shoal",
        # A broker that was restarted is found again in a second, not in librdkafka's ten.
        "reconnect.backoff.max.ms": 1_000,
        "logger": logger,
        **own,
    }
    configuration |= {key: value.get_secret_value() for key, value in settings.librdkafka.items()}
    if configuration.get("group.protocol") == "consumer":
        # With KIP-848 the broker assigns and keeps time; librdkafka refuses these.
        for name in ("partition.assignment.strategy", "session.timeout.ms", "heartbeat.interval.ms"):
            configuration.pop(name, None)
        # There a dead member's name is not released before its session is over, and a closed one's neither.
        configuration.pop("group.instance.id", None)
    return configuration


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn librdkafka's errors inside into Shoal's; ``what`` says what was being done."""
    try:
        yield
    except KafkaException as error:
        raise as_shoal_error(error.args[0], what) from error


def as_shoal_error(error: KafkaError, what: str) -> BrokerError:
    """Give the error of ``stream.errors`` that says what to do about ``error``."""
    text = f"{what}: {error.str()} ({error.name()})"
    code = error.code()
    # First, as such an error may be of the producer's epoch; one really fenced says so when it aborts.
    if error.txn_requires_abort():
        return TransactionAborted(text)
    # librdkafka gives a consumer's fatal errors one code for all, and the reason as a text.
    if code in FENCED or (code == KafkaError._FATAL and "same group.instance.id" in error.str()):
        return Fenced(
            f"{text}; another process with the same kafka.prefix and worker.instance is active, or the "
            "transaction was open for longer than kafka.transaction_timeout_ms"
        )
    if code in NO_TOPIC:
        return TopicMismatch(f"{text}; create the topics first")
    if code in GONE:
        return OffsetOutOfRange(f"{text}; what was to be read is not there any more")
    if code in UNAVAILABLE or error.retriable():
        return BrokerUnavailable(f"{text}; check kafka.bootstrap_servers and that the broker runs")
    return BrokerError(text)


@contextmanager
def configured(settings: KafkaSettings) -> Iterator[None]:
    """Turn a refusal of librdkafka to take a configuration into a ConfigError that holds no secret."""
    try:
        yield
    except (KafkaException, ValueError, TypeError) as error:
        text = str(error.args[0].str() if isinstance(error, KafkaException) else error)
        # The longest first, or one that is part of another would leave the rest of it standing.
        for secret in sorted(
            (s.get_secret_value() for s in settings.librdkafka.values()), key=len, reverse=True
        ):
            text = text.replace(secret, "***") if secret else text
        # Not "from error": its text may hold the secret, and a traceback would print it.
        raise ConfigError(f"librdkafka does not accept kafka.librdkafka: {text}") from None


def answers(bootstrap_servers: str, timeout: float) -> bool:
    """Whether a broker is there and serves metadata, within ``timeout`` seconds."""
    # One that is just starting refuses connections: try often, and say nothing of it.
    silent = logging.getLogger("stream.kafka.probe")
    silent.setLevel(logging.CRITICAL)
    configuration: dict[str, Any] = {
        "bootstrap.servers": bootstrap_servers,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 100,
        "logger": silent,
    }
    probe = AdminClient(configuration)
    try:
        return bool(probe.list_topics(timeout=timeout).brokers)
    except KafkaException:
        return False
