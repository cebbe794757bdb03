"""Scores of lists by steps: the events of one user with one timestamp."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from stream.events.schema import EventRecord


def by_step(events: Sequence[EventRecord], most: int) -> Iterator[list[EventRecord]]:
    """Cut ``events`` so that a user has at most one step in a batch; one with ``most`` events takes no further user.

    Each step then meets a list that knows all its user did before, as it does in a service that is not
    hurried.

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
        now = times.get(user)
        if (now is None and i - start >= most) or (now is not None and now != event.timestamp):
            yield list(events[start:i])
            start, times = i, {}
        times[user] = event.timestamp
    if start < len(events):
        yield list(events[start:])


def by_count(events: Sequence[EventRecord], most: int) -> Iterator[list[EventRecord]]:
    """Cut ``events`` into batches of ``most``, as a worker does that has a backlog."""
    for start in range(0, len(events), most):
        yield list(events[start : start + most])


class Scores:
    """Collects how steps met their lists; recall is hits / min(targets, k), gain is 1.

    Examples
    --------
    >>> scores = Scores(k=20)
    >>> scores.add(np.array([0, 0]), np.array([7, 9], np.uint64), np.array([0, -1], np.int16))
    >>> scores.means()["recall@20"]
    0.5
    """

    def __init__(self, k: int) -> None:
        self.k = k
        self._steps = 0
        self._parts: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64], npt.NDArray[np.int16]]] = []

    def add(
        self, step: npt.NDArray[np.int64], item: npt.NDArray[np.uint64], rank: npt.NDArray[np.int16]
    ) -> None:
        """Take in a batch's events (n,): the step of it each belongs to, its item, its place in the list or -1."""
        if len(step):
            self._parts.append((step + self._steps, item, rank))
            self._steps += int(step.max()) + 1

    def means(self) -> dict[str, float]:
        """``hit_rate@k``, ``recall@k``, ``ndcg@k`` over ``steps``; an item that comes twice in a step is one target."""
        names = (f"hit_rate@{self.k}", f"recall@{self.k}", f"ndcg@{self.k}")
        if not self._parts:
            return dict.fromkeys(names, 0.0) | {"steps": 0}
        step, item, rank = (np.concatenate(column) for column in zip(*self._parts, strict=True))
        order = np.lexsort((item, step))
        step, item, rank = step[order], item[order], rank[order]
        once = np.append(True, (step[1:] != step[:-1]) | (item[1:] != item[:-1]))
        _, step = np.unique(step[once], return_inverse=True)
        rank = rank[once]
        hit = rank >= 0
        n = int(step.max()) + 1
        discount = 1 / np.log2(np.arange(2, self.k + 2))
        targets = np.minimum(np.bincount(step, minlength=n), self.k)
        hits = np.bincount(step[hit], minlength=n)
        gains = np.bincount(step[hit], discount[rank[hit]], minlength=n)
        found = (hits > 0, hits / targets, gains / np.cumsum(discount)[targets - 1])
        return {name: float(x.mean()) for name, x in zip(names, found, strict=True)} | {"steps": n}
