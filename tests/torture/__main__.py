"""Tortures Shoal on a real Kafka of its own, and checks that nothing is lost or doubled.

Run: python -m tests.torture [--seed N] [--report FILE] [--short] [--sabotage HOW]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from stream.broker.embedded import EmbeddedKafka
from tests.kafka.processes import Nursery
from tests.torture.checks import Audit
from tests.torture.hooks import SABOTAGE
from tests.torture.plan import FULL, SHORT, Size
from tests.torture.report import make_report, show, write_report
from tests.torture.run import Run

WIDTH = 120  # of the tables, also where there is no terminal
HEAP_MB = 384  # of the broker: what it needs for some hundred partitions


def torture(size: Size, seed: int, scratch: Path, sabotage: str | None = None) -> dict[str, Any]:
    """One run on a broker of its own, and its report."""
    nursery = Nursery(scratch)
    try:
        with EmbeddedKafka(heap_mb=HEAP_MB) as kafka:
            run = Run(size, seed, kafka, nursery, scratch, sabotage)
            try:
                run.torture()
                audit = Audit(run)
                run.repeat_in_peace()
                return make_report(run, audit.all())
            finally:
                run.close()
    finally:
        nursery.close()


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(
        description="Torture Shoal on a real Kafka and check that nothing is lost or doubled."
    )
    parser.add_argument("--seed", type=int, default=1, help="of the log and of all faults")
    parser.add_argument(
        "--report", type=Path, default=Path(".shoal/torture.json"), help="where the report goes"
    )
    parser.add_argument("--short", action="store_true", help="as the test does it: a minute instead of ten")
    parser.add_argument(
        "--sabotage", choices=list(SABOTAGE), help=f"break Shoal, to see it noticed: {SABOTAGE}"
    )
    parser.add_argument(
        "--logs", type=Path, help="an empty directory for what workers say; else it is thrown away"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shoal-torture-") as scratch:
        where = given.logs or Path(scratch)
        where.mkdir(parents=True, exist_ok=True)
        report = torture(SHORT if given.short else FULL, given.seed, where, given.sabotage)
    write_report(report, given.report)
    show(report, Console(width=WIDTH))
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
