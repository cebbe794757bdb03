"""Where a worker's CPU time goes: a flame graph of a worker that works off a backlog, by py-spy.

Run: python -m bench.flame [EVENTS_PER_LIST] [OUT]. OUT ends in .svg for a graph, in .txt for the stacks as text. It
begins with the first lists: starting takes longer than all that is measured here.
"""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from bench.field import Field, fields
from bench.flame_graph import flame_graph
from bench.load import Load
from bench.sampling import PATIENCE_S
from bench.scenarios import Unavailable
from bench.service import EVENTS
from consumers.warming import compile_kernels
from stream.broker.kafka import KafkaBroker
from stream.broker.topics import Topics

RATE_HZ = 200  # samples a second: some thousand of a run, at no visible cost
RUNS = 2  # times the events of the scenario ``worker``


def main(per_list: int, out: Path) -> None:
    compile_kernels()
    events = RUNS * EVENTS[per_list]
    with fields({"flame": Load.generated(events, per_list)}) as found:
        field = found["flame"]
        field.next_generation()
        worker = field.start_worker(events)
        wait_for_lists(field)
        # Under its bare name, as the graph shows the command; it ends with the worker.
        spy = ["py-spy", "record", "--nolineno", "--threads", "--rate", str(RATE_HZ), "--format", "raw"]
        where = ["--output", str(out), "--pid", str(worker.pid)]
        subprocess.run(spy + where, executable=Path(sys.executable).with_name("py-spy"), check=True)
        rates = worker.result().rates()
    if out.suffix == ".svg":
        out.write_text(flame_graph(out.read_text()))
    print(
        f"{rates.per_cpu_s:,.0f} events/CPU s under observation, {rates.per_list:.2f} events per list: {out}"
    )


def wait_for_lists(field: Field) -> None:
    """Wait until the worker has written some. Raises Unavailable where it does not."""
    settings, deadline = field.settings(), time.monotonic() + PATIENCE_S
    topic = Topics(settings.kafka).recommendations.name
    with closing(KafkaBroker(settings.kafka, field.servers)) as broker:
        while not any(end for _, end in broker.offsets(topic).values()):
            if time.monotonic() > deadline:
                raise Unavailable(f"no lists within {PATIENCE_S:g} s")
            time.sleep(0.2)


if __name__ == "__main__":
    given = sys.argv[1:]
    main(int(given[0]) if given else 1, Path(given[1] if len(given) > 1 else "docs/flame-worker.svg"))
