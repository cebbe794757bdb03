"""What is fed: generated events with what a stream has besides, at a rate, and what is to become of each."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from producers.synthetic import SyntheticLog, SyntheticSettings
from stream.broker.interface import Publisher, Records
from tests.torture.plan import Size

Place = tuple[int, int]  # partition, offset
Record = tuple[bytes | None, bytes | None]  # key, value

# After an event, with these odds, comes something else.
ODDS = {"again": 0.02, "poison": 0.004, "nobody": 0.004, "nothing": 0.002}
# An event that comes again is among the last so many of the log: far fewer than a profile remembers of its user.
LATELY = 8
POISON = (b"{", b"\xff\xfe", b'{"user_id": "user-1", "item_id": "i", "timestamp": 1736150400000}')
NOBODY = b'{"action": "view", "item_id": "i", "timestamp": 1736150400000}'
# How far the feed may be ahead of the commits: faults are to meet workers that have something to do, and all of the
# log is to see faults, not a head start of it.
LEAD = 6_000
CHUNK = 100  # records sent at a time


def make_log(size: Size, seed: int) -> SyntheticLog:
    """The generated log that is fed."""
    return SyntheticLog(SyntheticSettings(users=size.users, items=size.items, events=size.events, seed=seed))


def make_records(log: SyntheticLog, seed: int) -> Iterator[Record]:
    """``log``'s events, as many records in all: what comes besides takes the place of the last ones."""
    chance, lately = random.Random(seed), list[Record]()
    events = log.events()
    for _ in range(log.settings.events):
        kind = chance.choices([*ODDS, ""], [*ODDS.values(), 1 - sum(ODDS.values())])[0]
        if kind == "again" and lately:
            yield chance.choice(lately)
        elif kind == "poison":
            yield None, chance.choice(POISON)
        elif kind == "nobody":
            yield None, NOBODY
        elif kind == "nothing":
            yield b"user-1", None
        else:
            event = next(events)
            lately = [*lately[-LATELY + 1 :], (event.key(), event.to_json())]
            yield lately[-1]


class Feeder(threading.Thread):
    """Sends records at a rate, never more than ``LEAD`` ahead of what is committed."""

    def __init__(
        self,
        publisher: Publisher,
        topic: str,
        records: Iterator[Record],
        rate: float,
        done: Callable[[], int],
    ) -> None:
        super().__init__(daemon=True)
        self._publisher, self._topic, self._records = publisher, topic, records
        self._rate, self._done = rate, done
        self.fed = 0
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            while chunk := list(islice(self._records, CHUNK)):
                while self.fed - self._done() > LEAD:
                    time.sleep(0.05)
                self._publisher.send(self._topic, [key for key, _ in chunk], [value for _, value in chunk])
                self.fed += len(chunk)
                time.sleep(len(chunk) / self._rate)
            self._publisher.close()
        except Exception as error:  # noqa: BLE001 - read by whoever waits for the end of the feed
            self.error = error


@dataclass
class Fates:
    """What has to become of every record, worked out from the log alone."""

    listed: set[Place] = field(default_factory=set)
    dropped: set[Place] = field(default_factory=set)
    dead: set[Place] = field(default_factory=set)
    _seen: set[tuple[int, str, str]] = field(default_factory=set)

    def add(self, records: Records) -> None:
        """Take in records of the events topic, in order."""
        for partition, offset, value in zip(
            records.partition.tolist(), records.offset.tolist(), records.values, strict=True
        ):
            self._fate(partition, value).add((partition, offset))

    def _fate(self, partition: int, value: bytes | None) -> set[Place]:
        if value is None:
            return self.dropped
        try:
            event = json.loads(value)
        except ValueError:
            return self.dead
        if "action" not in event:
            return self.dead
        if "user_id" not in event:
            return self.dropped
        name = (partition, event["user_id"], event["event_id"])
        if name in self._seen:
            return self.dropped
        self._seen.add(name)
        return self.listed
