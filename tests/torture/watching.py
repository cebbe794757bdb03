"""Who looks at a run from outside while it goes on: how far the commits are, and what enters the model log."""

from __future__ import annotations

import threading
from collections import Counter

from confluent_kafka import Consumer, KafkaException, TopicPartition

from stream.broker.kafka import KafkaBroker
from stream.entries import Delta, decode_entry
from stream.wire import Assembler

ANSWER_S = 2.0  # a broker that is away is asked again


class Progress:
    """How many records a group has committed, by its offsets."""

    def __init__(self, servers: str, group: str, topic: str, partitions: int) -> None:
        # Not an AdminClient: librdkafka's crashes when the coordinator answers that it is none, as one does that has
        # just started. Offsets of open transactions do not count, and are not waited for.
        self._asking = Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": group,
                "isolation.level": "read_uncommitted",
                "metadata.recovery.strategy": "none",
                "log_level": 0,
            }
        )
        self._asked = [TopicPartition(topic, p) for p in range(partitions)]
        self.committed = 0

    def look(self) -> int:
        """Ask again; while nobody answers, what was known."""
        try:
            found = self._asking.committed(self._asked, ANSWER_S)
        except KafkaException:
            return self.committed
        self.committed = max(self.committed, sum(max(at.offset, 0) for at in found))
        return self.committed


class ModelLog:
    """Reads the model log, committed records only, from the first one on: it may be trimmed before the run ends."""

    def __init__(self, broker: KafkaBroker, topic: str) -> None:
        self.covered: list[tuple[int, int, int]] = []  # partition, first, last of each delta
        self.dropped: list[tuple[int, int]] = []  # partition, offset
        self.counts: Counter[str] = Counter()
        self.decisions: list[int] = []
        self._reader = broker.reader(topic, "earliest")
        self._assembler = Assembler()
        self._error: Exception | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Read what is there now, and end. Raises what the reading raised."""
        self._done.set()
        self._thread.join()
        if self._error:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._done.is_set():
                self._take(self._reader.read(500, 0.2).values)
            for records in self._reader.read_to_end(60.0):
                self._take(records.values)
            self._reader.close()
        except Exception as error:  # noqa: BLE001 - raised by finish
            self._error = error

    def _take(self, values: list[bytes | None]) -> None:
        wholes = (self._assembler.add(value or b"") for value in values)
        for entry in (decode_entry(whole.data) for whole in wholes if whole is not None):
            if isinstance(entry, Delta):
                self.covered += [(p, first, last) for p, (first, last) in entry.offsets.items()]
                self.dropped += [(p, o) for p, offsets in (entry.dropped or {}).items() for o in offsets]
                self.counts.update(entry.counts)
            else:
                self.decisions.append(entry.sequence)
