"""How a contestant is timed: its own process says what it had done at which wall and CPU time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench.scenarios import Unavailable

ROOT = Path(__file__).parents[1]
PATIENCE_S = 600.0  # for one contestant's run; the slowest takes a minute, and several on a busy machine
# Of a run is left out: caches fill, clusters are seeded, a pool of connections opens.
WARM_SHARE = 0.34
LOOK_EVERY_S = 0.2  # at threads: some 10 us each


@dataclass
class Progress:
    """What has been done, by wall and CPU time of this process, all threads."""

    events: list[int] = field(default_factory=lambda: [0])
    lists: list[int] = field(default_factory=lambda: [0])
    wall: list[float] = field(default_factory=lambda: [time.perf_counter()])
    cpu: list[float] = field(default_factory=lambda: [time.process_time()])
    also: dict[str, list[float]] = field(default_factory=dict)  # further CPU seconds, each a part of ``cpu``

    def note(self, events: int, lists: int, **also: float) -> None:
        """Add up what a commit has done; ``also`` are totals so far."""
        self.events.append(self.events[-1] + events)
        self.lists.append(self.lists[-1] + lists)
        self.wall.append(time.perf_counter())
        self.cpu.append(time.process_time())
        for name, total in also.items():
            self.also.setdefault(name, [0.0]).append(total)

    def report(self) -> None:
        """Tell the process that started this one."""
        print(json.dumps(asdict(self)), flush=True)

    def rates(self, warm: float = WARM_SHARE) -> Rates:
        """Rates from when ``warm`` of the events had been done to the end."""
        first = next(i for i, n in enumerate(self.events) if n >= warm * self.events[-1])
        first = min(first, len(self.events) - 2)
        events = self.events[-1] - self.events[first]
        cpu, wall = self.cpu[-1] - self.cpu[first], self.wall[-1] - self.wall[first]
        lists = self.lists[-1] - self.lists[first]
        parts = {name: (totals[-1] - totals[first]) / cpu for name, totals in self.also.items()}
        return Rates(events / cpu, events / wall, events / lists if lists else 0.0, parts)


@dataclass(frozen=True)
class Rates:
    """Events per second of CPU and of wall time, events per list, and shares of the CPU time."""

    per_cpu_s: float
    per_s: float
    per_list: float
    parts: Mapping[str, float]

    def without(self, part: str) -> float:
        """Events per CPU second, had ``part`` taken none of it."""
        return self.per_cpu_s / (1 - self.parts.get(part, 0.0))

    @classmethod
    def median(cls, rounds: Sequence[Rates]) -> Rates:
        """The middle of each."""
        names = rounds[0].parts
        return cls(
            median(r.per_cpu_s for r in rounds),
            median(r.per_s for r in rounds),
            median(r.per_list for r in rounds),
            {name: median(r.parts[name] for r in rounds) for name in names},
        )


class Threads:
    """CPU seconds of this process's threads: Python's by their names, all of librdkafka's together."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}  # by thread number
        self._spent: dict[str, float] = {}  # the same; of those that have ended too
        self._looked_at = -LOOK_EVERY_S

    def seconds(self) -> dict[str, float]:
        """Totals up to now, or to less than ``LOOK_EVERY_S`` ago."""
        now = time.monotonic()
        if now - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = now
            for task in Path("/proc/self/task").iterdir():
                with suppress(OSError):  # it has just ended
                    self._look(task)
        totals: defaultdict[str, float] = defaultdict(float)
        for number, seconds in self._spent.items():
            totals[f"thread {self._names[number]}"] += seconds
        return dict(totals)

    def _look(self, task: Path) -> None:
        self._spent[task.name] = int((task / "schedstat").read_text().split()[0]) / 1e9
        if task.name not in self._names:
            ours = {str(thread.native_id): thread.name for thread in threading.enumerate()}
            name = (task / "comm").read_text().strip()
            self._names[task.name] = (
                "librdkafka" if name.startswith("rdk:") else ours.get(task.name, "others")
            )


class Contestant:
    """A module of this package in a process of its own, which reads ``job`` from its standard input."""

    def __init__(
        self,
        module: str,
        job: Mapping[str, Any],
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] = (sys.executable,),
    ) -> None:
        self._name = module
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by result
        self._process = subprocess.Popen(
            [*command, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            cwd=ROOT,
            env={**(environment or os.environ), "PYTHONPATH": str(ROOT)},
        )
        stdin, self._process.stdin = self._process.stdin, None  # it begins at once, not when it is waited for
        assert stdin
        with suppress(BrokenPipeError), stdin:  # where it has ended already, ``result`` says why
            stdin.write(json.dumps(job))

    @property
    def pid(self) -> int:
        """Number of its process."""
        return self._process.pid

    def result(self) -> Progress:
        """Wait for its end. Raises Unavailable with the end of what it said where it failed."""
        try:
            out, _ = self._process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            out = ""
        self._said.seek(0)
        said = self._said.read().splitlines()[-15:]
        self._said.close()
        reports = [line for line in out.splitlines() if line.startswith("{")]  # observers talk too
        if self._process.returncode or not reports:
            raise Unavailable("\n".join([f"{self._name} ended with {self._process.returncode}:", *said]))
        return Progress(**json.loads(reports[-1]))
