"""Topics and groups of the in-memory broker, as a whole."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from stream.broker.memory_group import Group
from stream.broker.memory_log import PartitionLog
from stream.errors import BrokerError, TopicMismatch


class MemoryAdmin:
    """The part of ``MemoryBroker`` that reads and writes no records."""

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self._topics: dict[str, list[PartitionLog]] = {}
        self._groups: dict[tuple[str, str], Group] = {}

    def logs(self, topic: str) -> list[PartitionLog]:
        """The partitions of ``topic``. Raises TopicMismatch when there is no such topic."""
        with self.changed:
            if topic not in self._topics:
                raise TopicMismatch(f"there is no topic {topic}; create it first")
            return self._topics[topic]

    def topics(self, prefix: str) -> list[str]:
        """See ``Broker.topics``."""
        with self.changed:
            return sorted(name for name in self._topics if name.startswith(prefix))

    def identity(self, topic: str) -> str:
        """See ``Broker.identity``."""
        with self.changed:
            return self.logs(topic)[0].identity

    def trim(self, topic: str, before: Mapping[int, int]) -> None:
        """See ``Broker.trim``."""
        with self.changed:
            logs = self.logs(topic)
            for partition, offset in before.items():
                logs[partition].trim(offset)

    def grow(self, topic: str, partitions: int) -> None:
        """See ``Broker.grow``."""
        with self.changed:
            logs = self.logs(topic)
            logs += [PartitionLog() for _ in range(partitions - len(logs))]
            for (_, of), group in self._groups.items():
                if of == topic:
                    group.spread()
            self.changed.notify_all()

    def groups(self, prefix: str) -> list[str]:
        """See ``Broker.groups``."""
        with self.changed:
            return sorted({name for name, _ in self._groups if name.startswith(prefix)})

    def members(self, group: str) -> int:
        """See ``Broker.members``."""
        with self.changed:
            return sum(found.size() for (name, _), found in self._groups.items() if name == group)

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """See ``Broker.committed``."""
        with self.changed:
            found = self._groups.get((group, topic))
            return {} if found is None else dict(found.committed)

    def delete_groups(self, names: Sequence[str]) -> None:
        """See ``Broker.delete_groups``."""
        with self.changed:
            for name in names:
                if self.members(name):
                    raise BrokerError(f"group {name} has members; end them first")
            self._groups = {key: group for key, group in self._groups.items() if key[0] not in names}
