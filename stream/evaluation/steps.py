"""Scores of lists by steps: the events of one user with one timestamp."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from stream.events.schema import EventRecord


def by_step(events: Sequence[EventRecord], most: int) -> Iterator[list[EventRecord]]:
    """Cut ``events`` so that a user has at most one step in a batch, and a batch at most ``most`` events.

    Each step then meets a list that knows all its user did before, as it does in a service that is not hurried.

    Examples
    --------
    >>> def at(user, time):
    ...     return EventRecord(user_id=user, action="view", item_id="i", timestamp=time)
    >>> [len(batch) for batch in by_step([at("a", 1), at("a", 1), at("b", 1), at("a", 2)], 10)]
    [3, 1]
    """
    start = 0
    times: dict[str | None, int] = {}
    for i, event in enumerate(events):
        user = event.user_id or event.anonymous_id
        if times.setdefault(user, event.timestamp) != event.timestamp or i - start >= most:
            yield list(events[start:i])
            start, times = i, {user: event.timestamp}
    if start < len(events):
        yield list(events[start:])


def by_count(events: Sequence[EventRecord], most: int) -> Iterator[list[EventRecord]]:
    """Cut ``events`` into batches of ``most``, as a worker does that has a backlog."""
    for start in range(0, len(events), most):
        yield list(events[start : start + most])


@dataclass
class Scores:
    """Sums over scored steps; recall is hits / min(targets, k), gain is 1."""

    k: int
    steps: int = 0
    hits: float = 0.0  # steps with at least one hit
    recall: float = 0.0
    ndcg: float = 0.0
    _discount: npt.NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._discount = 1 / np.log2(np.arange(2, self.k + 2))

    def add(self, step: npt.NDArray[np.int64], item: npt.NDArray[np.uint64], rank: npt.NDArray[np.int16]) -> None:
        """Score events (n,): which step each belongs to, its item, and its place in the list, -1 for none.

        An item that comes twice in a step is one target.
        """
        if not len(step):
            return
        _, first = np.unique(np.stack([step.astype(np.uint64), item]), axis=1, return_index=True)
        _, step = np.unique(step[first], return_inverse=True)
        rank = rank[first]
        hit = rank >= 0
        n = int(step.max()) + 1
        targets = np.minimum(np.bincount(step, minlength=n), self.k)
        hits = np.bincount(step[hit], minlength=n)
        gains = np.bincount(step[hit], self._discount[rank[hit]], minlength=n)
        self.steps += n
        self.hits += float((hits > 0).sum())
        self.recall += float((hits / targets).sum())
        self.ndcg += float((gains / np.cumsum(self._discount)[targets - 1]).sum())

    def means(self) -> dict[str, float]:
        """``hit_rate@k``, ``recall@k``, ``ndcg@k`` and ``steps``."""
        n = max(self.steps, 1)
        return {
            f"hit_rate@{self.k}": self.hits / n,
            f"recall@{self.k}": self.recall / n,
            f"ndcg@{self.k}": self.ndcg / n,
            "steps": self.steps,
        }
