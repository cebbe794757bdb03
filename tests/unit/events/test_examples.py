"""The mappings of the three public logs, on the logs themselves; figures as in the logs' descriptions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from stream.events.files import read_events, read_items
from stream.events.mapping import load_mapping
from stream.events.schema import EventRecord, ItemRecord


@dataclass
class Read:
    events: list[EventRecord]
    items: dict[str, ItemRecord]
    skipped: Counter[str]


def read(examples: Path, name: str, log: Path, items: Path) -> Read:
    mapping = load_mapping(examples / f"{name}.toml")
    skipped: Counter[str] = Counter()
    events = [event for chunk in read_events(log, mapping, skipped) for event in chunk]
    times = [event.timestamp for event in events]
    assert times == sorted(times)
    assert len({event.event_id for event in events}) == len(events)
    return Read(events, {item.item_id: item for item in read_items(items, mapping)}, +skipped)


def test_online_retail(examples: Path, shared_data: Path) -> None:
    log = shared_data / "online_retail" / "online_retail.csv.gz"
    found = read(examples, "online_retail", log, log)
    assert len(found.events) == 541_909
    known = [event for event in found.events if event.user_id]
    assert len(known) == 406_829
    assert len({event.user_id for event in known}) == 4_372
    assert Counter(event.action for event in known) == {"purchase": 397_924, "cancel": 8_905}
    assert found.events[0] == EventRecord(
        event_id="retail-0",
        user_id="17850",
        action="purchase",
        item_id="85123A",
        timestamp=1_291_191_960_000,
        session_id="536365",
        value=2.55,
    )
    assert len(found.items) == 3_665
    assert found.items["85123A"].title == "WHITE HANGING HEART T-LIGHT HOLDER"
    assert not found.skipped


def test_movietweetings(examples: Path, shared_data: Path) -> None:
    folder = shared_data / "movietweetings"
    found = read(examples, "movietweetings", folder / "ratings.dat.gz", folder / "movies.dat")
    assert len(found.events) == 100_000
    assert len({event.user_id for event in found.events}) == 16_554
    assert len(found.items) == 10_506
    assert {event.item_id for event in found.events} == set(
        found.items
    )  # leading zeros are kept on both sides
    assert found.items["0004972"].category == "Drama, History, Romance, War"
    assert found.items["0002844"].title == "Fantômas - À l'ombre de la guillotine (1913)"
    assert found.events[0].value == 6.0
    assert not found.skipped


def test_entree(examples: Path, shared_data: Path) -> None:
    archive = shared_data / "entree" / "entree_chicago.tar.xz"
    found = read(examples, "entree", archive, archive)
    assert len(found.events) == 233_871
    assert len({event.user_id for event in found.events}) == 20_093
    assert len({event.item_id for event in found.events}) == 645
    assert {event.item_id for event in found.events} <= set(found.items)
    assert Counter(event.action for event in found.events)["choose"] == 44_580
    assert found.items["0"].title == "Moti Mahal"
    assert found.items["0"].description.startswith("Short Drive, Carry in Wine and Beer, ")
    assert found.skipped == {"no_match": 6_092}  # visits whose end is not known
    visit = [event for event in found.events if event.session_id == "session.1996-Q3-0"]
    start = 842_098_625_000  # 07/Sep/1996:12:17:05
    assert [(event.action, event.item_id, event.timestamp - start) for event in visit] == [
        ("browse", "560", 0),
        ("browse", "110", 1_000),
        ("choose", "110", 2_000),
    ]


@pytest.mark.parametrize("name", ["online_retail", "movietweetings", "entree"])
def test_no_example_names_a_path(examples: Path, name: str) -> None:
    mapping = load_mapping(examples / f"{name}.toml")
    assert mapping.source.path is None
