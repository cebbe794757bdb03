"""Consumer groups of the in-memory broker: sticky, cooperative, with offsets that transactions commit."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from stream.broker.interface import AssignmentListener, Records
from stream.broker.memory_log import PartitionLog, fetch_all
from stream.errors import BrokerError, Fenced, OffsetOutOfRange, TransactionAborted

Member = TypeVar("Member")


def balance(owners: Mapping[int, Member], members: Sequence[Member], partitions: int) -> dict[int, Member]:
    """Who is to own each partition: shares differ by one at most, and no partition moves without need.

    Examples
    --------
    >>> balance({0: "a", 1: "a", 2: "a"}, ["a", "b"], 3)
    {0: 'a', 1: 'a', 2: 'b'}
    """
    held = {m: [p for p in range(partitions) if owners.get(p) == m] for m in members}
    # Whoever holds most keeps the odd partition.
    order = sorted(members, key=lambda m: -len(held[m]))
    shares = {m: partitions // len(order) + (i < partitions % len(order)) for i, m in enumerate(order)}
    target = {p: m for m in order for p in held[m][: shares[m]]}
    free = iter([p for p in range(partitions) if p not in target])
    for m in order:
        for _ in range(shares[m] - min(len(held[m]), shares[m])):
            target[next(free)] = m
    return target


class Group:
    """What the coordinator of one group knows. The caller holds the broker's lock around every call."""

    def __init__(self, topic: str, logs: Sequence[PartitionLog]) -> None:
        self.topic = topic
        self.logs = logs
        self.committed: dict[int, int] = {}
        self.pending: dict[Hashable, dict[int, int]] = {}
        self.owners: dict[int, MemoryConsumer] = {}
        self.instances: dict[str, MemoryConsumer] = {}
        self._members: list[MemoryConsumer] = []
        self._target: dict[int, MemoryConsumer] = {}

    def size(self) -> int:
        """How many members there are."""
        return len(self._members)

    def join(self, member: MemoryConsumer) -> None:
        """Add a member; partitions move to it as their owners give them up."""
        self._members.append(member)
        self._target = balance(self._target, self._members, len(self.logs))

    def spread(self) -> None:
        """Share out the partitions again, as there are more of them."""
        if self._members:
            self._target = balance(self._target, self._members, len(self.logs))

    def leave(self, member: MemoryConsumer) -> None:
        """Take a member, and what it owned, out."""
        self._members.remove(member)
        self.owners = {p: m for p, m in self.owners.items() if m is not member}
        self._target = balance(self._target, self._members, len(self.logs)) if self._members else {}

    def has(self, member: MemoryConsumer) -> bool:
        """Whether ``member`` still belongs to the group."""
        return member in self._members

    def owned(self, member: MemoryConsumer) -> list[int]:
        """The partitions ``member`` has now."""
        return sorted(p for p, m in self.owners.items() if m is member)

    def surplus(self, member: MemoryConsumer) -> list[int]:
        """The partitions ``member`` has to give up."""
        return [p for p in self.owned(member) if self._target.get(p) is not member]

    def vacant(self, member: MemoryConsumer) -> list[int]:
        """The partitions ``member`` can take: nobody owns them, no open transaction holds their offsets."""
        held = self.owners.keys() | {p for offsets in self.pending.values() for p in offsets}
        return sorted(p for p, m in self._target.items() if m is member and p not in held)

    def finish(self, transaction: Hashable, committed: bool) -> None:
        """End a transaction that may have carried offsets of this group."""
        offsets = self.pending.pop(transaction, {})
        if committed:
            self.committed.update(offsets)


class MemoryConsumer:
    """A ``GroupConsumer`` in memory. Listeners are called without a lock and may wait for other threads."""

    def __init__(
        self,
        group: Group,
        listener: AssignmentListener | None,
        changed: threading.Condition,
        start: Mapping[int, int] | None = None,
    ) -> None:
        self.group = group
        self._listener = listener
        self._start = dict(start or {})
        self._skipped = 0
        self._changed = changed
        self._positions: dict[int, int] = {}
        self._paused: set[int] = set()
        self._turn = 0
        self._closed = False
        self._fenced = False
        with changed:
            group.join(self)
            changed.notify_all()

    def fence(self) -> None:
        """Another member has this one's instance name; lock held."""
        self._fenced = True
        if self.group.has(self):
            self.group.leave(self)

    def poll(self, max_records: int, timeout: float) -> Records:
        """See ``GroupConsumer.poll``."""
        self._check_open()
        deadline = time.monotonic() + timeout
        while True:
            self._rebalance()
            with self._changed:
                records = self._fetch(max_records)
                left = deadline - time.monotonic()
                if len(records) or left <= 0:
                    return records
                if not self._must_rebalance():
                    self._changed.wait(left)

    def take_skipped(self) -> int:
        """See ``GroupConsumer.take_skipped``."""
        with self._changed:
            skipped, self._skipped = self._skipped, 0
            return skipped

    def _fetch(self, limit: int) -> Records:
        for p, position in self._positions.items():
            log = self.group.logs[p]
            if position > log.end:
                raise OffsetOutOfRange(
                    f"partition {p} of {self.group.topic} ends at {log.end}, not {position}"
                )
            self._skipped += max(0, log.first - position)
            self._positions[p] = max(position, log.first)
        wanted = [p for p in self.group.owned(self) if p not in self._paused]
        # Another partition is first each time, or a busy one would starve the rest.
        self._turn += 1
        first = self._turn % len(wanted) if wanted else 0
        return fetch_all(
            self.group.topic, self.group.logs, self._positions, wanted[first:] + wanted[:first], limit
        )

    def _must_rebalance(self) -> bool:
        group = self.group
        return bool(not group.has(self) or group.surplus(self) or group.vacant(self))

    def _rebalance(self) -> None:
        with self._changed:
            expelled, surplus = not self.group.has(self), self.group.surplus(self)
        if expelled:
            self._give_up(sorted(self._positions), lost=True)
            with self._changed:
                self.group.join(self)
        elif surplus:
            self._give_up(surplus, lost=False)
        with self._changed:
            vacant = self.group.vacant(self)
            for p in vacant:
                self.group.owners[p] = self
                self._positions[p] = self.group.committed.get(p, self._start.get(p, self.group.logs[p].first))
        if vacant and self._listener:
            self._listener.assigned(vacant)

    def _give_up(self, partitions: list[int], lost: bool) -> None:
        try:
            if self._listener and partitions:
                (self._listener.lost if lost else self._listener.revoked)(partitions)
        finally:
            with self._changed:
                for p in partitions:
                    if self.group.owners.get(p) is self:
                        del self.group.owners[p]
                    self._positions.pop(p, None)
                self._paused -= set(partitions)
                self._changed.notify_all()

    def assignment(self) -> frozenset[int]:
        """See ``GroupConsumer.assignment``."""
        with self._changed:
            return frozenset(self._positions)

    def pause(self, partitions: Sequence[int]) -> None:
        """See ``GroupConsumer.pause``."""
        self._check_assigned(partitions)
        self._paused |= set(partitions)

    def resume(self, partitions: Sequence[int]) -> None:
        """See ``GroupConsumer.resume``."""
        self._check_assigned(partitions)
        self._paused -= set(partitions)

    def seek(self, positions: Mapping[int, int]) -> None:
        """See ``GroupConsumer.seek``."""
        self._check_assigned(positions)
        self._positions.update(positions)

    def lag(self) -> dict[int, int]:
        """See ``GroupConsumer.lag``."""
        with self._changed:
            return {p: self.group.logs[p].end - position for p, position in self._positions.items()}

    def check_may_commit(self, partitions: Mapping[int, int]) -> None:
        """Raise TransactionAborted unless this member is in its group and owns ``partitions``; lock held."""
        if self._closed or not self.group.has(self):
            raise TransactionAborted(
                f"this consumer is no longer a member of the group on {self.group.topic}"
            )
        foreign = sorted(partitions.keys() - set(self.group.owned(self)))
        if foreign:
            raise TransactionAborted(
                f"partitions {foreign} of {self.group.topic} belong to another member now"
            )

    def close(self) -> None:
        """See ``GroupConsumer.close``."""
        if self._closed:
            return
        try:
            self._give_up(sorted(self._positions), lost=not self.group.has(self))
        finally:
            self._closed = True
            with self._changed:
                if self.group.has(self):
                    self.group.leave(self)
                self._changed.notify_all()

    def _check_open(self) -> None:
        if self._fenced and not self._closed:
            raise Fenced(f"another member of the group on {self.group.topic} has the same instance name")
        if self._closed:
            raise BrokerError("this consumer is closed")

    def _check_assigned(self, partitions: Sequence[int] | Mapping[int, int]) -> None:
        self._check_open()
        foreign = sorted(set(partitions) - self._positions.keys())
        if foreign:
            raise BrokerError(f"partitions {foreign} of {self.group.topic} are not assigned to this consumer")
