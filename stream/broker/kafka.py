"""Apache Kafka, and whatever speaks its protocol, as a ``Broker``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from confluent_kafka import IsolationLevel

from stream.broker.interface import AssignmentListener, check_start
from stream.broker.kafka_admin import EARLIEST, LATEST, KafkaAdmin
from stream.broker.kafka_group import KafkaGroupConsumer
from stream.broker.kafka_producer import KafkaPublisher, KafkaTransactionalProducer
from stream.broker.kafka_reader import KafkaReader


class KafkaBroker(KafkaAdmin):
    """A ``Broker`` on confluent-kafka.

    Parameters
    ----------
    settings
        Names, timeouts, and what goes to librdkafka as it is.
    bootstrap_servers
        Apart from the settings, since the embedded broker's address is known only once it runs.
    """

    def subscribe(
        self,
        topic: str,
        group: str,
        listener: AssignmentListener | None = None,
        start: Mapping[int, int] | None = None,
        instance: str | None = None,
    ) -> KafkaGroupConsumer:
        """See ``Broker.subscribe``."""
        self.partitions(topic)
        return KafkaGroupConsumer(
            self._settings, self._bootstrap_servers, topic, group, listener, start, instance
        )

    def reader(self, topic: str, start: Mapping[int, int] | Literal["earliest", "latest"]) -> KafkaReader:
        """See ``Broker.reader``."""
        if start == "earliest":
            positions = self._list_offsets(topic, EARLIEST, IsolationLevel.READ_COMMITTED)
        elif start == "latest":
            positions = self._list_offsets(topic, LATEST, IsolationLevel.READ_COMMITTED)
        else:
            positions = dict(start)
            check_start(topic, positions, self.offsets(topic))
        return KafkaReader(
            self._settings, self._bootstrap_servers, topic, positions, lambda: self._ends(topic)
        )

    def _ends(self, topic: str) -> dict[int, int]:
        return self._list_offsets(topic, LATEST, IsolationLevel.READ_UNCOMMITTED)

    def transactional_producer(self, transactional_id: str) -> KafkaTransactionalProducer:
        """See ``Broker.transactional_producer``."""
        return KafkaTransactionalProducer(self._settings, self._bootstrap_servers, transactional_id)

    def publisher(self) -> KafkaPublisher:
        """See ``Broker.publisher``."""
        return KafkaPublisher(self._settings, self._bootstrap_servers)
