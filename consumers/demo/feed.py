"""What the demonstration feeds: a generated log, and a few records of the kind that production brings too."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import count, islice

from producers.replay import FLUSH_TIMEOUT, replay
from producers.synthetic import SyntheticLog
from stream.broker.interface import Publisher
from stream.clock import SystemClock
from stream.config import DAY_MS
from stream.events.files import CHUNK
from stream.events.schema import EventRecord

# No JSON, no action, neither item nor text, no time, a time that is none, an event of the year 2100.
BROKEN = [
    b'{"user_id": "user-1", "action": "view", "item_id"',
    b'{"user_id": "user-1", "item_id": "i-1", "timestamp": 1736150400000}',
    b'{"user_id": "user-1", "action": "view", "timestamp": 1736150400000}',
    b'{"user_id": "user-1", "action": "view", "item_id": "i-1"}',
    b'{"user_id": "user-1", "action": "view", "item_id": "i-1", "timestamp": "yesterday"}',
    b'{"user_id": "user-1", "action": "view", "item_id": "i-1", "timestamp": 4102444800000}',
]
# Sound, but nobody's.
NOBODYS = [b'{"action": "view", "item_id": "i-1", "timestamp": 1736150400000}'] * 3


class Stopped(Exception):
    """The feed was told to stop."""


class FeedClock(SystemClock):
    """A clock whose waits end when ``stop`` is set."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass. Raises Stopped."""
        if self._stop.wait(seconds):
            raise Stopped


def rounds(log: SyntheticLog, forever: bool) -> Iterator[list[EventRecord]]:
    """Yield the log's events in lists; for ever: month after month the same catalogue, and each time new users."""
    for number in count() if forever else range(1):
        events = log.events()
        while chunk := list(islice(events, CHUNK)):
            if number:
                _shift(chunk, number, number * log.settings.days * DAY_MS)
            yield chunk


def log_user(user_id: str) -> str:
    """Give the user's name in the log, whatever the month.

    >>> log_user("user-7"), log_user("m2.user-7")
    ('user-7', 'user-7')
    """
    return user_id.rpartition(".")[2]


class Feed:
    """Writes the log into the events topic, with a few odd records among it."""

    def __init__(
        self, publisher: Publisher, topic: str, log: SyntheticLog, speed: float | None, forever: bool
    ) -> None:
        self.records = 0  # sent so far, odd ones included
        self._publisher, self._topic = publisher, topic
        self._log, self._speed, self._forever = log, speed, forever
        self._stop = threading.Event()
        first = next(log.events())
        # An event that its producer sends twice comes first, while its user remembers it.
        self._odd: list[tuple[bytes | None, bytes]] = [(first.key(), first.to_json())]
        self._odd += [(None, value) for value in BROKEN + NOBODYS]
        self._odd_sent = 0

    def run(self) -> None:
        """Write until there is no more, or ``stop`` is called. Raises BrokerError."""
        events = rounds(self._log, self._forever)
        clock = FeedClock(self._stop)
        with suppress(Stopped):
            position = replay(
                self._publisher,
                self._topic,
                events,
                clock=clock,
                speed=self._speed,
                on_progress=self._note,
            )
            self._send_odd(len(self._odd))
            self.records = position + self._odd_sent
        self._publisher.flush(FLUSH_TIMEOUT)

    def stop(self) -> None:
        """Let ``run`` come to its end soon."""
        self._stop.set()

    def _note(self, position: int, _time: int) -> None:
        self._send_odd(1)
        self.records = position + self._odd_sent
        if self._stop.is_set():
            raise Stopped

    def _send_odd(self, n: int) -> None:
        odd = self._odd[self._odd_sent : self._odd_sent + n]
        self._publisher.send(self._topic, [key for key, _ in odd], [value for _, value in odd])
        self._odd_sent += len(odd)


def _shift(chunk: list[EventRecord], number: int, by_ms: int) -> None:
    for event in chunk:
        event.event_id = f"m{number}.{event.event_id}"
        event.user_id = f"m{number}.{event.user_id}"
        event.session_id = f"m{number}.{event.session_id}"
        event.timestamp += by_ms
