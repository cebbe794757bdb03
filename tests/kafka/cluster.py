"""Three brokers: what a user's Kafka is, where one may go and nothing is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from confluent_kafka.admin import AdminClient

from stream.broker.embedded import EmbeddedKafka, _free_port
from tests.kafka.processes import until

BROKERS = 3
HEAP_MB = 256
# Every record on three brokers, and acknowledged by two: one may be away, and what was acknowledged is on another.
REPLICATED = {
    "default.replication.factor": "3",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "min.insync.replicas": "2",
}


class Node(EmbeddedKafka):
    """One of several: broker and controller in one process, as each of them is."""

    def __init__(self, directory: Path, number: int, controllers: list[int], cluster_id: str) -> None:
        super().__init__(directory, heap_mb=HEAP_MB)
        self.number, self._controllers, self._cluster_id = number, controllers, cluster_id

    def _settings(self) -> dict[str, str]:
        voters = [f"{n}@127.0.0.1:{port}" for n, port in enumerate(self._controllers, 1)]
        own = f"127.0.0.1:{self._controllers[self.number - 1]}"
        return (
            super()._settings()
            | REPLICATED
            | {
                "node.id": str(self.number),
                "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://{own}",
                "controller.quorum.voters": ",".join(voters),
            }
        )


class Cluster:
    """Three ``Node``s. A context manager: started on entry, closed on exit."""

    def __init__(self, directory: Path) -> None:
        controllers = [_free_port("127.0.0.1") for _ in range(BROKERS)]
        cluster_id = "c" * 22
        self.nodes = [Node(directory / str(n), n, controllers, cluster_id) for n in range(1, BROKERS + 1)]

    @property
    def bootstrap_servers(self) -> str:
        """Of all of them: a client has to find those that are left."""
        return ",".join(node.bootstrap_servers for node in self.nodes)

    def leader(self, topic: str, partition: int = 0) -> Node:
        """The broker that leads ``partition``."""
        return self.nodes[self._partition(topic, partition).leader - 1]

    def wait_for_replicas(self, topic: str, n: int, partition: int = 0) -> None:
        """Wait until so many brokers have all of ``partition``."""
        until(
            lambda: len(self._partition(topic, partition).isrs) == n, f"{n} replicas of {topic}/{partition}"
        )

    def _partition(self, topic: str, partition: int):  # type: ignore[no-untyped-def]
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        return admin.list_topics(topic, timeout=30).topics[topic].partitions[partition]

    def __enter__(self) -> Cluster:
        with ThreadPoolExecutor(BROKERS) as pool:  # none of them is ready before two are there
            list(pool.map(EmbeddedKafka.start, self.nodes))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node in self.nodes:
            node.kill()  # its data is thrown away
