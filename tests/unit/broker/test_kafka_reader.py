"""What a fetch makes of the messages that librdkafka delivers together; the real thing is in tests/contract."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from confluent_kafka import KafkaError

from stream.broker.kafka_reader import Fetcher


@dataclass
class Delivered:
    at: int
    failure: KafkaError | None = None

    def error(self) -> KafkaError | None:
        return self.failure

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self.at

    def timestamp(self) -> tuple[int, int]:
        return 1, 7

    def key(self) -> bytes | None:
        return None

    def value(self) -> bytes:
        return b"value"


class Deliverer:
    """Gives all it has at the second call, as a consumer does whose queue filled while its caller was busy."""

    def __init__(self, messages: list[Delivered]) -> None:
        self.messages = messages

    def consume(self, most: int, timeout: float) -> list[Delivered]:
        given, self.messages = self.messages[:most], self.messages[most:]
        return given


def end(at: int) -> Delivered:
    return Delivered(at, KafkaError(KafkaError._PARTITION_EOF))


@pytest.mark.parametrize(
    ("messages", "position"),
    [
        (
            [Delivered(3), Delivered(4), end(6)],
            6,
        ),  # a marker stands at 5: without the end, 6 is never reached
        ([Delivered(3), end(5), Delivered(5), Delivered(6)], 7),
        ([end(3)], 3),
        ([Delivered(3)], 4),
    ],
)
def test_the_end_of_a_partition_counts_though_records_came_with_it(
    messages: list[Delivered], position: int
) -> None:
    fetcher = Fetcher(Deliverer(messages), "log")  # type: ignore[arg-type]
    records = fetcher.fetch(100, 0.0, lambda: frozenset({0}))
    assert records.offset.tolist() == [m.at for m in messages if m.failure is None]
    assert fetcher.positions == {0: position}
