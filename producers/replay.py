"""Writes a historical log to the events topic: at its own pace, faster, or as fast as possible."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from producers.checkpoint import Checkpoint, resume
from stream.broker.interface import Publisher
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
    on_progress: Progress | None = None,
) -> int:
    """Send ``events``, which are in the order of time, and return how many were sent.

    ``speed`` is a multiple of event time; None sends as fast as ``publisher`` takes them (it waits when its
    buffer is full). Records are keyed by user, or anonymous id; those without either have no key.

    ``checkpoint`` is a file that holds how many events are stored for certain: it moves on only after a
    flush. With it a later call on the same log goes on from there. What was sent after the last checkpoint is
    sent again then, so delivery is at least once; event ids tell repeats. ``on_progress`` hears the number of
    events sent, those of earlier calls included, and the event time reached in ms. Raises BrokerError,
    ConfigError, and InputError when ``checkpoint`` is of another log.
    """
    if speed is not None and speed <= 0:
        raise ConfigError(f"speed = {speed}: must be above 0; leave it out to send as fast as possible")
    saved = Checkpoint.load(checkpoint) if checkpoint else Checkpoint()
    position, last, saved_at = saved.position, None, clock.monotonic()
    for due in _paced(resume(events, saved), speed, clock):
        if due:
            publisher.send(topic, [e.key() for e in due], [e.to_json() for e in due])
            position, last = position + len(due), due[-1]
            if on_progress:
                on_progress(position, last.timestamp)
        if last and clock.monotonic() - saved_at >= CHECKPOINT_EVERY:
            publisher.flush(FLUSH_TIMEOUT)
            _save(checkpoint, position, last)
            saved_at = clock.monotonic()
    publisher.flush(FLUSH_TIMEOUT)
    _save(checkpoint, position, last)
    return position - saved.position


def _save(checkpoint: Path | None, position: int, last: EventRecord | None) -> None:
    if checkpoint is not None and last is not None:
        Checkpoint.after(position, last).save(checkpoint)


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
