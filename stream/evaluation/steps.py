"""A log, cut into steps: the events of one user with one timestamp."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.events.schema import EventRecord


@dataclass(frozen=True, slots=True)
class Round:
    """Steps that are taken in together, at most one of each user."""

    events: list[EventRecord]  # n, those of a step one after the other
    step: npt.NDArray[np.int64]  # (n,) the step's number in the log


def steps_of(events: Sequence[EventRecord]) -> list[list[EventRecord]]:
    """Cut ``events``, which are in the order of time, into steps, in the order of their first events.

    What others do at the same time may lie between the events of a step.

    Examples
    --------
    >>> def at(user, time):
    ...     return EventRecord(user_id=user, action="view", item_id="i", timestamp=time)
    >>> [len(step) for step in steps_of([at("a", 1), at("b", 1), at("a", 1), at("a", 2)])]
    [2, 1, 1]
    """
    steps: dict[tuple[str | None, int], list[EventRecord]] = {}
    for event in events:
        steps.setdefault((identity(event), event.timestamp), []).append(event)
    return list(steps.values())


def by_step(events: Sequence[EventRecord], most: int) -> Iterator[list[Round]]:
    """Cut ``events`` into batches of whole steps, of ``most`` events at most or of one step; a batch into rounds.

    The first round of a batch has each user's first step in it, the second round the second ones, and so on:
    so every step can meet a profile that knows all its user did before, and many are still taken in at once.
    """
    batch: list[list[EventRecord]] = []
    size = number = 0
    for step in steps_of(events):
        if batch and size + len(step) > most:
            yield _rounds(batch, number)
            number += len(batch)
            batch, size = [], 0
        batch.append(step)
        size += len(step)
    if batch:
        yield _rounds(batch, number)


def by_count(events: Sequence[EventRecord], most: int) -> Iterator[list[Round]]:
    """Cut ``events`` into batches of ``most``, as a worker does that has a backlog.

    All that a user does in a batch is one step.
    """
    number = 0
    for start in range(0, len(events), most):
        batch = list(events[start : start + most])
        users: dict[str | None, int] = {}
        step = np.array([users.setdefault(identity(event), len(users)) for event in batch], np.int64)
        yield [Round(batch, step + number)]
        number += len(users)


def identity(event: EventRecord) -> str | None:
    """Whose event it is."""
    return event.user_id or event.anonymous_id


def _rounds(batch: Sequence[list[EventRecord]], number: int) -> list[Round]:
    rounds: list[list[int]] = []
    before: Counter[str | None] = Counter()
    for i, step in enumerate(batch):
        user = identity(step[0])
        if before[user] == len(rounds):
            rounds.append([])
        rounds[before[user]].append(i)
        before[user] += 1
    return [
        Round(
            [event for i in members for event in batch[i]],
            np.repeat(np.array(members) + number, [len(batch[i]) for i in members]),
        )
        for members in rounds
    ]
