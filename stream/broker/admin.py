"""What is asked of a broker about its topics and groups as a whole: by ``shoal reset``, and behind snapshots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class Admin(Protocol):
    """A part of ``Broker``."""

    def topics(self, prefix: str) -> list[str]:
        """Names of the topics there are that begin with ``prefix``, in order."""
        ...

    def identity(self, topic: str) -> str:
        """Tell this topic from any other that has, had or will have its name.

        Raises TopicMismatch when there is none.
        """
        ...

    def trim(self, topic: str, before: Mapping[int, int]) -> None:
        """Delete what stands before the given offsets of the given partitions; the topic is not compacted.

        A reader that stands before them hears of it as OffsetOutOfRange.
        """
        ...

    def grow(self, topic: str, partitions: int) -> None:
        """Give ``topic`` as many partitions, which are more than it has; those it has stay as they are."""
        ...

    def groups(self, prefix: str) -> list[str]:
        """Names of the groups there are that begin with ``prefix``, in order."""
        ...

    def members(self, group: str) -> int:
        """How many members ``group`` has; 0 where there is no such group."""
        ...

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """Per partition of ``topic`` the offset that ``group`` has committed; those without one are missing."""
        ...

    def delete_groups(self, names: Sequence[str]) -> None:
        """Delete those that exist, with their offsets. Raises BrokerError where one has members."""
        ...
