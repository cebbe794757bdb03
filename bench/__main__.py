"""Runs scenarios: ``python -m bench [ID ...]``, all of them without an ID; ``make bench only=ID`` does the same.

Each prints one table and writes bench/results/ID.json.
"""

from __future__ import annotations

import argparse
import importlib
import time

from rich.console import Console

from bench.report import hardware, keep, show
from bench.scenarios import SCENARIOS, Unavailable
from consumers.warming import compile_kernels


def run(scenario: str, console: Console) -> None:
    """Run one. Raises Unavailable where this machine or installation cannot."""
    entry = SCENARIOS[scenario]
    machine, started = hardware(), time.monotonic()
    try:
        measured = getattr(importlib.import_module(entry.module), entry.function)()
    except ImportError as missing:
        raise Unavailable(f"{missing}; `make bench` installs what it needs") from missing
    machine["gpu"] = machine["gpu"] or hardware()["gpu"]  # torch may have been imported meanwhile
    show(scenario, entry.what, measured, console)
    path = keep(scenario, measured, machine, time.monotonic() - started)
    console.print(f"  {path.relative_to(path.parents[2])}, {time.monotonic() - started:.0f} s\n", style="dim")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("only", nargs="*", metavar="ID", help=", ".join(SCENARIOS))
    chosen = parser.parse_args().only or list(SCENARIOS)
    if unknown := sorted(set(chosen) - set(SCENARIOS)):
        parser.error(f"no scenario {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    console = Console(width=None if Console().is_terminal else 160)
    # A worker that had to compile them would not be done in its time on a busy machine.
    console.print(f"kernels compiled or found in {compile_kernels():.0f} s", style="dim")
    for scenario in chosen:
        try:
            run(scenario, console)
        except Unavailable as reason:
            console.print(f"{scenario} skipped: {reason}\n", style="yellow", soft_wrap=True)


if __name__ == "__main__":
    main()
