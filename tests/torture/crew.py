"""The workers of a run, kept at their number: whoever ends is started again, as a supervisor does."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.kafka.processes import WorkerProcess, until

STOP_PATIENCE = 60.0  # seconds that a worker may take to end after SIGTERM


@dataclass
class Place:
    """Where a worker of one name runs, one process after the other."""

    process: WorkerProcess
    since: float
    ends_by: str = ""  # what this run has done to it: kill or stop; empty: nothing yet
    wakes_at: float | None = None  # of one that stands still


@dataclass(frozen=True)
class End:
    """How a process ended: code below 0 for a signal; what it said last."""

    instance: str
    by: str  # kill, stop, crash (as ordered), or "itself"
    code: int
    said: str
    at: float  # by time.monotonic()


@dataclass
class Crew:
    """Workers ``w0`` to ``w<size - 1>``, and those that are leaving."""

    start: Callable[[str], WorkerProcess]
    chance: random.Random
    size: int = 0
    starts: int = 0
    ends: list[End] = field(default_factory=list)
    woken: list[tuple[str, float]] = field(
        default_factory=list
    )  # who had stood still, and when that was over
    _places: dict[str, Place] = field(default_factory=dict)

    def tend(self) -> None:
        """Note who has ended, wake who has stood still for long enough, start who is missing, send the others away."""
        for instance, place in list(self._places.items()):
            if place.process.code() is not None:
                self._note_end(instance)
            elif place.wakes_at is not None and time.monotonic() >= place.wakes_at:
                self._wake(instance)
        wanted = [f"w{n}" for n in range(self.size)]
        for instance in self._places.keys() - set(wanted):
            self._send_away(instance)
        for instance in wanted:
            if instance not in self._places:
                self._places[instance] = Place(self.start(instance), time.monotonic())
                self.starts += 1

    def kill(self) -> str:
        """SIGKILL one of them; what was done."""
        instance, place = self._any()
        place.ends_by = "kill"
        place.process.signal(signal.SIGKILL)
        return f"{instance}, {time.monotonic() - place.since:.1f} s after its start"

    def pause(self, seconds: float) -> str:
        """Let one of them stand still; ``tend`` wakes it."""
        instance, place = self._any()
        place.process.signal(signal.SIGSTOP)
        place.wakes_at = time.monotonic() + seconds
        return f"{instance}, {seconds:.1f} s"

    def stop(self) -> None:
        """End all of them properly."""
        for instance in self._places:
            self._send_away(instance)
        for instance, place in list(self._places.items()):
            place.process.wait(STOP_PATIENCE)
            self._note_end(instance)

    def _any(self) -> tuple[str, Place]:
        def there() -> list[tuple[str, Place]]:
            self.tend()
            return [(name, place) for name, place in self._places.items() if not place.ends_by]

        return self.chance.choice(until(there, "a worker that lives"))

    def _send_away(self, instance: str) -> None:
        place = self._places[instance]
        self._wake(instance)
        if place.ends_by != "stop":
            place.ends_by = place.ends_by or "stop"
            place.process.signal(signal.SIGTERM)

    def _wake(self, instance: str) -> None:
        place = self._places[instance]
        if place.wakes_at is not None:
            place.wakes_at = None
            place.process.signal(signal.SIGCONT)
            self.woken.append((instance, time.monotonic()))

    def _note_end(self, instance: str) -> None:
        place = self._places.pop(instance)
        code = place.process.code()
        assert code is not None
        crashed = code == -signal.SIGKILL and place.ends_by != "kill"
        by = "crash" if crashed else place.ends_by or "itself"
        said: list[Any] = place.process.said().strip().splitlines()[-1:]
        self.ends.append(End(instance, by, code, "".join(said), time.monotonic()))
