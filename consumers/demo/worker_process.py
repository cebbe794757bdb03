"""The demonstration's worker: a process of its own, as in a service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from pydantic import SecretStr

from stream.broker import kafka_supervisor
from stream.config import Settings
from stream.errors import ShoalError

GRACE_S = 10.0  # seconds that a worker may take to end; it does after its batch, so within a second
TAIL_LINES = 15  # of what a failed worker said


class WorkerProcess:
    """Runs ``shoal worker`` with ``settings``. A context manager; ends with this process, however that ends."""

    def __init__(self, settings: Settings) -> None:
        self._environment = environment(settings, os.environ)
        # A file without a name: nothing is left of it.
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed on exit
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> WorkerProcess:
        # -P: a directory `consumers` where the user happens to stand is not ours.
        worker = [sys.executable, "-P", "-m", "consumers", "worker"]
        supervisor = [
            sys.executable,
            "-I",
            "-S",
            kafka_supervisor.__file__,
            str(os.getpid()),
            str(GRACE_S),
            "",
        ]
        self._process = subprocess.Popen(  # noqa: S603
            supervisor + worker,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
            start_new_session=True,  # Ctrl-C is for the demonstration, which then ends this
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process
        self._process.terminate()
        self._process.wait()
        self._said.close()

    def check(self) -> None:
        """Raise ShoalError, with the end of what it said, where it has ended by itself."""
        assert self._process
        status = self._process.poll()
        if status is not None:
            raise self.failure(f"the worker has ended by itself, with exit status {status}")

    def stop(self) -> None:
        """End it properly. Raises ShoalError where it ends otherwise."""
        assert self._process
        self.check()
        self._process.terminate()
        status = self._process.wait()
        if status:
            raise self.failure(f"the worker ended with exit status {status}")

    def failure(self, what: str) -> ShoalError:
        """Make an error that says ``what``, and what the worker said last."""
        self._said.seek(0)
        said = self._said.read().decode("utf-8", "replace").splitlines()[-TAIL_LINES:]
        return ShoalError("\n".join([f"{what}; it said last:", *said]))


def environment(settings: Settings, inherited: Mapping[str, str]) -> dict[str, str]:
    """Give ``inherited`` with all of ``settings`` in it, and no other setting of Shoal's."""
    sections = {
        f"SHOAL_{name.upper()}": json.dumps(_open(section.model_dump(by_alias=True)))
        for name, section in settings
    }
    kept = {
        name: value
        for name, value in inherited.items()
        if not any(name == section or name.startswith(section + "__") for section in sections)
    }
    return kept | sections


def _open(value: Any) -> Any:
    """Make JSON of a section, secrets included: it goes to a process of the same user, never to a file or a log."""
    if isinstance(value, Mapping):
        return {key: _open(x) for key, x in value.items()}
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, list | tuple):
        return [_open(x) for x in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)
