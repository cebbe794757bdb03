"""The log that the service is measured on: generated, with as many events per user and batch as are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from producers.synthetic import SyntheticLog, SyntheticSettings
from stream.events.schema import EventRecord, ItemRecord

SEED = 0
USERS, ITEMS = 20_000, 10_000  # of the generated log, before its users are made equal
# Times that a user comes back in the log: enough that most lists are made from a history.
TURNS = 8


@dataclass(frozen=True)
class Load:
    """Events in the order in which they are sent, and their catalogue."""

    events: list[EventRecord]
    items: list[ItemRecord]
    per_list: int  # as asked for; what comes out depends on the batches

    @classmethod
    def generated(cls, events: int, per_list: int, *, users: int = USERS, items: int = ITEMS) -> Load:
        """Make a log whose users all come ``TURNS`` times, each time for ``per_list`` events in a row."""
        log = SyntheticLog(SyntheticSettings(users=users, items=items, events=events, seed=SEED))
        ordered = list(log.events())
        tastes = {e.user_id: log.persona_of(e.user_id, e.timestamp) for e in ordered if e.user_id}
        ordered.sort(
            key=lambda e: (tastes[e.user_id or ""], e.user_id)
        )  # stable: a user's events stay in order
        return cls(in_turns(ordered, per_list), log.items, per_list)

    def texts(self) -> list[str]:
        """Free texts of the events: what is encoded beside the catalogue."""
        return sorted({event.text for event in self.events if event.text})


def in_turns(events: Sequence[EventRecord], per_list: int, turns: int = TURNS) -> list[EventRecord]:
    """Give ``events``, sorted by taste and user, to users of equal size who take turns; times come in order.

    Generated users are unequal: of a batch, some would have a hundred events and most one, whatever the log.

    >>> from stream.events.schema import EventRecord
    >>> log = [EventRecord(user_id="x", action="view", item_id=i, timestamp=n) for n, i in enumerate("abcd")]
    >>> [(e.user_id, e.item_id, e.timestamp) for e in in_turns(log, per_list=1, turns=2)]
    [('user-0', 'a', 0), ('user-1', 'c', 1), ('user-0', 'b', 2), ('user-1', 'd', 3)]
    """
    size = turns * per_list
    order = sorted(range(len(events)), key=lambda n: (n % size // per_list, n))
    times = sorted(event.timestamp for event in events)
    return [
        msgspec.structs.replace(events[n], user_id=f"user-{n // size}", timestamp=time)
        for n, time in zip(order, times, strict=True)
    ]
