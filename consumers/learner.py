"""The learner's role: the group ``learner`` gives the model log's one partition to one of the workers."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from stream.broker.interface import Broker
from stream.broker.topics import Topics

log = structlog.get_logger()


class LearnerRole:
    """Holds the role while the group gives it. Belongs to the thread that polls."""

    def __init__(self, broker: Broker, topics: Topics, instance: str | None) -> None:
        # Only the membership is of use; the worker folds the log with a reader of its own.
        self.member = broker.subscribe(
            topics.model_updates.name, topics.group("learner"), self, instance=instance
        )

    def assigned(self, partitions: Sequence[int]) -> None:
        """Take the role."""
        self.member.pause(list(partitions))
        log.info("learner's role taken")

    def revoked(self, partitions: Sequence[int]) -> None:
        """Give the role up."""
        log.info("learner's role given up", partitions=list(partitions))

    def lost(self, partitions: Sequence[int]) -> None:
        """As ``revoked``."""
        self.revoked(partitions)

    def is_here(self) -> bool:
        """Whether the role is here. To be asked in every round: in this call it comes and goes."""
        self.member.poll(1, 0.0)
        return bool(self.member.assignment())

    def close(self) -> None:
        """Leave the group."""
        self.member.close()
