"""Who has which partition, on the real Kafka: moves, replacements, and the newer protocol of groups."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest

from consumers.restoring import Restoration
from producers.synthetic import SyntheticLog
from stream.events.schema import EventRecord

# Long, so that a test that waited for a session to end would fail.
LONG_SESSION = {"heartbeat.interval.ms": "200", "session.timeout.ms": "45000"}
SOON = 15.0  # seconds


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_workers_share_partitions_and_only_those_that_move_are_restored(
    service: Callable[..., Any],
    log: SyntheticLog,
    events: list[EventRecord],
    monkeypatch: pytest.MonkeyPatch,
    protocol: str,
) -> None:
    restored: list[set[int]] = []
    init = Restoration.__init__

    def noted(restoration: Restoration, *args: Any) -> None:
        init(restoration, *args)
        restored.append(set(restoration.epochs))

    monkeypatch.setattr(Restoration, "__init__", noted)
    shoal = service(partitions=4, kafka={"group_protocol": protocol, "librdkafka": LONG_SESSION})
    shoal.load(log.items)
    one = shoal.thread("one")
    shoal.feed(events[:500])
    shoal.wait()
    two = shoal.thread("two")
    shoal.until(lambda: len(one.partitions()) == len(two.partitions()) == 2, "both to have two partitions")
    moved = set(two.partitions())
    shoal.feed(events[500:1_000])
    shoal.wait()
    one.stop()
    # It has left: nobody waits for its session.
    shoal.until(lambda: two.partitions() == {0, 1, 2, 3}, "all partitions", SOON)
    shoal.feed(events[1_000:1_500])
    shoal.wait()
    two.stop()
    shoal.check_exactly_once()
    assert two.table == shoal.profiles()
    assert sum(len(partitions) for partitions in restored) == 4 + 2 + 2
    assert set().union(*restored[-2:]) - moved == {0, 1, 2, 3} - moved


# By the newer protocol the broker's own session has to end, 10 s on the embedded one.
@pytest.mark.parametrize(("protocol", "patience"), [("classic", SOON), ("consumer", 3 * SOON)])
def test_a_killed_worker_is_replaced_by_the_next_of_its_name(
    service: Callable[..., Any], log: SyntheticLog, events: list[EventRecord], protocol: str, patience: float
) -> None:
    kafka = {"group_protocol": protocol, "static_membership": True, "librdkafka": LONG_SESSION}
    shoal = service(kafka=kafka)
    shoal.load(log.items)
    shoal.feed(events[:300])
    killed = shoal.process("one")
    shoal.wait()
    killed.signal(signal.SIGKILL)
    killed.wait()
    shoal.feed(events[300:600])
    successor = shoal.process("one")
    shoal.wait(patience)
    successor.signal(signal.SIGTERM)
    assert successor.wait() == 0, successor.said()
    shoal.check_exactly_once()
