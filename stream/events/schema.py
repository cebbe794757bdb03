"""Events and items as JSON: what Shoal writes (``...Record``) and what it takes (``...Message``).

The same in JSON Schema: ``docs/schemas``. What is taken is wider than what is written: ids may be numbers,
times may be seconds, milliseconds or ISO 8601, any field may be null, and unknown fields are passed over.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

# Of one id, in UTF-8. Real ids are below 100 bytes; a longer one is a field mixed up with another, and every
# list and state row that names it would carry its length.
MAX_ID_BYTES = 512

Id = str | int
Time = int | float | str
Attribute = str | int | float | bool | list[str] | None
Position = Annotated[int, msgspec.Meta(ge=0, le=32_767)]  # what the column's int16 holds


class ItemFields(msgspec.Struct, omit_defaults=True, frozen=True):
    """Catalogue fields that an event brings along."""

    title: str | None = None
    category: str | None = None
    description: str | None = None
    brand: str | None = None


class EventMessage(msgspec.Struct, gc=False):
    """An event as it may come in; what must be there is checked later, so that each lack has its reason."""

    event_id: Id | None = None
    user_id: Id | None = None
    anonymous_id: Id | None = None
    action: str | None = None
    item_id: Id | None = None
    timestamp: Time | None = None
    session_id: Id | None = None
    value: float | None = None
    text: str | None = None
    list_id: Id | None = None
    position: Position | None = None
    item: ItemFields | None = None


class ItemMessage(msgspec.Struct):
    """An item as it may come in."""

    item_id: Id | None = None
    title: str | None = None
    category: str | None = None
    description: str | None = None
    brand: str | None = None
    price: float | None = None
    available: bool | None = None
    available_from: Time | None = None
    blocked: bool | None = None
    updated_at: Time | None = None
    attributes: dict[str, Attribute] | None = None


class EventRecord(msgspec.Struct, omit_defaults=True, kw_only=True):
    """An event as Shoal writes it; fields that are not there are left out.

    Examples
    --------
    >>> EventRecord(user_id="u1", action="view", item_id="i9", timestamp=1_736_150_400_000).to_json()
    b'{"user_id":"u1","action":"view","item_id":"i9","timestamp":1736150400000}'
    """

    event_id: str | None = None
    user_id: str | None = None
    anonymous_id: str | None = None
    action: str
    item_id: str | None = None
    timestamp: int  # ms since the Unix epoch
    session_id: str | None = None
    value: float | None = None
    text: str | None = None
    list_id: str | None = None
    position: int | None = None
    item: ItemFields | None = None

    def to_json(self) -> bytes:
        """One JSON object, without a line end."""
        return _encode(self)

    def key(self) -> bytes | None:
        """Give the record's key: user, else anonymous id, so that the events of one stay in order."""
        identity = self.user_id or self.anonymous_id
        return identity.encode() if identity else None


class ItemRecord(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A catalogue entry as Shoal writes it; fields that are not there are left out."""

    item_id: str
    title: str = ""
    category: str = ""
    description: str = ""
    brand: str = ""
    price: float | None = None
    available: bool = True
    available_from: int | None = None  # ms; not listed before
    blocked: bool = False  # not to be listed, available or not
    updated_at: int | None = None  # ms; of two records of one item the older does nothing
    attributes: dict[str, Attribute] = {}

    def to_json(self) -> bytes:
        """One JSON object, without a line end."""
        return _encode(self)

    def key(self) -> bytes:
        """Give the record's key."""
        return self.item_id.encode()


_encode = msgspec.json.Encoder().encode


def id_texts(column: list[Id | None]) -> list[str | None]:
    """Turn ids into texts; None where there is none or an empty one.

    Examples
    --------
    >>> id_texts(["a", 0, "", None])
    ['a', '0', None, None]
    """
    return [x or None if x.__class__ is str else x if x is None else str(x) for x in column]
