"""Reads what the service puts out into the demonstration's state, as any subscriber could."""

from __future__ import annotations

from consumers.demo.state import DemoState
from consumers.lists import parse_list
from consumers.status import TallyReader
from stream.broker.interface import Broker
from stream.broker.topics import Topics
from stream.clock import Clock

WAIT_S = 0.25  # for lists: how often the screen changes; quick enough to look alive, 2 % of a core
READ_RECORDS = 2_000  # lists read at once


class Watcher:
    """A consumer of the recommendations, and of the model log."""

    def __init__(self, broker: Broker, topics: Topics, state: DemoState, clock: Clock) -> None:
        self.state = state
        self._clock = clock
        self._lists = broker.reader(topics.recommendations.name, "earliest")
        self._tally = TallyReader(broker, topics)
        state.tally = self._tally.tally
        self._started = self._heard = clock.monotonic()

    def poll(self, sent: int) -> None:
        """Take in what has come, waiting a moment for it; ``sent`` records were fed."""
        state, before = self.state, (self.state.lists, self.state.tally.version)
        records = self._lists.read(READ_RECORDS, WAIT_S)
        for value in records.values:
            if value is not None:
                state.take(parse_list(value))
        self._tally.poll(0.0)
        now = self._clock.monotonic()
        state.sent, state.elapsed = sent, now - self._started
        if len(records) and state.first_list is None:
            state.first_list = state.elapsed
        if (state.lists, state.tally.version) != before:
            self._heard = now
        state.tick(now)

    def has_seen(self, sent: int) -> bool:
        """Whether ``sent`` records have been taken in, and every list that came of them was read."""
        counts = self.state.tally.counts
        return counts["records"] >= sent and self.state.lists >= counts["lists"]

    def silent_for(self) -> float:
        """Seconds since anything came."""
        return self._clock.monotonic() - self._heard

    def close(self) -> None:
        """Give connections back."""
        self._lists.close()
        self._tally.close()
