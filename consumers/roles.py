"""Roles: a group gives the partitions of a topic to workers, and with them what has to be done once for all."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from stream.broker.interface import Broker

log = structlog.get_logger()


class Role:
    """Membership in the group of a role; what the partitions hold is read elsewhere. Belongs to the thread that polls.

    Parameters
    ----------
    name
        As the log has it.
    instance
        See ``Broker.subscribe``.
    """

    def __init__(self, broker: Broker, topic: str, group: str, instance: str | None, name: str) -> None:
        self._name = name
        # The partitions that are here, as of the last ``attend``; any thread may look.
        self.held: frozenset[int] = frozenset()
        self.member = broker.subscribe(topic, group, self, instance=instance)

    def assigned(self, partitions: Sequence[int]) -> None:
        """Take the role."""
        self.member.pause(list(partitions))
        log.info("role taken", role=self._name, partitions=list(partitions))

    def revoked(self, partitions: Sequence[int]) -> None:
        """Give the role up."""
        log.info("role given up", role=self._name, partitions=list(partitions))

    def lost(self, partitions: Sequence[int]) -> None:
        """As ``revoked``."""
        self.revoked(partitions)

    def attend(self) -> frozenset[int]:
        """Give the partitions that are here. To be called often: in this call they come and go."""
        self.member.poll(1, 0.0)
        self.held = self.member.assignment()
        return self.held

    def close(self) -> None:
        """Leave the group."""
        self.member.close()
