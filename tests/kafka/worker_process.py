"""Workers in processes of their own, for tests that kill them.

Loads everything once and then forks a worker for each request: a JSON object on a line of standard input,
with ``settings``, ``servers``, ``log`` (the worker's output goes there), ``die_at`` and ``hooks`` (or null: see
``tests/torture/hooks.py``), and ``shared`` where it shares vectors. The answer is a line with its process id. When it
has ended, the file ``log`` + ``.code`` holds its exit code, below 0 for a signal.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from consumers.worker import Worker
from producers.synthetic import SyntheticLog, SyntheticSettings
from stream.broker.kafka import KafkaBroker
from stream.broker.memory import MemoryBroker
from stream.broker.topics import Topics, ensure_topics
from stream.clock import SystemClock
from stream.config import Settings
from stream.encoder import TextEncoder, make_encoder
from stream.encoder.cache import CachedEncoder
from stream.encoder.vector_store import MemoryStore
from stream.errors import ShoalError
from tests.torture.hooks import HookedBroker


class Deadly:
    """A transactional producer that kills its process at a step of the n-th transaction: ``[step, n]``.

    What was sent before is at the broker by then, so that the transaction is open there.
    """

    def __init__(self, inner: Any, die_at: tuple[str, int]) -> None:
        self._inner = inner
        self._step, self._left = die_at

    def begin(self) -> None:
        self._left -= 1
        self._reach("begin")
        self._inner.begin()

    def send(self, topic: str, *columns: Any) -> None:
        self._reach(topic.rsplit(".", 1)[-1])
        self._inner.send(topic, *columns)

    def send_offsets(self, *columns: Any) -> None:
        self._reach("send_offsets")
        self._inner.send_offsets(*columns)

    def commit(self) -> None:
        self._reach("commit")
        self._inner.commit()
        self._reach("committed")

    def close(self) -> None:
        self._inner.close()

    def _reach(self, step: str) -> None:
        if step == self._step and self._left <= 0:
            self._inner._producer.flush(5)
            os.kill(os.getpid(), signal.SIGKILL)


def shared_encoder(settings: Settings) -> TextEncoder:
    """Make the encoder of ``settings`` with a cache of this worker alone, as one on a machine of its own has it."""
    return CachedEncoder(make_encoder(settings.encoder), MemoryStore(limit=1 << 24))


def work(request: dict[str, Any]) -> int:
    """Run a worker until SIGTERM; its exit code."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings = Settings.model_validate(request["settings"])
    hooks = request["hooks"]
    broker = KafkaBroker(settings.kafka, request["servers"])
    if hooks:
        broker = HookedBroker(settings.kafka, request["servers"], Path(hooks["orders"]), hooks["sabotage"])
    try:
        worker = Worker(
            settings,
            broker,
            shared_encoder(settings) if request.get("shared") else make_encoder(settings.encoder),
            SystemClock(),
            on_commit=lambda outcome: print("committed", len(outcome.lists), flush=True),
        )
        if request["die_at"]:
            worker._producer = Deadly(worker._producer, request["die_at"])  # type: ignore[assignment]
        try:
            worker.run(stop)
        finally:
            worker.close()
    except ShoalError as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        return 1
    return 0


def nurse(request: dict[str, Any]) -> None:
    """Fork the worker, say who it is, wait for its end and write down how it ended."""
    pid = os.fork()
    if pid == 0:
        out = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.stdin.close()
        sys.exit(work(request))
    print(pid, flush=True)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    unfinished = Path(request["log"] + ".unfinished")
    unfinished.write_text(str(code), "utf-8")
    unfinished.replace(request["log"] + ".code")
    os._exit(0)


def warm_up() -> None:
    """Do a little work, so that the kernels are loaded, or compiled, once and not by every worker."""
    settings = Settings.model_validate(
        {
            "encoder": {"model": "hashing"},
            "snapshots": {"directory": ""},
            "clustering": {"k": 4, "seed_users_per_cluster": 4, "dimensions": 16},
        }
    )
    log = SyntheticLog(SyntheticSettings(users=60, items=60, events=1_000))
    broker, topics = MemoryBroker(), Topics(settings.kafka)
    ensure_topics(broker, topics, settings.kafka)
    publisher = broker.publisher()
    for topic, records in ((topics.items.name, log.items), (topics.events.name, list(log.events()))):
        publisher.send(topic, [r.key() for r in records], [r.to_json() for r in records])
    worker = Worker(settings, broker, make_encoder(settings.encoder), SystemClock())
    while worker.step():
        pass
    worker.close()


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        warm_up()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the nurses
    print("ready", flush=True)
    for line in sys.stdin:
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            nurse(json.loads(line))
