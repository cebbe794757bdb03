"""How fast a worker has its profiles and its model again, and what they take: ``python -m bench restore``.

Profiles of generated users are written into the changelog of a real Kafka. A process restores them as a worker does,
from the changelog; it leaves them as files, as a worker that ends does; and another process restores them from these.
``python -m bench.restore --users N`` does it with another number of users.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from bench.report import Measured, Row, hardware, keep, show
from consumers.local_profiles import CHUNK as COPIED
from consumers.local_profiles import LocalProfiles
from consumers.restoring import Restoration
from producers.synthetic import SyntheticLog, SyntheticSettings
from stream import snapshot
from stream.broker.embedded import EmbeddedKafka
from stream.broker.kafka import KafkaBroker
from stream.broker.topics import Topics, ensure_topics
from stream.clock import SystemClock
from stream.config import Settings
from stream.encoder.hashing import HashingEncoder
from stream.evaluation.prequential import Evaluation
from stream.hashing import HashIndex, hash_bytes
from stream.model import Model
from stream.profiles.layout import RowLayout, Rows
from stream.profiles.table import ProfileTable

SEED = 7
USERS = 1_000_000
PARTITIONS = 4
DIMENSIONS = 384
ITEMS, CLUSTERS, EVENTS = 10_000, 64, 40_000  # of the model that is written down
CHUNK = 10_000  # rows in a transaction
HISTORY = 12.0  # items in a user's history, on average: what is free in a row is zeros, which compress


def restore(users: int = USERS) -> Measured:
    """Profiles from the changelog and from the files of this machine; the model from its snapshot."""
    with tempfile.TemporaryDirectory() as directory, EmbeddedKafka(Path(directory) / "kafka") as kafka:
        job = {
            "servers": kafka.bootstrap_servers,
            "directory": str(Path(directory) / "profiles"),
            "users": users,
        }
        written = fill(**job)
        changelog, files = child(job), child(job)
    rows: list[Row] = [
        {"what": "profiles from the changelog", **changelog},
        {"what": "profiles from files", **files},
        model_row(),
    ]
    rate = files["users/s"] / changelog["users/s"]
    size = row_layout().dtype.itemsize
    return Measured(
        rows,
        {"users/s, files / changelog": rate},
        SEED,
        [
            f"{users:,} users, {PARTITIONS} partitions, rows of {size:,} bytes at {DIMENSIONS} dimensions; "
            f"written into the changelog in {written:.0f} s",
            f"pause ms: how long processing stands still while the model, or {COPIED:,} profiles, are copied",
            f"the model: {ITEMS:,} items, {CLUSTERS} clusters wanted, {EVENTS:,} generated events",
        ],
    )


def settings_for(servers: str, directory: str) -> Settings:
    return Settings.model_validate(
        {
            "kafka": {"bootstrap_servers": servers, "prefix": "restore.", "partitions": PARTITIONS},
            "snapshots": {"directory": directory},
            "clustering": {"k": CLUSTERS},
        }
    )


def row_layout() -> RowLayout:
    settings = Settings()
    return RowLayout.of(settings.profiles, settings.recommending.k, DIMENSIONS, "bench", 1)


def generated(first: int, n: int, layout: RowLayout, rng: np.random.Generator) -> Rows:
    """Rows of the users ``first`` .. ``first + n - 1``."""
    rows = layout.blank(np.arange(first, first + n, dtype=np.uint64) + np.uint64(1))
    rows["vector"] = rng.normal(size=(n, layout.dimensions)) / np.sqrt(layout.dimensions)
    used = np.arange(layout.history) < np.minimum(rng.geometric(1 / HISTORY, n), layout.history)[:, None]
    rows["history_item"] = np.where(used, rng.integers(1, 2**63, used.shape), 0)
    rows["history_time"] = np.where(used, rng.integers(1_600_000_000, 1_700_000_000, used.shape), 0)
    rows["list_item"] = rng.integers(1, 2**63, rows["list_item"].shape)
    return rows


def fill(servers: str, directory: str, users: int) -> float:
    """Write the changelog; seconds."""
    settings, layout, rng = settings_for(servers, directory), row_layout(), np.random.default_rng(SEED)
    topics, started = Topics(settings.kafka), time.monotonic()
    with closing(KafkaBroker(settings.kafka, servers)) as broker:
        ensure_topics(broker, topics, settings.kafka)
        with closing(broker.transactional_producer("fill")) as producer:
            for first in range(0, users, CHUNK):
                table, n = ProfileTable(layout), min(CHUNK, users - first)
                table.load(0, generated(first, n, layout, rng))
                every = np.arange(n)
                producer.begin()
                producer.send(
                    topics.profiles.name,
                    (every % PARTITIONS).astype(np.int32),
                    table.keys(every),
                    table.serialise(every),
                )
                producer.commit()
    return time.monotonic() - started


def child(job: dict[str, Any]) -> dict[str, Any]:
    """Restore in a process of its own."""
    command = [sys.executable, "-m", "bench.restore", "--child", json.dumps(job)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def memory(what: str) -> int:
    """Bytes of this process that are in memory (VmRSS), or were at most (VmHWM)."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(what)).split()[1]) * 1024


def restored(servers: str, directory: str, users: int) -> Row:
    """Restore the profiles, then leave them as files."""
    settings, clock = settings_for(servers, directory), SystemClock()
    topics, profiles = Topics(settings.kafka), ProfileTable(row_layout())
    with closing(KafkaBroker(settings.kafka, servers)) as broker:
        local = LocalProfiles(broker, topics, profiles, settings.snapshots, "bench", clock)
        warm_up()
        before, started, cpu = memory("VmRSS"), time.monotonic(), time.process_time()
        epochs = dict.fromkeys(range(PARTITIONS), 1)
        restoration = Restoration(broker, topics, profiles, epochs, local.load(epochs), clock)
        while not restoration.step():
            pass
        seconds, cpu = time.monotonic() - started, time.process_time() - cpu
        after = memory("VmRSS")
        assert len(profiles) == users
        local.restored(restoration.positions())
        restoration.close()
        started = time.monotonic()
        profiles.of_users(profiles.rows["user"][:COPIED].astype(np.uint64), 0)
        pause = time.monotonic() - started
        local.close()
        written = time.monotonic() - started
    return {
        "s": seconds, "CPU s": cpu, "users/s": users / seconds, "B/user": (after - before) / users,
        "B/user at most": (memory("VmHWM") - before) / users, "pause ms": pause * 1e3, "s to write files": written,
    }  # fmt: skip


def warm_up() -> None:
    """Load the kernels."""
    table = ProfileTable(row_layout())
    table.load(0, generated(0, 2, table.layout, np.random.default_rng(0)))


def model_row() -> Row:
    """The model: how long copying it holds a worker up, and how long it takes to write and to read."""
    settings = Settings.model_validate({"clustering": {"k": CLUSTERS}})
    log = SyntheticLog(SyntheticSettings(users=3_000, items=ITEMS, events=EVENTS, seed=SEED))
    run = Evaluation(settings, HashingEncoder(DIMENSIONS), log.items)
    run.run(list(log.events()), "count")
    copied, written, read = zip(*model_times(run.model, settings), strict=True)
    data = snapshot.write(snapshot.freeze(run.model))
    return {
        "what": "model",
        "pause ms": min(copied) * 1e3,
        "write ms": min(written) * 1e3,
        "read ms": min(read) * 1e3,
        "MB": len(data) / 1e6,
    }


def model_times(model: Model, settings: Settings) -> Iterator[tuple[float, float, float]]:
    """Seconds to copy, write and read the model, some times over."""
    for _ in range(5):
        times = [time.perf_counter()]
        frozen = snapshot.freeze(model)
        times.append(time.perf_counter())
        data = snapshot.write(frozen)
        times.append(time.perf_counter())
        manifest = snapshot.Manifest("", 0, "", 0, 0, 0, len(data), hash_bytes(data), {}, {}, {}, {}, {}, {})
        again = snapshot.read(data, manifest, Model(settings, HashIndex(), DIMENSIONS))
        times.append(time.perf_counter())
        assert again.version == model.version
        copied, written, read = np.diff(times).tolist()
        yield copied, written, read


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=USERS)
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(restored(**arguments.child)))
        return
    from rich.console import Console

    machine, started = hardware(), time.monotonic()
    measured = restore(arguments.users)
    show("restore", "profiles and model after a restart", measured, Console(width=160))
    print(keep("restore", measured, machine, time.monotonic() - started).name)


if __name__ == "__main__":
    main()
