"""A thread that does one job after the other for somebody who must not wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Lane(Generic[T]):
    """Does the job it is given; its result, or what it raised, is asked for by whoever gave it.

    One job at a time: what a job touches, nobody else touches while it runs. Used by one thread.

    Examples
    --------
    >>> lane: Lane[int] = Lane("adding")
    >>> lane.start(lambda: 1 + 1)
    >>> lane.wait(10.0), lane.result(), lane.busy
    (True, 2, False)
    >>> lane.close()
    """

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Callable[[], T] | None] = SimpleQueue()
        self._done = threading.Event()
        self._result: T
        self._error: BaseException | None = None
        self.busy = False
        # A daemon, so that a job that never ends does not keep a process that has to end.
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def start(self, job: Callable[[], T]) -> None:
        """Begin ``job``; its result has to be taken before the next."""
        assert not self.busy, "one job at a time"
        self.busy = True
        self._done.clear()
        self._jobs.put(job)

    def wait(self, timeout: float) -> bool:
        """Whether the job is done, waiting up to ``timeout`` seconds for it."""
        return self._done.wait(timeout)

    def result(self) -> T:
        """What the job, which is done, gave; raises what it raised."""
        assert self._done.is_set()
        self.busy = False
        error, self._error = self._error, None
        if error is not None:
            raise error
        return self._result

    def close(self) -> None:
        """End the thread after its job, without waiting for that."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self._result = job()
            except BaseException as error:  # noqa: BLE001 - raised again by result
                self._error = error
            self._done.set()
