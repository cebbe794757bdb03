"""Runs the demonstration from beginning to end, and leaves nothing behind."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.live import Live

from consumers.connect import connected
from consumers.demo.feed import Feed, log_user
from consumers.demo.state import DemoState
from consumers.demo.summary import summary
from consumers.demo.view import line, screen
from consumers.demo.watcher import Watcher
from consumers.demo.worker_process import WorkerProcess
from producers.items import load_items
from producers.synthetic import START_MS, SyntheticLog, SyntheticSettings
from stream.broker.embedded import EmbeddedKafka
from stream.broker.topics import Topics, ensure_topics
from stream.clock import Clock, SystemClock
from stream.clustering.quality import adjusted_rand
from stream.config import DAY_MS, KafkaSettings, Settings

# What suits a log of minutes better than the defaults, which are for services; settings that were given stand.
DEMO_SETTINGS: dict[tuple[str, str], object] = {
    ("kafka", "partitions"): 2,
    ("clustering", "half_life"): 4_000.0,
    ("worker", "learn_every"): 2_000,
    ("worker", "linger_ms"): 200,
    ("encoder", "cache"): None,  # no file is left behind
    ("snapshots", "directory"): None,
}
LINE_EVERY_S = 5.0  # between lines where there is no terminal
# Without anything new for so long, though records wait, something hangs. A first start that compiles kernels
# takes less.
PATIENCE_S = 180.0


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """What to show."""

    log: SyntheticSettings
    speed: float | None  # multiple of event time; None: as fast as possible
    forever: bool = False


@dataclass(frozen=True, slots=True)
class _Run:
    """The parts that move."""

    worker: WorkerProcess
    watcher: Watcher
    feed: Feed
    feeding: Future[None]


def run_demo(settings: Settings, plan: DemoPlan, console: Console, stop: threading.Event) -> None:
    """Show it, until the log ends or ``stop`` is set. Raises ShoalError when a part fails."""
    log, clock = SyntheticLog(plan.log), SystemClock()
    state = DemoState(None if plan.forever else plan.log.events, k=settings.recommending.k)
    console.print("Apache Kafka starts", style="dim")
    with _kafka(demo_settings(settings)) as at, connected(at) as broker:
        topics = Topics(at.kafka)
        ensure_topics(broker, topics, at.kafka)
        state.attach = how_to_look(at.kafka)
        console.print(
            f"Kafka answers at {at.kafka.bootstrap_servers}; lists go to the topic "
            f"{topics.recommendations.name}. To look at them from another terminal:\n  {state.attach}",
            style="dim",
            soft_wrap=True,
        )
        with (
            WorkerProcess(at) as worker,
            closing(broker.publisher()) as publisher,
            closing(Watcher(broker, topics, state, clock)) as watcher,
        ):
            load_items(publisher, topics.items.name, log.items)
            feed = Feed(publisher, topics.events.name, log, plan.speed, plan.forever)
            with _in_thread(feed) as feeding, _display(console, state, clock) as show:
                _watch(_Run(worker, watcher, feed, feeding), stop, show)
            worker.stop()
    console.print(summary(state, _judge(state, log)))


def demo_settings(settings: Settings) -> Settings:
    """Lay the demonstration's own settings over the defaults, and under what was given."""
    for (section, key), value in DEMO_SETTINGS.items():
        of = getattr(settings, section)
        if key not in of.model_fields_set:
            settings = settings.model_copy(update={section: of.model_copy(update={key: value})})
    return settings


def how_to_look(settings: KafkaSettings) -> str:
    """Give the command that attaches a consumer of one's own while the demonstration runs."""
    variables = f"SHOAL_KAFKA__BOOTSTRAP_SERVERS={settings.bootstrap_servers}"
    if settings.prefix != KafkaSettings().prefix:
        variables += f" SHOAL_KAFKA__PREFIX={settings.prefix}"
    return f"{variables} shoal tail"


@contextmanager
def _kafka(settings: Settings) -> Iterator[Settings]:
    """Give the settings with a broker's address: of one started for this, or the given one with names of our own."""
    if not settings.kafka.bootstrap_servers:
        with EmbeddedKafka(heap_mb=settings.embedded.heap_mb) as kafka:
            yield _at(settings, bootstrap_servers=kafka.bootstrap_servers)
        return
    own = _at(settings, prefix=f"shoal-demo-{uuid.uuid4().hex[:8]}.")
    try:
        yield own
    finally:
        with connected(own) as broker:
            broker.delete_topics([topic.name for topic in Topics(own.kafka)])
            # One that has members still is of a worker that was killed: Kafka forgets it by itself.
            broker.delete_groups([g for g in broker.groups(own.kafka.prefix) if not broker.members(g)])


def _at(settings: Settings, **values: object) -> Settings:
    return settings.model_copy(update={"kafka": settings.kafka.model_copy(update=values)})


@contextmanager
def _in_thread(feed: Feed) -> Iterator[Future[None]]:
    with ThreadPoolExecutor(1, thread_name_prefix="feed") as pool:
        try:
            yield pool.submit(feed.run)
        finally:
            feed.stop()


@contextmanager
def _display(console: Console, state: DemoState, clock: Clock) -> Iterator[Callable[[], None]]:
    """Give what shows the state as it is: a screen on a terminal, elsewhere a line now and then."""
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            yield lambda: live.update(screen(state, console.height), refresh=True)
        return
    shown_at = clock.monotonic()

    def show() -> None:
        nonlocal shown_at
        if clock.monotonic() - shown_at >= LINE_EVERY_S:
            shown_at = clock.monotonic()
            console.print(line(state), soft_wrap=True)

    yield show
    console.print(line(state), soft_wrap=True)


def _watch(run: _Run, stop: threading.Event, show: Callable[[], None]) -> None:
    """Follow until all that was fed has come out, or ``stop`` is set before anything has."""
    state = run.watcher.state
    while not (run.feeding.done() and run.watcher.has_seen(run.feed.records)):
        if stop.is_set():
            run.feed.stop()
            if not state.lists:
                return
        state.activity = "ends" if stop.is_set() else "catches up" if run.feeding.done() else "feeds"
        run.watcher.poll(run.feed.records)
        show()
        run.worker.check()
        if run.feeding.done():
            run.feeding.result()  # raises what the feed did
        if run.watcher.silent_for() > PATIENCE_S:
            raise run.worker.failure(f"nothing has come out for {PATIENCE_S:.0f} s")


def _judge(state: DemoState, log: SyntheticLog) -> float | None:
    """Compare clusters with the personas that users have at the end of the log; None without clusters."""
    if not state.cluster_of:
        return None
    end = START_MS + log.settings.days * DAY_MS
    personas = [log.persona_of(log_user(user), end) for user in state.cluster_of]
    _, truth = np.unique(personas, return_inverse=True)
    return float(adjusted_rand(truth, np.array(list(state.cluster_of.values()))))
