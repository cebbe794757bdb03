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
from stream.errors import BrokerError, BrokerUnavailable, ConfigError, Fenced, TopicMismatch, TransactionAborted

logger = logging.getLogger("stream.kafka")

# Waiting for an answer to a request that has no time limit of its own, in seconds. A healthy broker answers in
# milliseconds, one that is being restarted in ten seconds.
REQUEST_TIMEOUT = 30.0

UNAVAILABLE = {
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
    KafkaError._TIMED_OUT_QUEUE,
    KafkaError._MSG_TIMED_OUT,
    KafkaError._RESOLVE,
    KafkaError._WAIT_COORD,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.NOT_COORDINATOR,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.BROKER_NOT_AVAILABLE,
}
FENCED = {
    KafkaError._FENCED,
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.TRANSACTION_COORDINATOR_FENCED,
}
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
    user = {key: value.get_secret_value() for key, value in settings.librdkafka.items()}
    if user.get("group.protocol") == "consumer":
        # With KIP-848 the broker assigns and knows the session timeout; librdkafka refuses both settings.
        configuration.pop("partition.assignment.strategy", None)
        configuration.pop("session.timeout.ms", None)
    return configuration | user


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
    if code in FENCED:
        return Fenced(f"{text}; another process with the same kafka.prefix and worker.instance is active")
    if error.txn_requires_abort():
        return TransactionAborted(text)
    if code in NO_TOPIC:
        return TopicMismatch(f"{text}; create the topics first")
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
        for secret in settings.librdkafka.values():
            if secret.get_secret_value():
                text = re.sub(re.escape(secret.get_secret_value()), "***", text)
        # Not "from error": its text may hold the secret, and a traceback would print it.
        raise ConfigError(f"librdkafka does not accept kafka.librdkafka: {text}") from None


def answers(bootstrap_servers: str, timeout: float) -> bool:
    """Whether a broker is there and serves metadata, within ``timeout`` seconds."""
    # One that is just starting refuses connections: try often, and say nothing of it.
    silent = logging.getLogger("stream.kafka.probe")
    silent.setLevel(logging.CRITICAL)
    probe = AdminClient(
        {
            "bootstrap.servers": bootstrap_servers,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 100,
            "logger": silent,
        }
    )
    try:
        return bool(probe.list_topics(timeout=timeout).brokers)
    except KafkaException:
        return False
