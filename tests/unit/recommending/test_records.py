"""The records of lists: valid JSON whatever the catalogue holds, as the schema has it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from stream.catalogue import Catalogue
from stream.clustering.hierarchy import Hierarchy
from stream.clustering.shared import Named, SharedClusters
from stream.config import ClusteringSettings
from stream.events.schema import ItemRecord
from stream.hashing import HashIndex, hash_texts
from stream.recommending.mixture import source_names
from stream.recommending.records import ListWriter, Published

SCHEMAS = Path(__file__).parents[3] / "docs" / "schemas"
SCHEMA = json.loads((SCHEMAS / "recommendations.schema.json").read_text())
SOURCES = source_names(2)
PUBLISHED = Published(
    user_id="ann",
    list_id="g1-0-41",
    user_seq=3,
    cluster=5,
    partition=0,
    offset=41,
    offsets=None,
    events=2,
    event_time=1_736_150_400_000,
    ingest_time=1_736_150_400_250,
    model_version=812,
    encoder_id="hashing:1:384",
)
NASTY = [
    'say "hi"',
    "back\\slash",
    "line\nand\ttab",
    "\x00\x1b[31m",
    "😀 naïve 日本語",
    "</script><b>",
    "%d %s {}",
]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def catalogue_of(*items: ItemRecord) -> Catalogue:
    catalogue = Catalogue(HashIndex(), dimensions=2)
    catalogue.upsert(items)
    return catalogue


def write(
    catalogue: Catalogue,
    published: Published = PUBLISHED,
    labels: dict[int, str] | None = None,
    scores: list[float] | None = None,
    item_ids: dict[int, str] | None = None,
) -> dict[str, object]:
    """The record of all items of ``catalogue``, checked against the schema."""
    n = len(catalogue.index)
    clusters = SharedClusters(ClusteringSettings())
    ids = np.array(sorted(labels or {}), np.int64)
    segments = np.tile([[1], [4]], (1, len(ids)))
    clusters.name(Named(ids, [(labels or {})[i] for i in ids.tolist()], Hierarchy(ids, segments, next_id=5)))
    writer = ListWriter(catalogue, clusters, item_ids or {}, SOURCES)
    sources = [row % len(SOURCES) for row in range(n)]
    made = json.loads(writer.write(published, list(range(n)), scores or [0.5] * n, sources))
    Draft202012Validator(SCHEMA).validate(made)
    assert isinstance(made, dict)
    return made


@pytest.mark.parametrize("name", ["recommendations", "cluster"])
def test_the_schemas_are_schemas_and_hold_of_their_examples(name: str) -> None:
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    for example in schema["examples"]:
        Draft202012Validator(schema).validate(example)
    assert not Draft202012Validator(schema).is_valid({})


@pytest.mark.parametrize("text", NASTY)
def test_nothing_in_a_text_breaks_out_of_it(text: str) -> None:
    catalogue = catalogue_of(ItemRecord(item_id=text, title=text, category=text))
    published = replace(PUBLISHED, user_id=text, encoder_id=text)
    made = write(catalogue, published, labels={5: text})
    assert (made["user_id"], made["encoder_id"]) == (text, text)
    assert made["cluster"] == {"id": 5, "label": text, "segments": [1, 4]}
    (item,) = made["items"]  # type: ignore[misc]
    assert (item["item_id"], item["title"], item["category"]) == (text, text, text)


@given(st.lists(st.tuples(TEXT.filter(bool), TEXT), max_size=5, unique_by=lambda pair: pair[0]), TEXT)
def test_any_texts_come_back_as_they_were(items: list[tuple[str, str]], label: str) -> None:
    catalogue = catalogue_of(*(ItemRecord(item_id=name, title=title) for name, title in items))
    made = write(catalogue, labels={5: label})
    listed: list[dict[str, str]] = made["items"]  # type: ignore[assignment]
    assert [(item["item_id"], item.get("title", "")) for item in listed] == items
    assert [item["source"] for item in listed] == [SOURCES[row % len(SOURCES)] for row in range(len(items))]


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=5))
def test_scores_are_numbers_to_five_digits(scores: list[float]) -> None:
    catalogue = catalogue_of(*(ItemRecord(item_id=str(n)) for n in range(len(scores))))
    listed: list[dict[str, float]] = write(catalogue, scores=scores)["items"]  # type: ignore[assignment]
    np.testing.assert_allclose([item["score"] for item in listed], scores, rtol=1e-4)


def test_reasons_name_the_cluster_where_it_has_a_name() -> None:
    catalogue = catalogue_of(*(ItemRecord(item_id=str(n)) for n in range(5)))

    def reason(published: Published, labels: dict[int, str]) -> str:
        listed: list[dict[str, str]] = write(catalogue, published, labels)["items"]  # type: ignore[assignment]
        (text,) = {item["reason"] for item in listed if item["source"] == "trending"}
        return text

    assert reason(PUBLISHED, {5: "wool"}) == "popular in wool"
    assert reason(PUBLISHED, {}) == reason(replace(PUBLISHED, cluster=None), {}) == "popular in your cluster"


def test_a_list_of_nothing_of_nobody_in_particular() -> None:
    made = write(catalogue_of(), replace(PUBLISHED, cluster=None, model_version=-1))
    assert (made["items"], made["cluster"]) == ([], None)


def test_an_item_without_an_entry_is_named_by_its_id() -> None:
    catalogue = catalogue_of(ItemRecord(item_id="a", title="known"))
    catalogue.index.insert(hash_texts(["b"]))
    listed: list[dict[str, str]] = write(catalogue, item_ids={1: 'b "2"'})["items"]  # type: ignore[assignment]
    assert listed[1]["item_id"] == 'b "2"'
    assert "title" not in listed[1]


def test_offsets_stand_there_only_where_provenance_is_asked_for() -> None:
    assert "offsets" not in write(catalogue_of())["source"]  # type: ignore[operator]
    made = write(catalogue_of(), replace(PUBLISHED, offsets=[40, 41]))
    assert made["source"] == {"partition": 0, "offset": 41, "events": 2, "offsets": [40, 41]}
