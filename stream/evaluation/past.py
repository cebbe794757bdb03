"""What came before each step, exactly: profiles remember only the last items of a user."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.events.batch import EventBatch
from stream.profiles.layout import Rows

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Asked:
    """m steps, as they were just before they were learnt: a list is asked for each."""

    step: npt.NDArray[np.int64]  # (m,) numbers in the log
    user: Hashes  # (m,)
    time: npt.NDArray[np.int64]  # (m,) ms
    rows: Rows  # (m,) profiles
    had: list[Hashes]  # per step the items that its user has had, those touched last at the end
    had_at: list[npt.NDArray[np.int64]]  # per step when each was touched last, ms


@dataclass(frozen=True, slots=True)
class Targets:
    """t items that were wanted, each once a step."""

    place: npt.NDArray[np.int64]  # (t,) which of the steps asked
    item: Hashes  # (t,)
    new: npt.NDArray[np.bool_]  # (t,) to the user
    age: npt.NDArray[np.int64]  # (t,) events since the item first came, 0 where it never did


class Past:
    """Remembers who has had what, and since when there are which items.

    An event with a positive weight wants its item. One with a negative weight, such as a cancellation, wants
    nothing, but its user has had the item. One without weight, such as an impression, is neither.
    """

    def __init__(self) -> None:
        self._had: defaultdict[int, dict[int, int]] = defaultdict(dict)  # user -> item -> ms
        self._first: dict[int, int] = {}  # item -> number of the event that first named it
        self._events = 0

    def had(self, users: Hashes) -> tuple[list[Hashes], list[npt.NDArray[np.int64]]]:
        """Items that each of ``users`` (m,) has had, and when last, in ms."""
        past = [self._had.get(user, {}) for user in users.tolist()]
        items = [np.fromiter(items, np.uint64, len(items)) for items in past]
        return items, [np.fromiter(items.values(), np.int64, len(items)) for items in past]

    def targets(self, events: EventBatch, place: npt.NDArray[np.int64]) -> Targets:
        """What ``events`` (n,) of the steps at ``place`` (n,) want, before they are learnt."""
        wanted = np.flatnonzero((events.item != 0) & (events.weight > 0))
        wanted = wanted[np.lexsort((events.item[wanted], place[wanted]))]
        at, item = place[wanted], events.item[wanted]
        once = np.append(True, (at[1:] != at[:-1]) | (item[1:] != item[:-1]))[: len(at)]
        at, item, user = at[once], item[once], events.user[wanted[once]]
        pairs = zip(user.tolist(), item.tolist(), strict=True)
        new = np.array([i not in self._had.get(u, ()) for u, i in pairs], np.bool_)
        age = np.array([self._events - self._first.get(i, self._events) for i in item.tolist()], np.int64)
        return Targets(at, item, new, age)

    def learn(self, events: EventBatch) -> None:
        """Take in ``events``."""
        columns = (events.user.tolist(), events.item.tolist(), events.time.tolist(), events.weight.tolist())
        for number, (user, item, time, weight) in enumerate(zip(*columns, strict=True), start=self._events):
            if item:
                self._first.setdefault(item, number)
            if item and weight:
                had = self._had[user]
                had.pop(item, None)  # so that it goes to the end
                had[item] = time
        self._events += len(events)


def join(parts: Sequence[tuple[Asked, Targets]]) -> tuple[Asked, Targets]:
    """All steps of ``parts``, one part after the other, and their targets."""
    asked, targets = [one for one, _ in parts], [one for _, one in parts]
    before = np.cumsum([0] + [len(one.step) for one in asked[:-1]])
    return Asked(
        np.concatenate([one.step for one in asked]),
        np.concatenate([one.user for one in asked]),
        np.concatenate([one.time for one in asked]),
        np.concatenate([one.rows for one in asked]),
        [items for one in asked for items in one.had],
        [times for one in asked for times in one.had_at],
    ), Targets(
        np.concatenate([one.place + n for one, n in zip(targets, before, strict=True)]),
        np.concatenate([one.item for one in targets]),
        np.concatenate([one.new for one in targets]),
        np.concatenate([one.age for one in targets]),
    )
