from __future__ import annotations

import logging

import pytest
from confluent_kafka import KafkaError, KafkaException
from pydantic import SecretStr

from stream.broker.kafka_client import REPEAT_AFTER, LogFilter, client_configuration, configured, translated
from stream.config import KafkaSettings
from stream.errors import (
    BrokerError,
    BrokerUnavailable,
    ConfigError,
    Fenced,
    TopicMismatch,
    TransactionAborted,
)


def settings(**librdkafka: str) -> KafkaSettings:
    return KafkaSettings(librdkafka={k.replace("_", "."): SecretStr(v) for k, v in librdkafka.items()})


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (KafkaError(KafkaError._TRANSPORT), BrokerUnavailable),
        (KafkaError(KafkaError.UNKNOWN, retriable=True), BrokerUnavailable),
        (KafkaError(KafkaError._FENCED, fatal=True), Fenced),
        (KafkaError(KafkaError.INVALID_PRODUCER_EPOCH), Fenced),
        (KafkaError(KafkaError.INVALID_PRODUCER_EPOCH, txn_requires_abort=True), TransactionAborted),
        (KafkaError(KafkaError.ILLEGAL_GENERATION, txn_requires_abort=True), TransactionAborted),
        (KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART), TopicMismatch),
        (KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), BrokerError),
    ],
)
def test_every_error_becomes_the_one_that_says_what_to_do(
    error: KafkaError, meaning: type[BrokerError]
) -> None:
    with pytest.raises(BrokerError, match="doing this") as caught, translated("doing this"):
        raise KafkaException(error)
    assert type(caught.value) is meaning


def test_the_users_settings_go_over_shoals() -> None:
    made = client_configuration(settings(linger_ms="7"), "host:1", {"linger.ms": 10, "acks": "all"})
    assert (made["linger.ms"], made["acks"], made["bootstrap.servers"]) == ("7", "all", "host:1")


def test_the_newer_group_protocol_drops_what_it_does_not_take() -> None:
    own = {"partition.assignment.strategy": "x", "session.timeout.ms": 1, "group.id": "g"}
    made = client_configuration(settings(group_protocol="consumer"), "host:1", own)
    assert "partition.assignment.strategy" not in made
    assert "session.timeout.ms" not in made
    assert made["group.id"] == "g"


def test_secrets_do_not_appear_in_errors() -> None:
    with pytest.raises(ConfigError) as caught, configured(settings(a="hunter", b="hunter2")):
        raise ValueError('Invalid value "hunter2" for property')
    assert str(caught.value).endswith('Invalid value "***" for property')


def test_what_is_said_again_and_again_is_logged_now_and_then() -> None:
    quiet = LogFilter()

    def said(message: str, at: float) -> bool:
        record = logging.LogRecord("kafka", logging.ERROR, "", 0, message, None, None)
        record.created = at
        return quiet.filter(record)

    assert said("refused (after 3ms)", 100.0)
    assert not said("refused (after 4ms)", 100.5)
    assert said("something else", 100.5)
    assert said("refused (after 5ms)", 100.0 + REPEAT_AFTER)
    assert not said("x is a consumer property and will be ignored by this producer instance", 0.0)
