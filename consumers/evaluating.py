"""An evaluation over files: reads them, runs the pipeline, writes what was found."""

from __future__ import annotations

import json
import os
import platform
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from consumers.evaluating_report import report_page
from stream.config import Settings
from stream.config_sources import to_toml
from stream.encoder import make_encoder
from stream.errors import ConfigError, InputError
from stream.evaluation.clusters import Truth
from stream.evaluation.comparators import make_comparators
from stream.evaluation.prequential import REFIT, Evaluation, Report
from stream.events.files import read_events, read_items
from stream.events.mapping import LogMapping
from stream.events.schema import EventRecord, ItemRecord
from stream.events.times import SECONDS_FROM, describe, read_time


@dataclass(frozen=True, slots=True)
class Inputs:
    """The files of one evaluation."""

    events: Path | None
    items: Path | None
    mapping: LogMapping | None
    truth: Path | None
    until: str | None = None  # a number of events, or a time: what comes from there on is left out


@dataclass(frozen=True, slots=True)
class Peers:
    """What lists are measured against besides popularity."""

    names: Sequence[str] = ()
    refit: int = REFIT


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What came of it."""

    report: Report
    events: int
    items: int
    skipped: dict[str, int]  # left out by the mapping, by reason

    def metrics(self) -> dict[str, Any]:
        """All that depends on input and settings alone."""
        log = {"events": self.events, "items": self.items, "left_out": self.skipped}
        return self.report.metrics() | {"log": log}


class _TruthRow(msgspec.Struct):
    user_id: str
    persona: str
    from_time_ms: int = 0


def evaluate_files(settings: Settings, inputs: Inputs, peers: Peers, console: Console) -> Evaluated:
    """Run the pipeline over ``inputs``; shows progress on ``console``. Raises ConfigError, InputError, EncoderError."""
    make_comparators(peers.names, 0, [])  # to say at once what is wrong with them
    skipped: Counter[str] = Counter()
    chunks = read_events(inputs.events, inputs.mapping, skipped, settings.events.time_unit)
    events = before([event for chunk in chunks for event in chunk], inputs.until)
    if not events:
        raise InputError("the log holds no events")
    items = _items(inputs)
    truth = None if inputs.truth is None else read_truth(inputs.truth)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(f"encoding {len(items):,} items", total=None)
        evaluation = Evaluation(
            settings,
            make_encoder(settings.encoder),
            items,
            truth,
            lambda outcome: progress.advance(task, outcome.delta.counts["records"]),
            keep_log=False,
        )
        progress.update(task, description="events", total=len(events))
        evaluation.run(events, compare=peers.names, refit=peers.refit)
    return Evaluated(evaluation.report(), len(events), len(items), dict(sorted((+skipped).items())))


def before(events: list[EventRecord], until: str | None) -> list[EventRecord]:
    """Events (in the order of time) before ``until``: the first so many, or those before a time."""
    if until is None:
        return events
    if until.isdigit() and int(until) < SECONDS_FROM:
        return events[: int(until)]
    end = read_time(until, "auto")
    if end < 0:
        raise ConfigError(f"--until {until}: must be a number of events, or {describe('auto')}")
    return events[: bisect_left(events, end, key=lambda event: event.timestamp)]


def read_truth(path: Path) -> Truth:
    """Read the personas of users over time, as the generated log has them. Raises InputError that names the line."""
    decode = msgspec.json.Decoder(_TruthRow).decode
    truth: dict[str, list[tuple[int, str]]] = {}
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    for number, line in enumerate(lines, start=1):
        try:
            row = decode(line)
        except ValueError as error:
            raise InputError(
                f"{path}, line {number}: {error}; expected user_id, persona, from_time_ms"
            ) from error
        truth.setdefault(row.user_id, []).append((row.from_time_ms, row.persona))
    return {user: sorted(personas) for user, personas in truth.items()}


def write_results(directory: Path, done: Evaluated, settings: Settings) -> list[Path]:
    """Write ``metrics.json``, byte for byte the same for the same input, ``run.json``, which is not, and a report."""
    metrics, run = done.metrics(), run_facts(done, settings)
    page = report_page(metrics, run, settings.recommending.k)
    contents = {"metrics.json": _json(metrics), "run.json": _json(run), "report.html": page}
    written = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in contents.items():
            written.append(directory / name)
            written[-1].write_text(text, "utf-8")
    except OSError as error:
        raise InputError(f"{directory}: results cannot be written ({error.strerror})") from error
    return written


def run_facts(done: Evaluated, settings: Settings) -> dict[str, Any]:
    """How fast it was, on what, and with which settings."""
    seconds = done.report.seconds
    return {
        "shoal": version("shoal"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "seconds": {name: round(s, 3) for name, s in seconds.items()},
        "events_per_second": round(done.events / max(seconds["run"], 1e-9), 1),
        "settings": to_toml(settings),
    }


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _items(inputs: Inputs) -> list[ItemRecord]:
    """Read the catalogue; a log with a mapping may be its own, a plain log may go without."""
    if inputs.mapping is None:
        return [] if inputs.items is None else read_items(inputs.items)
    if inputs.mapping.item is None and inputs.items is None:
        return []
    return read_items(inputs.items or inputs.events, inputs.mapping)
