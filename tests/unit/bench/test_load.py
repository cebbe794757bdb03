"""The log that the service is measured on."""

from __future__ import annotations

from collections import Counter

from bench.load import TURNS, Load, in_turns
from stream.events.schema import EventRecord


def log(n: int) -> list[EventRecord]:
    return [EventRecord(user_id="x", action="view", item_id=str(i), timestamp=i) for i in range(n)]


def test_users_come_for_as_many_events_in_a_row_as_are_asked_for() -> None:
    arranged = in_turns(log(120), per_list=3, turns=4)
    users = [e.user_id for e in arranged]
    assert [set(users[i : i + 3]) for i in range(0, 120, 3)] == [{users[i]} for i in range(0, 120, 3)]
    assert users[:30] == [f"user-{n // 3}" for n in range(30)]
    assert set(Counter(users).values()) == {12}


def test_times_and_each_users_items_stay_in_order() -> None:
    arranged = in_turns(log(120), per_list=3, turns=4)
    assert [e.timestamp for e in arranged] == list(range(120))
    items = [int(e.item_id or "") for e in arranged if e.user_id == "user-4"]
    assert items == sorted(items) == list(range(48, 60))


def test_a_generated_log_has_users_of_equal_size_with_tastes() -> None:
    load = Load.generated(960, 2, users=100, items=100)
    assert len(load.events) == 960
    assert len(load.items) == 100
    sizes = Counter(e.user_id for e in load.events)
    assert sorted(set(sizes.values())) == [2 * TURNS]
    assert load.texts() == sorted({e.text for e in load.events if e.text})
