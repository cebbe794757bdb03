"""What a scenario gives, on what machine, and how it is shown and kept: a table, and bench/results/ID.json."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    "confluent-kafka",
    "msgspec",
    "numba",
    "numpy",
    "orjson",
    "river",
    "scikit-learn",
    "sentence-transformers",
    "torch",
    "transformers",
)

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Measured:
    """Rows of a table, and how the contestants stand to each other; ratios above 1 are in Shoal's favour."""

    rows: Sequence[Row]
    ratios: Mapping[str, float]
    seed: int = 0
    notes: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=dict)  # beyond those of this environment


def hardware() -> dict[str, Any]:
    """Processor, memory, GPU, and how busy the machine was: others' work makes a figure worse."""
    cpu = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"^model name\s*:\s*(.*)$", cpu, re.M)
    flags = re.search(r"^flags\s*:\s*(.*)$", cpu, re.M)
    wanted = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
    return {
        "cpu": model[1] if model else platform.processor(),
        "cores": os.cpu_count(),
        "instructions": [name for name in wanted if flags and name in flags[1].split()],
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpu": _gpu(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def _gpu() -> str | None:
    torch = sys.modules.get("torch")  # asked only where the scenario uses it: its import takes seconds
    return torch.cuda.get_device_name() if torch is not None and torch.cuda.is_available() else None


def versions() -> dict[str, str]:
    """Python's, the commit's, and those of the packages that decide a figure."""
    found = {"python": platform.python_version(), "commit": _commit()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _commit() -> str:
    git = ["git", "-C", str(RESULTS.parent), "describe", "--always", "--dirty"]
    run = subprocess.run(git, capture_output=True, text=True, check=False)
    return run.stdout.strip() or "unknown"


def keep(scenario: str, measured: Measured, machine: Mapping[str, Any], seconds: float) -> Path:
    """Write bench/results/ID.json."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{scenario}.json"
    result = {
        "id": scenario,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(seconds, 1),
        "hardware": machine,
        "versions": versions() | dict(measured.versions),
        "seed": measured.seed,
        "notes": list(measured.notes),
        "rows": [{key: _short(value) for key, value in row.items()} for row in measured.rows],
        "ratios": {name: _short(ratio) for name, ratio in measured.ratios.items()},
    }
    path.write_text(json.dumps(result, indent=1) + "\n")
    return path


def show(scenario: str, what: str, measured: Measured, console: Console) -> None:
    """Print the table, the ratios under it, and what has to be known to read them."""
    columns = list(dict.fromkeys(key for row in measured.rows for key in row))
    table = Table(title=f"{scenario}: {what}", title_justify="left", caption_justify="left")
    for name in columns:
        numeric = all(isinstance(row.get(name, 0), int | float) for row in measured.rows)
        table.add_column(name, justify="right" if numeric else "left")
    for row in measured.rows:
        table.add_row(*(_text(row.get(name, "")) for name in columns))
    console.print(table)
    for name, ratio in measured.ratios.items():
        console.print(f"  {name}: {_text(ratio)}")
    for note in measured.notes:
        console.print(f"  {note}", style="dim", soft_wrap=True)


def _short(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
