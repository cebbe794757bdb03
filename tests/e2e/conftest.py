"""Programs as a user runs them: in a directory of their own, with nothing of Shoal's in the environment."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest


class Programs:
    """Runs ``shoal``, and knows what is left of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "here"
        self.scratch = directory / "scratch"
        self.directory.mkdir()
        self.scratch.mkdir()
        self._mark = f"mark-{uuid.uuid4().hex}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SHOAL_")}
        kept |= {n: v for n, v in os.environ.items() if n == "SHOAL_CACHE"}
        self.environment = kept | {
            "TESTED_BY": self._mark,
            "TMPDIR": str(self.scratch),
            "SHOAL_ENCODER__MODEL": "hashing",
            "COLUMNS": "160",
            "PYTHONUNBUFFERED": "1",
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start ``shoal`` with ``arguments``; what it says goes to its pipes."""
        return subprocess.Popen(
            [sys.executable, "-m", "consumers", *arguments],
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``shoal`` to its end."""
        process = self.start(*arguments)
        out, said = process.communicate(timeout=180)
        return subprocess.CompletedProcess(arguments, process.returncode, out, said)

    def left(self) -> list[str]:
        """Commands of processes that are still there: all of them have inherited the mark."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                marked = self._mark.encode() in (process / "environ").read_bytes()
                command = (process / "cmdline").read_bytes()
            except (OSError, ProcessLookupError):
                continue
            if marked and command:
                found.append(command.replace(b"\0", b" ").decode("utf-8", "replace"))
        return found

    def wait_until_gone(self, seconds: float) -> list[str]:
        """What is left after so long, at most."""
        deadline = time.monotonic() + seconds
        while (found := self.left()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return found


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    """Programs whose processes are all gone in the end."""
    made = Programs(tmp_path)
    yield made
    assert made.wait_until_gone(30) == []
