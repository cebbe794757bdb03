"""What every command shares: the global options, the settings they lead to, and how a program ends."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

if TYPE_CHECKING:
    from stream.config import Settings
    from stream.events.mapping import LogMapping

DEFAULT_FILE = Path("shoal.toml")

# Titles and ids are others' texts: no markup, no emoji codes, no colouring of what looks like a number.


class QuietConsole(Console):
    """A console whose reader may leave: `shoal tail | head` is no error."""

    def on_broken_pipe(self) -> None:
        """See ``Console.on_broken_pipe``, which would end with exit status 1."""
        try:
            super().on_broken_pipe()
        except SystemExit:
            raise SystemExit(0) from None


console = QuietConsole(highlight=False, markup=False, emoji=False)
error_console = Console(stderr=True, highlight=False, markup=False, emoji=False)


@dataclass(frozen=True, slots=True)
class Options:
    """The global options, as they were given."""

    config: Path | None
    assignments: list[str]  # section.key=value
    debug: bool

    def settings(self, **flags: object) -> Settings:
        """Load the settings, a command's own ``flags`` over the rest (``kafka__prefix`` is kafka.prefix).

        Starts logging too. Raises ConfigError.
        """
        from stream.config import load
        from stream.log import configure_logging

        path = self.config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
        given = dict(map(_assignment, self.assignments))
        given |= {name.replace("__", "."): value for name, value in flags.items() if value is not None}
        settings = load(path, os.environ, given)
        configure_logging(settings.logging)
        return settings


def options(context: typer.Context) -> Options:
    """Give the global options of the running command."""
    found = context.find_object(Options)
    assert found is not None
    return found


def mapping_of(path: Path | None) -> LogMapping | None:
    """Read a mapping file, if one is given. Raises ConfigError."""
    from stream.events.mapping import load_mapping

    return None if path is None else load_mapping(path)


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """Give an event that the first SIGTERM or Ctrl-C sets; a second one does what it does without this."""
    stop = threading.Event()

    def ask(number: int, _frame: object) -> None:
        signal.signal(number, before[signal.Signals(number)])
        stop.set()

    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _assignment(text: str) -> tuple[str, object]:
    from stream.errors import ConfigError

    key, equals, value = text.partition("=")
    if not (equals and "." in key):
        # The text is not shown: it may be a secret that lost its key.
        raise ConfigError("--set: must be section.key=value, such as --set kafka.partitions=8")
    if not value.lstrip().startswith(("[", "{")):
        return key.strip(), value
    try:
        return key.strip(), json.loads(value)
    except json.JSONDecodeError as error:
        raise ConfigError(f"--set {key}: a list or table must be JSON ({error.msg})") from None
