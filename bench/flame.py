"""Where a worker's CPU time goes: a flame graph of the scenario ``worker``, by py-spy.

Run: python -m bench.flame [EVENTS_PER_LIST] [OUT]. OUT ends in .svg for a graph, in .txt for the stacks as text.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bench.field import fields
from bench.load import Load
from bench.service import EVENTS

RATE_HZ = 200  # samples a second: some thousand of a run, at no visible cost


def main(per_list: int, out: Path) -> None:
    form = "raw" if out.suffix == ".txt" else "flamegraph"
    spy = [str(Path(sys.executable).with_name("py-spy")), "record", "--nolineno", "--threads"]
    command = [*spy, "--rate", str(RATE_HZ), "--format", form, "--output", str(out), "--", sys.executable]
    with fields({"flame": Load.generated(EVENTS[per_list], per_list)}) as found:
        field = found["flame"]
        field.worker()  # compiles, and fills the caches
        field.next_generation()
        rates = field.start_worker(EVENTS[per_list], command=command).result().rates()
    print(
        f"{rates.per_cpu_s:,.0f} events/CPU s under observation, {rates.per_list:.2f} events per list: {out}"
    )


if __name__ == "__main__":
    given = sys.argv[1:]
    main(int(given[0]) if given else 1, Path(given[1] if len(given) > 1 else "docs/flame-worker.svg"))
