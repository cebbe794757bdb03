"""The catalogue: what is known of items, their text, their vectors, and whether they may be listed.

Rows are those of an index that the model shares. So there are rows of items of which no entry has come yet:
they have no text and no vector, and may be listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from stream.events.items import DecodedItems, decode_items, is_older
from stream.events.schema import Attribute, ItemRecord
from stream.hashing import HashIndex, hash_text, hash_texts

__all__ = ["Catalogue", "DecodedItems", "decode_items", "item_text"]

Rows = npt.NDArray[np.int64]

_encode = msgspec.json.Encoder().encode


def item_text(item: ItemRecord) -> str:
    """Give the text that is encoded of an item: title, category, brand, description, attributes, where there.

    Examples
    --------
    >>> item_text(ItemRecord(item_id="1", title="Fell shoe", brand="Hob.", attributes={"drop in mm": 4}))
    'Fell shoe. Hob. drop in mm: 4'
    """
    attributes = "; ".join(
        f"{name}: {_readable(value)}" for name, value in item.attributes.items() if value is not None
    )
    parts = [item.title, item.category, item.brand, item.description, attributes]
    return ". ".join(stripped for part in parts if (stripped := part.strip().rstrip(".")))


def _readable(value: Attribute) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


class _Columns:
    """Arrays over the rows, and how they grow."""

    def __init__(self, dimensions: int) -> None:
        self.size = 0
        self.known = np.zeros(0, np.bool_)
        self.available = np.ones(0, np.bool_)
        self.available_from = np.zeros(0, np.int64)
        self.price = np.zeros(0, np.float32)
        self.category = np.zeros(0, np.uint64)
        self.pending = np.zeros(0, np.bool_)
        self.has_vector = np.zeros(0, np.bool_)
        self.vectors = np.zeros((0, dimensions), np.float32)

    def reserve(self, rows: int) -> None:
        """Have at least ``rows`` rows; those that are new are of unknown items."""
        self.size = max(self.size, rows)
        more = max(rows, 2 * len(self.known), 1024) - len(self.known)
        if rows <= len(self.known):
            return
        for name in ("known", "available_from", "category", "pending", "has_vector", "vectors"):
            old = getattr(self, name)
            setattr(self, name, np.concatenate([old, np.zeros((more, *old.shape[1:]), old.dtype)]))
        self.available = np.concatenate([self.available, np.ones(more, np.bool_)])
        self.price = np.concatenate([self.price, np.full(more, np.nan, np.float32)])


class Catalogue:
    """Items by the rows of ``index``; n is the number of those rows. Not thread-safe.

    Examples
    --------
    >>> catalogue = Catalogue(HashIndex(), dimensions=3)
    >>> catalogue.upsert([ItemRecord(item_id="a", title="Lamp", category="Home")]).tolist()
    [0]
    >>> catalogue.texts(catalogue.pending()), catalogue.fragment(0)
    (['Lamp. Home'], b'{"item_id":"a","title":"Lamp","category":"Home"}')
    """

    def __init__(self, index: HashIndex, dimensions: int) -> None:
        self.index = index
        self.version = 0  # moves on when an entry, a vector or what may be listed has changed
        self._columns = _Columns(dimensions)
        self._items: dict[int, ItemRecord] = {}
        self._ids: dict[int, str] = {}  # of rows that have no entry
        self._fragments: dict[int, bytes] = {}

    def __len__(self) -> int:
        """How many items have an entry."""
        return len(self._items)

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """Whether an entry is there (n,); a view, as all of these arrays."""
        return self._current().known[: self._columns.size]

    @property
    def available(self) -> npt.NDArray[np.bool_]:
        """Whether the item may be listed (n,); of an unknown item yes, of a removed one no."""
        return self._current().available[: self._columns.size]

    @property
    def available_from(self) -> npt.NDArray[np.int64]:
        """The time before which the item is not to be listed (n,), in ms; 0 where there is none."""
        return self._current().available_from[: self._columns.size]

    @property
    def price(self) -> npt.NDArray[np.float32]:
        """Prices (n,), NaN where there is none."""
        return self._current().price[: self._columns.size]

    @property
    def category(self) -> npt.NDArray[np.uint64]:
        """Hashes of the categories (n,), 0 where there is none."""
        return self._current().category[: self._columns.size]

    @property
    def has_vector(self) -> npt.NDArray[np.bool_]:
        """Whether ``vectors`` holds something (n,)."""
        return self._current().has_vector[: self._columns.size]

    @property
    def vectors(self) -> npt.NDArray[np.float32]:
        """What the encoder made of the texts (n, dimensions); while pending, of the old one."""
        return self._current().vectors[: self._columns.size]

    def reserve(self, rows: int) -> None:
        """Have at least ``rows`` rows; the arrays also grow by themselves with the index."""
        self._columns.reserve(rows)

    def rows(self, hashes: npt.NDArray[np.uint64]) -> Rows:
        """Rows of items (m,), -1 where the index has none."""
        return self.index.find(hashes)

    def item(self, row: int) -> ItemRecord | None:
        """Give the entry of a row."""
        return self._items.get(row)

    def text(self, row: int) -> str:
        """Give what is encoded of the item; empty where there is no entry."""
        item = self._items.get(row)
        return item_text(item) if item else ""

    def texts(self, rows: Rows) -> list[str]:
        """``text`` of each."""
        return [self.text(row) for row in rows.tolist()]

    def pending(self) -> Rows:
        """Rows whose text is new or has changed, and waits for its vector."""
        return np.flatnonzero(self._current().pending[: self._columns.size])

    def is_pending(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """Whether each of ``rows`` (m,) is among ``pending``, bool (m,)."""
        return np.asarray(self._current().pending[rows])

    def set_vectors(self, rows: Rows, vectors: npt.NDArray[np.float32]) -> None:
        """Take ``vectors`` (m, dimensions) of the texts of ``rows`` (m,), which are pending no longer."""
        columns = self._current()
        columns.vectors[rows] = vectors
        columns.has_vector[rows] = True
        columns.pending[rows] = False
        self.version += 1

    def leave_without_vectors(self, rows: Rows) -> None:
        """Note that ``rows`` (m,) get no vector for the texts they have, and are pending no longer."""
        columns = self._current()
        columns.has_vector[rows] = columns.pending[rows] = False
        self.version += 1

    def upsert(self, items: Iterable[ItemRecord]) -> Rows:
        """Add or replace entries, and give their rows (m,); one updated before the entry in force does nothing."""
        items = list(items)
        rows = self.index.insert(hash_texts(item.item_id for item in items))
        self._current()
        for row, item in zip(rows.tolist(), items, strict=True):
            old = self._items.get(row)
            if old is None or (old != item and not is_older(item, old)):
                self._put(row, item, old)
                self.version += 1
        return rows

    def remove(self, item_ids: Sequence[str]) -> None:
        """Forget entries; their items are not listed any more. Ids get rows, as events may follow."""
        rows = self.index.insert(hash_texts(item_ids))
        columns = self._current()
        for array in (columns.known, columns.available, columns.pending, columns.has_vector):
            array[rows] = False
        columns.available_from[rows] = 0
        columns.category[rows] = 0
        columns.price[rows] = np.nan
        for row, item_id in zip(rows.tolist(), item_ids, strict=True):
            self._items.pop(row, None)
            self._fragments.pop(row, None)
            self._ids[row] = item_id
        self.version += len(rows) > 0

    def fragment(self, row: int) -> bytes:
        """Give the item as JSON: id, and title and category if any. Empty if not even the id is known."""
        found = self._fragments.get(row)
        if found is None:
            found = self._write_fragment(row)
            if found:  # an entry may come later
                self._fragments[row] = found
        return found

    def _write_fragment(self, row: int) -> bytes:
        item = self._items.get(row)
        if item is None:
            return _encode({"item_id": self._ids[row]}) if row in self._ids else b""
        shown = {"item_id": item.item_id, "title": item.title, "category": item.category}
        return _encode({name: value for name, value in shown.items() if value or name == "item_id"})

    def _put(self, row: int, item: ItemRecord, old: ItemRecord | None) -> None:
        columns = self._columns
        self._items[row] = item
        self._ids.pop(row, None)
        self._fragments.pop(row, None)
        columns.known[row] = True
        columns.available[row] = item.available and not item.blocked
        columns.category[row] = hash_text(item.category) if item.category else 0
        columns.available_from[row] = item.available_from or 0
        columns.price[row] = np.nan if item.price is None else item.price
        text = item_text(item)
        if not text:
            columns.has_vector[row] = columns.pending[row] = False
        elif old is None or text != item_text(old):
            columns.pending[row] = True

    def _current(self) -> _Columns:
        self._columns.reserve(len(self.index))
        return self._columns
