"""A contestant: Quix Streams, exactly once, that copies a topic. Runs in an environment of its own, without Shoal.

It prints CPU and wall seconds of this process between joining the group and its last commit.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from typing import Any

from quixstreams import Application


def main(job: dict[str, Any]) -> None:
    app = Application(
        broker_address=job["servers"],
        consumer_group=job["name"],
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        loglevel="WARNING",
    )
    events = app.topic(job["events"], value_deserializer=job["values"])
    copies = app.topic(job["to"], value_serializer=job["values"])
    app.dataframe(events).to_topic(copies)
    cpu, wall = time.process_time(), time.perf_counter()
    app.run(count=job["records"], timeout=60, collect=False)
    spent = {"cpu": [cpu, time.process_time()], "wall": [wall, time.perf_counter()]}
    counts = {"events": [0, job["records"]], "lists": [0, job["records"]], "also": {}}
    print(version("quixstreams"), file=sys.stderr)
    print(json.dumps(spent | counts), flush=True)


if __name__ == "__main__":
    main(json.load(sys.stdin))
