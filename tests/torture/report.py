"""What a run was and what came of it: as JSON, and as a table for people."""

from __future__ import annotations

import json
import os
import platform
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import confluent_kafka
import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from tests.torture.checks import Check
from tests.torture.run import Event, Run

PARTS = 10  # of the log, by which the table tells how faults were spread


def make_report(run: Run, checks: list[Check]) -> dict[str, Any]:
    """All of it."""
    counts = run.model_log.counts
    return {
        "id": "torture",
        "seed": run.seed,
        "ok": all(check.ok for check in checks),
        "size": asdict(run.size),
        "hardware": {"cores": os.cpu_count(), "machine": platform.machine(), "system": platform.system()},
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "confluent-kafka": confluent_kafka.version(),
            "librdkafka": confluent_kafka.libversion()[0],
        },
        "wall_s": {name: round(seconds, 1) for name, seconds in run.story.wall.items()},
        "records": run.progress.committed,
        "lists": int(counts["lists"]),
        "starts": run.crew.starts,
        "ends": dict(Counter(end.by for end in run.crew.ends)),
        "ended_by_themselves": [
            asdict(end) | {"at": round(end.at - run.began, 2)} for end in run.crew.ends if end.by == "itself"
        ],
        "faults": dict(Counter(name_of(event) for event in run.story.events)),
        "story": [
            {
                "seconds": event.seconds,
                "committed": event.committed,
                "fault": name_of(event),
                "what": event.detail,
            }
            for event in run.story.events
        ],
        "checks": [asdict(check) for check in checks],
    }


def name_of(event: Event) -> str:
    """As ``abort at profiles``."""
    fault = event.fault
    return f"{fault.kind} at {fault.what}" if fault.kind in ("crash", "abort") else fault.kind


def write_report(report: dict[str, Any], path: Path) -> None:
    """As JSON, indented."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n", "utf-8")


def show(report: dict[str, Any], console: Console) -> None:
    """Print the tables."""
    wall = ", ".join(f"{name} {seconds} s" for name, seconds in report["wall_s"].items())
    console.print(
        f"seed {report['seed']}: {report['records']} records, {report['lists']} lists, "
        f"{report['starts']} starts of workers; {wall}"
    )
    console.print(_faults(report))
    checks = Table("check", "", "found", title="What has to be true", box=SIMPLE)
    for check in report["checks"]:
        checks.add_row(check["name"], "yes" if check["ok"] else "NO", check["found"])
    console.print(checks)


def _faults(report: dict[str, Any]) -> Table:
    """How often each fault happened in each part of the log."""
    part = report["size"]["events"] / PARTS
    table = Table("fault", "times", title="Faults along the log", box=SIMPLE, padding=(0, 1, 0, 0))
    for n in range(PARTS):
        table.add_column(f"{n * 100 // PARTS}%", justify="right", no_wrap=True)
    for name in sorted(report["faults"]):
        at = Counter(int(e["committed"] / part) for e in report["story"] if e["fault"] == name)
        table.add_row(name, str(report["faults"][name]), *(str(at[n] or "") for n in range(PARTS)))
    return table
