from __future__ import annotations

import json

import numpy as np
import pytest

from stream.catalogue import Catalogue, item_text
from stream.events.schema import ItemRecord
from stream.hashing import HashIndex, hash_text, hash_texts


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue(HashIndex(), dimensions=2)


def row(catalogue: Catalogue, item_id: str) -> int:
    return int(catalogue.rows(hash_texts([item_id]))[0])


def lamp(**changes: object) -> ItemRecord:
    return ItemRecord(**{"item_id": "a", "title": "Lamp", **changes})  # type: ignore[arg-type]


def test_text_holds_what_there_is_in_a_fixed_order() -> None:
    full = lamp(
        category="Home",
        brand="Hob",
        description="Warm light.",
        attributes={"W": 5, "no": None, "in": ["red", "blue"]},
    )
    assert item_text(full) == "Lamp. Home. Hob. Warm light. W: 5; in: red, blue"
    assert item_text(lamp(title="", category=" Home ")) == "Home"
    assert item_text(lamp(title="")) == ""


def test_rows_of_the_shared_index_that_nobody_described(catalogue: Catalogue) -> None:
    catalogue.index.insert(hash_texts(["x", "y"]))
    catalogue.upsert([lamp()])
    assert row(catalogue, "a") == 2
    assert catalogue.known.tolist() == [False, False, True]
    assert catalogue.available.tolist() == [True, True, True]
    assert catalogue.has_vector.tolist() == [False, False, False]
    assert catalogue.vectors.shape == (3, 2)
    assert (catalogue.text(0), catalogue.fragment(0), catalogue.item(0)) == ("", b"", None)
    assert len(catalogue) == 1


def test_arrays_grow_with_the_index_and_keep_what_they_hold(catalogue: Catalogue) -> None:
    catalogue.upsert([lamp(available=False, price=3.0)])
    catalogue.set_vectors(np.array([0]), np.ones((1, 2), np.float32))
    catalogue.index.insert(hash_texts(f"i{n}" for n in range(5_000)))
    assert len(catalogue.available) == len(catalogue.vectors) == len(catalogue.price) == 5_001
    assert catalogue.available.sum() == 5_000
    assert catalogue.vectors.sum() == 2
    assert (catalogue.price[0], int(np.isnan(catalogue.price).sum())) == (3.0, 5_000)


def test_a_text_waits_for_its_vector_once(catalogue: Catalogue) -> None:
    catalogue.upsert([lamp(), lamp(item_id="b"), lamp(item_id="mute", title="")])
    assert catalogue.pending().tolist() == [0, 1]
    catalogue.set_vectors(catalogue.pending(), np.ones((2, 2), np.float32))
    assert catalogue.pending().tolist() == []
    assert catalogue.has_vector.tolist() == [True, True, False]
    catalogue.upsert([lamp(price=9.0), lamp(item_id="b", title="Torch")])
    assert catalogue.pending().tolist() == [1]
    assert catalogue.texts(catalogue.pending()) == ["Torch"]
    assert catalogue.has_vector.tolist() == [True, True, False]  # the old vector serves till then


def test_a_text_that_goes_away_takes_its_vector_along(catalogue: Catalogue) -> None:
    catalogue.upsert([lamp()])
    catalogue.set_vectors(np.array([0]), np.ones((1, 2), np.float32))
    catalogue.upsert([lamp(title="")])
    assert (catalogue.has_vector[0], catalogue.pending().tolist()) == (False, [])


def test_an_older_update_is_ignored_and_one_without_a_time_is_not(catalogue: Catalogue) -> None:
    catalogue.upsert([lamp(title="new", updated_at=2), lamp(title="old", updated_at=1)])
    assert catalogue.text(0) == "new"
    catalogue.upsert([lamp(title="timeless")])
    assert catalogue.text(0) == "timeless"


def test_the_same_entry_again_changes_nothing(catalogue: Catalogue) -> None:
    catalogue.upsert([lamp()])
    before = catalogue.version
    catalogue.upsert([lamp()])
    assert catalogue.version == before
    catalogue.upsert([lamp(available=False)])
    assert catalogue.version == before + 1


def test_removed_items_are_not_listed_until_they_are_back(catalogue: Catalogue) -> None:
    catalogue.upsert([lamp(price=1.0, available_from=5)])
    catalogue.set_vectors(np.array([0]), np.ones((1, 2), np.float32))
    catalogue.remove(["a", "never-seen"])
    assert (
        catalogue.available.tolist()
        == catalogue.known.tolist()
        == catalogue.has_vector.tolist()
        == [False, False]
    )
    assert (catalogue.text(0), catalogue.fragment(0), len(catalogue)) == ("", b'{"item_id":"a"}', 0)
    assert (catalogue.available_from[0], np.isnan(catalogue.price[0])) == (0, True)
    catalogue.upsert([lamp()])
    assert (catalogue.available[0], catalogue.pending().tolist()) == (True, [0])


def test_fragments_are_json_and_follow_the_entry(catalogue: Catalogue) -> None:
    title = 'Lamp "très" \\ \n 灯'
    catalogue.upsert([lamp(title=title, category="Home")])
    assert json.loads(catalogue.fragment(0)) == {"item_id": "a", "title": title, "category": "Home"}
    assert catalogue.fragment(0) is catalogue.fragment(0)
    catalogue.upsert([lamp(title="Torch")])
    assert catalogue.fragment(0) == b'{"item_id":"a","title":"Torch"}'


def test_of_an_item_without_an_entry_there_is_no_fragment_until_it_comes(catalogue: Catalogue) -> None:
    row = int(catalogue.index.insert(hash_texts(["a"]))[0])
    assert catalogue.fragment(row) == b""
    catalogue.upsert([lamp(title="Torch")])
    assert catalogue.fragment(row) == b'{"item_id":"a","title":"Torch"}'


def test_a_blocked_item_may_not_be_listed_available_or_not() -> None:
    catalogue = Catalogue(HashIndex(), 2)
    catalogue.upsert([lamp(blocked=True)])
    assert catalogue.available.tolist() == [False]
    catalogue.upsert([lamp()])
    assert catalogue.available.tolist() == [True]


def test_categories_stand_beside_the_items() -> None:
    catalogue = Catalogue(HashIndex(), 2)
    catalogue.upsert([lamp(category="Home"), ItemRecord(item_id="b")])
    assert catalogue.category.tolist() == [hash_text("Home"), 0]
    catalogue.upsert([lamp(category="")])
    assert catalogue.category.tolist() == [0, 0]
    catalogue.upsert([lamp(category="Home")])
    catalogue.remove(["a"])
    assert catalogue.category[0] == 0
