"""Lists that are held back, on the real Kafka: exactly once holds all the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from producers.synthetic import SyntheticLog
from stream.clock import SystemClock
from stream.events.schema import EventRecord
from tests.kafka.service import Service

HOUR_MS = 3_600_000


def by_user(shoal: Service) -> dict[tuple[int, str], list[dict[str, Any]]]:
    found: dict[tuple[int, str], list[dict[str, Any]]] = defaultdict(list)
    for partition, made in shoal.lists():
        found[partition, made["user_id"]].append(made)
    return found


def check_numbered(lists: dict[tuple[int, str], list[dict[str, Any]]]) -> None:
    for made in lists.values():
        assert [one["user_seq"] for one in made] == list(range(1, len(made) + 1))


@pytest.mark.parametrize("mode", ["changed", "interval"])
def test_every_event_counts_though_not_every_list_is_published(
    service: Callable[..., Service], log: SyntheticLog, events: list[EventRecord], mode: str
) -> None:
    shoal = service(publish={"mode": mode, "interval_ms": HOUR_MS}, worker={"micro_batch": 20})
    shoal.load(log.items)
    # Who was only shown something is as before.
    shown = [
        msgspec.structs.replace(events[299], event_id=f"shown-{n}", action="impression") for n in range(40)
    ]
    shoal.feed([*events[:300], *shown])
    first = shoal.worker()
    shoal.settle(first)
    first.close()
    # What a user was sent is known to the next worker too.
    shoal.feed(events[300:400])
    worker = shoal.worker()
    shoal.settle(worker)
    lists = by_user(shoal)
    check_numbered(lists)
    assert worker.model.counts["records"] == worker.model.counts["events"] == 440
    assert worker.model.counts["lists"] == sum(map(len, lists.values()))
    if mode == "interval":
        assert {len(made) for made in lists.values()} == {1}
    for made in lists.values():
        orders = [[item["item_id"] for item in one["items"]] for one in made]
        assert all(one != other for one, other in pairwise(orders))


def test_what_is_processed_again_is_published_only_when_it_has_caught_up(
    service: Callable[..., Service],
    log: SyntheticLog,
    events: list[EventRecord],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ahead, now_ms = [HOUR_MS], SystemClock.now_ms
    monkeypatch.setattr(SystemClock, "now_ms", lambda clock: now_ms(clock) + ahead[0])
    shoal = service(publish={"after_catch_up": True, "catch_up_ms": 600_000})
    shoal.load(log.items)
    shoal.feed(events[:300])
    worker = shoal.worker()
    shoal.settle(worker)
    assert worker.model.counts["events"] == 300
    assert not shoal.lists(), "events of an hour ago"
    old = {p: end for p, (_, end) in shoal.broker.offsets(shoal.topics.events.name).items()}
    ahead[0] = 0
    shoal.feed(events[300:360])
    shoal.settle(worker)
    made = by_user(shoal)
    assert {e.user_id for e in events[300:360]} == {user for _, user in made}
    check_numbered(made)
    assert all(one["source"]["offset"] >= old[p] for (p, _), of in made.items() for one in of)
