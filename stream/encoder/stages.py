"""Stages that work at the same time, each in a thread of its own, with bounded queues between them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")

# What a stage may be ahead of the next, in pieces. One would make them wait for each other whenever two pieces differ;
# more than a few only takes memory.
AHEAD = 2
POLL_S = 0.1  # how soon a stage notices that nobody wants its results any more


def in_turn(pieces: Iterable[A], work: Callable[[A], B]) -> Iterator[B]:
    """Do as ``ahead`` without a thread: each piece when it is asked for."""
    return map(work, pieces)


class _End:
    """Stands behind the last result, with what ended the stage early."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def ahead(pieces: Iterable[A], work: Callable[[A], B], depth: int = AHEAD) -> Iterator[B]:
    """Give ``work`` of each of ``pieces`` in their order, done in a thread, at most ``depth`` ahead.

    ``pieces`` is walked in that thread too. What it or ``work`` raises comes out here, behind the results
    before it. Closing the iterator, as an error in the loop over it does, ends the thread.

    Examples
    --------
    >>> list(ahead(ahead(range(3), lambda x: x + 1), str))
    ['1', '2', '3']
    """
    results: queue.Queue[B | _End] = queue.Queue(depth)
    unwanted = threading.Event()

    def put(result: B | _End) -> bool:
        while not unwanted.is_set():
            try:
                results.put(result, timeout=POLL_S)
                return True
            except queue.Full:
                continue
        return False

    def run() -> None:
        error: BaseException | None = None
        source = iter(pieces)
        try:
            for piece in source:
                if not put(work(piece)):
                    break
        except BaseException as raised:  # noqa: BLE001 - raised again by the consumer
            error = raised
        finally:
            close = getattr(source, "close", None)  # of a stage before this one, whose thread ends with it
            if close is not None:
                close()
        put(_End(error))

    thread = threading.Thread(target=run, name=f"stage-{getattr(work, '__name__', 'work')}", daemon=True)
    thread.start()
    try:
        while not isinstance(result := results.get(), _End):
            yield result
        if result.error is not None:
            raise result.error
    finally:
        unwanted.set()
        thread.join()
