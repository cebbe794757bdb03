from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.broker.interface import Records
from stream.events.items import DecodedItems, decode_items

MS = 1_736_150_400_000


def take(*pairs: tuple[bytes | None, object]) -> DecodedItems:
    n = len(pairs)
    values = [v if v is None or isinstance(v, bytes) else json.dumps(v).encode() for _, v in pairs]
    places = np.arange(n, dtype=np.int64)
    return decode_items(
        Records("items", np.zeros(n, np.int32), places, places, [k for k, _ in pairs], values)
    )


def test_fields_are_read() -> None:
    entry = {
        "item_id": 7,
        "title": "Lamp",
        "category": "Home",
        "description": "Warm",
        "brand": "Hob",
        "price": 5,
        "available": False,
        "available_from": MS // 1000,
        "updated_at": "2025-01-06T08:00:00Z",
        "attributes": {"watts": 5, "colours": ["red"]},
        "warehouse": 3,
    }
    [item] = take((b"7", entry)).items
    assert (item.item_id, item.title, item.category, item.description, item.brand) == (
        "7", "Lamp", "Home", "Warm", "Hob"
    )  # fmt: skip
    assert (item.price, item.available, item.available_from, item.updated_at) == (5.0, False, MS, MS)
    assert item.attributes == {"watts": 5, "colours": ["red"]}


def test_the_key_names_an_item_that_does_not_name_itself() -> None:
    assert take((b"k", {"title": "Lamp"})).items[0].item_id == "k"


def test_the_last_record_of_an_id_is_in_force() -> None:
    items, rows, removed, dead = take(
        (b"a", {"item_id": "a", "title": "old"}),
        (b"b", {"item_id": "b", "title": "there"}),
        (b"c", None),
        (b"b", None),
        (b"a", {"item_id": "a", "title": "new"}),
        (b"c", {"item_id": "c", "title": "back"}),
    )
    assert {item.item_id: item.title for item in items} == {"a": "new", "c": "back"}
    assert dict(zip([item.item_id for item in items], rows, strict=True)) == {"a": 4, "c": 5}
    assert removed == ["b"]
    assert not dead


def test_an_older_update_that_comes_later_does_nothing() -> None:
    [item] = take(
        (b"a", {"item_id": "a", "title": "new", "updated_at": MS + 1}),
        (b"a", {"item_id": "a", "title": "old", "updated_at": MS}),
    ).items
    assert item.title == "new"


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (None, {"title": "x"}, "no_item_id"),
        (None, None, "no_item_id"),
        (b"", None, "no_item_id"),
        (b"\xff", None, "bad_field"),
        (b"k" * 513, None, "long_id"),
        (b"k", {"item_id": "i" * 513}, "long_id"),
        (b"k", b"{", "bad_json"),
        (b"k", {"item_id": "i", "price": "cheap"}, "bad_field"),
        (b"k", {"item_id": "i", "updated_at": 3}, "bad_time"),
        (b"k", {"item_id": "i", "attributes": {"x": {"y": 1}}}, "bad_field"),
    ],
)
def test_what_cannot_be_taken_is_a_dead_letter(key: bytes | None, value: object, reason: str) -> None:
    items, _, removed, dead = take((b"a", {"title": "x"}), (key, value))
    assert ([item.item_id for item in items], removed) == (["a"], [])
    assert [(letter.row, letter.reason) for letter in dead] == [(1, reason)]


@given(st.lists(st.tuples(st.none() | st.binary(), st.none() | st.binary())))
def test_arbitrary_bytes_never_raise(pairs: list[tuple[bytes | None, object]]) -> None:
    items, _, removed, dead = take(*pairs)
    assert len(items) + len(removed) + len(dead) <= len(pairs)


def test_the_schema_is_one_and_its_examples_are_taken(schemas: Path) -> None:
    schema = json.loads((schemas / "item.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    for example in schema["examples"]:
        jsonschema.validate(example, schema)
        [item] = take((None, example)).items
        jsonschema.validate(json.loads(item.to_json()), schema)
