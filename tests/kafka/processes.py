"""Workers in processes of their own, and waiting for what they do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE = 60.0  # seconds within which anything has to happen
LOOK_EVERY = 0.05


def until(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    deadline = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(LOOK_EVERY)
    return found


@dataclass
class WorkerProcess:
    """A worker in a process of its own, started by ``worker_process.py``."""

    pid: int
    log: Path

    def said(self) -> str:
        return self.log.read_text("utf-8") if self.log.exists() else ""

    def code(self) -> int | None:
        file = Path(f"{self.log}.code")
        return int(file.read_text("utf-8")) if file.exists() else None

    def signal(self, number: int) -> None:
        if self.code() is None:
            os.kill(self.pid, number)

    def wait(self, patience: float = PATIENCE) -> int:
        until(lambda: self.code() is not None, f"end of a worker that said: {self.said()}", patience)
        return self.code()  # type: ignore[return-value]


class Nursery:
    """Starts ``WorkerProcess``es; a program that has imported everything forks them in no time."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._started: list[WorkerProcess] = []
        self._program = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("worker_process.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        )
        assert self._program.stdout
        assert self._program.stdout.readline() == "ready\n"

    def start(self, request: dict[str, Any]) -> WorkerProcess:
        assert self._program.stdin
        assert self._program.stdout
        log = self._directory / f"{len(self._started)}.log"
        self._program.stdin.write(json.dumps(request | {"log": str(log)}) + "\n")
        self._program.stdin.flush()
        self._started.append(WorkerProcess(int(self._program.stdout.readline()), log))
        return self._started[-1]

    def close(self) -> None:
        for process in self._started:
            process.signal(signal.SIGKILL)
            process.wait()
        self._program.communicate()
