"""Writes a historical log to the events topic: at its own pace, faster, or as fast as possible."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from producers.checkpoint import Checkpoint, Stored, resume
from stream.broker.interface import Broker, Publisher
from stream.clock import Clock
from stream.errors import ConfigError
from stream.events.schema import EventRecord

# Between two checkpoints, in seconds: what a killed replay sends a second time at most. Shorter, and waiting
# for the broker to store everything (a flush) slows a replay at full speed.
CHECKPOINT_EVERY = 1.0
# The broker has this long, in seconds, to store what was sent; it is down, not slow, if it cannot.
FLUSH_TIMEOUT = 60.0
# Shortest and longest wait for the next event, in seconds: sending a few events together costs less than each
# alone, and in a long gap between events progress and checkpoint go on.
SHORTEST_WAIT, LONGEST_WAIT = 0.01, 1.0

Progress = Callable[[int, int], None]


def replay(
    publisher: Publisher,
    topic: str,
    events: Iterable[list[EventRecord]],
    *,
    clock: Clock,
    speed: float | None = None,
    checkpoint: Path | None = None,
    broker: Broker | None = None,
    on_progress: Progress | None = None,
) -> int:
    """Send ``events``, which are in the order of time, and return how many were sent.

    ``speed`` is a multiple of event time; None sends as fast as ``publisher`` takes them (it waits when its
    buffer is full). Records are keyed by user, or anonymous id; those without either have no key.

    ``checkpoint`` is a file that holds how many events are stored for certain: it moves on only after a
    flush. With it a later call on the same log goes on from there. Given the ``broker`` too, it looks up in the
    topic what was sent after the last checkpoint, and each event is there once, even after a kill; otherwise
    that is sent again, and event ids tell close repeats. ``on_progress`` hears the number of
    events sent, those of earlier calls included, and the event time reached in ms. Raises BrokerError,
    ConfigError, and InputError when ``checkpoint`` is of another log.
    """
    if speed is not None and speed <= 0:
        raise ConfigError(f"speed = {speed}: must be above 0; leave it out to send as fast as possible")
    marks = _Marks(checkpoint, broker, topic)
    saved = marks.begin()
    position, last, saved_at = saved.position, None, clock.monotonic()
    for due in _paced(resume(events, saved), speed, clock):
        if due:
            values = [event.to_json() for event in due]
            missing = marks.missing(values)
            publisher.send(topic, [due[i].key() for i in missing], [values[i] for i in missing])
            position, last = position + len(due), due[-1]
            if on_progress:
                on_progress(position, last.timestamp)
        if last and clock.monotonic() - saved_at >= CHECKPOINT_EVERY:
            publisher.flush(FLUSH_TIMEOUT)
            marks.save(position, last)
            saved_at = clock.monotonic()
    publisher.flush(FLUSH_TIMEOUT)
    marks.save(position, last)
    return position - saved.position


class _Marks:
    """The checkpoint of a replay, if it has one, and what lies in the topic behind it."""

    def __init__(self, path: Path | None, broker: Broker | None, topic: str) -> None:
        self._path, self._broker, self._topic = path, broker, topic
        self._stored: Stored | None = None

    def begin(self) -> Checkpoint:
        """Where to go on; the beginning of a replay is marked too."""
        if self._path is None:
            return Checkpoint()
        if self._broker is not None and not self._path.exists():
            Checkpoint(ends=self._ends()).save(self._path)
        saved = Checkpoint.load(self._path)
        if self._broker is not None:
            self._stored = Stored(self._broker, self._topic, saved)
        return saved

    def missing(self, values: list[bytes]) -> list[int]:
        """Which of ``values`` the topic does not hold yet, by index."""
        return list(range(len(values))) if self._stored is None else self._stored.without(values)

    def save(self, position: int, last: EventRecord | None) -> None:
        """Mark that all up to event number ``position``, which is ``last``, are stored."""
        if self._path is not None and last is not None:
            Checkpoint.after(position, last, self._ends()).save(self._path)

    def _ends(self) -> dict[int, int]:
        if self._broker is None:
            return {}
        return {partition: end for partition, (_, end) in self._broker.offsets(self._topic).items()}


def _paced(
    chunks: Iterable[list[EventRecord]], speed: float | None, clock: Clock
) -> Iterator[list[EventRecord]]:
    """Hand events on when they are due; nothing, now and then, while none is."""
    began: tuple[float, int] | None = None
    for chunk in chunks:
        if speed is None:
            yield chunk
            continue
        begin = 0
        while begin < len(chunk):
            began = began or (clock.monotonic(), chunk[begin].timestamp)
            reached = began[1] + (clock.monotonic() - began[0]) * 1000 * speed
            end = bisect_right(chunk, reached, lo=begin, key=lambda event: event.timestamp)
            yield chunk[begin:end]
            begin = end
            if end < len(chunk):
                wait = (chunk[end].timestamp - reached) / 1000 / speed
                clock.sleep(min(max(wait, SHORTEST_WAIT), LONGEST_WAIT))
