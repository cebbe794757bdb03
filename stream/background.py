"""Work that must not hold up the loop that asks for it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, Protocol, TypeVar

from stream.clock import Clock

T = TypeVar("T")

# Rests so many times as long as it last worked: a tenth of one core at most, whatever the work and the machine.
REST = 9.0


class Background(Protocol[T]):
    """Does one piece of work at a time."""

    @property
    def ready(self) -> bool:
        """Whether it is neither at work nor at rest."""
        ...

    def start(self, work: Callable[[], T]) -> None:
        """Begin; only when it is ready."""
        ...

    def result(self) -> T | None:
        """What came of it, once, when it is done. Raises what the work raised."""
        ...


class AtOnce(Generic[T]):
    """Works while it is asked to: for files and tests, where the same log must give the same model.

    Examples
    --------
    >>> background = AtOnce()
    >>> background.start(lambda: 7)
    >>> background.result(), background.result()
    (7, None)
    """

    def __init__(self) -> None:
        self._result: T | None = None

    @property
    def ready(self) -> bool:
        """Always."""
        return True

    def start(self, work: Callable[[], T]) -> None:
        """Do it."""
        self._result = work()

    def result(self) -> T | None:
        """What came of it, once."""
        result, self._result = self._result, None
        return result


class InThread(Generic[T]):
    """Works in a thread of its own, and rests afterwards."""

    def __init__(self, clock: Clock, name: str) -> None:
        self._clock = clock
        self._pool = ThreadPoolExecutor(1, name)
        self._future: Future[T] | None = None
        self._began = self._wakes = 0.0

    @property
    def ready(self) -> bool:
        """Whether it is neither at work nor at rest."""
        return self._future is None and self._clock.monotonic() >= self._wakes

    def start(self, work: Callable[[], T]) -> None:
        """Begin; only when it is ready."""
        self._began = self._clock.monotonic()
        self._future = self._pool.submit(work)

    def result(self) -> T | None:
        """What came of it, once, when it is done. Raises what the work raised."""
        if self._future is None or not self._future.done():
            return None
        future, self._future = self._future, None
        now = self._clock.monotonic()
        self._wakes = now + REST * (now - self._began)
        return future.result()

    def close(self) -> None:
        """Wait for the work at hand, and take no more."""
        self._pool.shutdown(cancel_futures=True)
