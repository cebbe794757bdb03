"""A contestant: a bare loop on confluent-kafka with orjson, that writes what a worker wrote.

It consumes batches as large as a worker's, parses each event, and commits in one transaction per batch as many
of the worker's captured lists, rows and deltas as the worker wrote for so many events, and the offsets. It does
nothing else: what a worker takes beyond this is Shoal's own work.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any

import orjson
from confluent_kafka import Consumer, Producer, TopicPartition

from bench.sampling import Progress
from stream.broker.kafka_producer import WRITING
from stream.broker.kafka_reader import READING

CAPTURED = 20_000  # records of a topic: enough that compression does not meet the same ones soon
TIMEOUT_S = 30.0


def captured(servers: str, topic: str, most: int = CAPTURED) -> list[tuple[bytes | None, bytes, int]]:
    """The newest records of ``topic``: key, value, partition."""
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": "capture", "isolation.level": "read_committed"}
    )
    partitions = list(consumer.list_topics(topic, TIMEOUT_S).topics[topic].partitions)
    ends = [consumer.get_watermark_offsets(TopicPartition(topic, p), TIMEOUT_S) for p in partitions]
    share = most // len(partitions) + 1
    starts = [max(first, end - share) for first, end in ends]
    consumer.assign([TopicPartition(topic, p, s) for p, s in zip(partitions, starts, strict=True)])
    found: list[tuple[bytes | None, bytes, int]] = []
    while messages := consumer.consume(5_000, 2.0):
        found += [(m.key(), m.value(), m.partition()) for m in messages if m.error() is None]
    consumer.close()
    return found


class Loop:
    """The loop, and what it writes."""

    def __init__(self, job: dict[str, Any]) -> None:
        servers, name = job["servers"], job["name"]
        self.lists_topic, self.rows_topic, self.deltas_topic = job["to"]
        lists, rows, deltas = job["captured"]
        self.lists, self.rows = cycle(captured(servers, lists)), cycle(captured(servers, rows))
        self.deltas = cycle(captured(servers, deltas, 500))  # one a batch, as the worker writes
        self.producer = Producer(WRITING | {"bootstrap.servers": servers, "transactional.id": name})
        self.producer.init_transactions(TIMEOUT_S)
        own = {"group.id": name, "auto.offset.reset": "earliest", "enable.partition.eof": False}
        self.consumer = Consumer(READING | own | {"bootstrap.servers": servers})
        self.consumer.subscribe([job["events"]])
        self.batch, self.per_list, self.records = job["batch"], job["per_list"], job["records"]

    def run(self) -> Progress:
        progress, taken, owed = Progress(), 0, 0.0
        while taken < self.records:
            messages = self.consumer.consume(self.batch, 1.0)
            if not messages:
                continue
            for message in messages:
                orjson.loads(message.value())
            taken += len(messages)
            owed += len(messages) / self.per_list
            lists, owed = int(owed), owed % 1
            self.commit(lists)
            progress.note(len(messages), lists)
        self.consumer.close()
        return progress

    def commit(self, lists: int) -> None:
        self.producer.begin_transaction()
        self.write(self.lists_topic, islice(self.lists, lists))
        self.write(self.rows_topic, islice(self.rows, lists))
        self.write(self.deltas_topic, islice(self.deltas, 1))
        self.producer.flush(TIMEOUT_S)
        self.producer.send_offsets_to_transaction(
            self.consumer.position(self.consumer.assignment()), self.consumer.consumer_group_metadata()
        )
        self.producer.commit_transaction()

    def write(self, topic: str, records: Iterator[tuple[bytes | None, bytes, int]]) -> None:
        produce = self.producer.produce
        for key, value, partition in records:
            produce(topic, value, key, partition)
        self.producer.poll(0)


if __name__ == "__main__":
    Loop(json.load(sys.stdin)).run().report()
