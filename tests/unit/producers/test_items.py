from __future__ import annotations

from producers.items import BATCH, load_items, remove_items
from stream.broker.interface import Records, TopicSpec
from stream.broker.memory import MemoryBroker
from stream.events.items import decode_items
from stream.events.schema import ItemRecord


def stored(broker: MemoryBroker) -> Records:
    return Records.concat("items", list(broker.reader("items", "earliest").read_to_end(1.0)))


def test_items_are_stored_by_id_and_progress_is_told() -> None:
    broker = MemoryBroker()
    broker.create_topics([TopicSpec("items", 2, compacted=True)])
    items = [ItemRecord(item_id=str(i), title=f"Item {i}") for i in range(BATCH + 3)]
    heard: list[int] = []
    assert load_items(broker.publisher(), "items", iter(items), heard.append) == BATCH + 3
    assert heard == [BATCH, BATCH + 3]
    records = stored(broker)
    assert set(records.keys) == {item.key() for item in items}
    assert sorted(decode_items(records).items, key=lambda i: int(i.item_id)) == items


def test_removed_items_are_tombstones() -> None:
    broker = MemoryBroker()
    broker.create_topics([TopicSpec("items", 1, compacted=True)])
    load_items(broker.publisher(), "items", [ItemRecord(item_id="a"), ItemRecord(item_id="b")])
    assert remove_items(broker.publisher(), "items", ["a"]) == 1
    decoded = decode_items(stored(broker))
    assert ([item.item_id for item in decoded.items], decoded.removed) == (["b"], ["a"])
