"""From the bytes of the items topic to entries and removals of the catalogue."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from stream.broker.interface import Records
from stream.events.batch import DeadLetter
from stream.events.parse import parse
from stream.events.reasons import Reason
from stream.events.schema import MAX_ID_BYTES, ItemMessage, ItemRecord, Time, id_texts
from stream.events.times import BAD_TIME, NO_TIME, describe, read_time

_decode_item = msgspec.json.Decoder(ItemMessage).decode


class DecodedItems(NamedTuple):
    """What records of the items topic say."""

    items: list[ItemRecord]
    rows: list[int]  # of each of ``items`` the record that it stood in
    removed: list[str]  # ids whose last record is a tombstone; none of them is in ``items``
    dead: list[DeadLetter]


def decode_items(records: Records) -> DecodedItems:
    """Read entries and removals; of each id what is in force after the last of ``records``.

    An entry without `item_id` takes the key of its record; a tombstone has nothing but its key. Nothing in a
    record raises: what cannot be taken is a dead letter.

    Examples
    --------
    >>> import numpy as np
    >>> two = np.arange(2)
    >>> values = [b'{"item_id": 7, "title": "Lamp"}', None]
    >>> records = Records("items", np.zeros(2, np.int32), two, two, [b"7", b"8"], values)
    >>> items, rows, removed, dead = decode_items(records)
    >>> items[0].item_id, items[0].title, rows, removed
    ('7', 'Lamp', [0], ['8'])
    """
    parsed = parse(records.values, _decode_item, ("item_id",))
    messages = dict(zip(parsed.rows, parsed.messages, strict=True))
    in_force: dict[str, ItemRecord | None] = {}
    stood: dict[str, int] = {}
    for row in sorted([*parsed.rows, *parsed.tombstones]):
        message = messages.get(row)
        entry = read_item(row, message or ItemMessage(), records.keys[row])
        if isinstance(entry, DeadLetter):
            parsed.dead.append(entry)
        elif message is None:
            in_force[entry.item_id] = None
        elif not is_older(entry, in_force.get(entry.item_id)):
            in_force[entry.item_id], stood[entry.item_id] = entry, row
    items = [entry for entry in in_force.values() if entry is not None]
    removed = [item_id for item_id, entry in in_force.items() if entry is None]
    rows = [stood[entry.item_id] for entry in items]
    return DecodedItems(items, rows, removed, sorted(parsed.dead, key=lambda letter: letter.row))


def is_older(entry: ItemRecord, other: ItemRecord | None) -> bool:
    """Tell whether both say when they were updated, and ``entry`` was before ``other``.

    Examples
    --------
    >>> is_older(ItemRecord(item_id="a", updated_at=1), ItemRecord(item_id="a", updated_at=2))
    True
    """
    if other is None or entry.updated_at is None or other.updated_at is None:
        return False
    return entry.updated_at < other.updated_at


def read_item(row: int, message: ItemMessage, key: bytes | None) -> ItemRecord | DeadLetter:
    """Make an entry of one message, or a dead letter; an item without an id takes its record's ``key``."""
    [item_id] = id_texts([message.item_id])
    try:
        item_id = item_id or (key or b"").decode()
    except UnicodeDecodeError:
        return DeadLetter(row, Reason.BAD_FIELD, "the record's key is not UTF-8")
    if not item_id:
        return DeadLetter(row, Reason.NO_ITEM_ID, "neither `item_id` nor the record's key names an item")
    if len(item_id.encode()) > MAX_ID_BYTES:
        return DeadLetter(row, Reason.LONG_ID, f"the record's key is longer than {MAX_ID_BYTES} bytes")
    read: list[int | None] = []
    for name in ("available_from", "updated_at"):
        raw: Time | None = getattr(message, name)
        millis = read_time(raw, "auto")
        if millis == BAD_TIME:
            return DeadLetter(
                row, Reason.BAD_TIME, f"`{name}` is {str(raw)[:80]}; expected {describe('auto')}"
            )
        read.append(None if millis == NO_TIME else millis)
    available_from, updated_at = read
    return ItemRecord(
        item_id=item_id,
        title=message.title or "",
        category=message.category or "",
        description=message.description or "",
        brand=message.brand or "",
        price=message.price,
        available=message.available is not False,
        available_from=available_from,
        blocked=message.blocked is True,
        updated_at=updated_at,
        attributes=message.attributes or {},
    )
