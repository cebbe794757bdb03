"""The records of lists: valid JSON whatever the catalogue holds, as the schema has it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

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
from stream.recommending.exploring import EXPLORATION
from stream.recommending.fragments import LONGEST_NAME, SCORE_BYTES, ItemFragments, put_score
from stream.recommending.reasons import category_of, title_of
from stream.recommending.records import ListWriter, Published

SCHEMAS = Path(__file__).parents[3] / "docs" / "schemas"
SCHEMA = json.loads((SCHEMAS / "recommendations.schema.json").read_text())
SOURCES = ("popular", "popular", "trending", "together", "content", "exploration")
PUBLISHED = Published(
    user_id=["ann"],
    list_id=["g1-0-41"],
    user_seq=np.array([3]),
    explores=np.array([False]),
    propensity=np.zeros(1),
    cluster=np.array([5]),
    partition=np.array([0]),
    offset=np.array([41]),
    offsets=None,
    events=np.array([2]),
    event_time=np.array([1_736_150_400_000]),
    ingest_time=np.array([1_736_150_400_250]),
    model_version=812,
    encoder_id="hashing:1:384",
)
NOWHERE = np.array([-1])
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
    named: list[int] | None = None,
    reasons: bool = True,
) -> dict[str, Any]:
    """The record of all items of ``catalogue``, checked against the schema; their reasons name what is ``named``."""
    n = len(catalogue.index)
    clusters = SharedClusters(ClusteringSettings())
    ids = np.array(sorted(labels or {}), np.int64)
    segments = np.tile([[1], [4]], (1, len(ids)))
    clusters.name(Named(ids, [(labels or {})[i] for i in ids.tolist()], Hierarchy(ids, segments, next_id=5)))
    writer = ListWriter(ItemFragments(catalogue), clusters, item_ids or {}, SOURCES, reasons)
    sources = (np.arange(n) % len(SOURCES)).astype(np.uint8)
    row = np.array([*range(n), -1], np.int32)  # the last place is empty
    score = np.array([*(scores or [0.5] * n), np.nan], np.float32)
    names = np.array([*(named or [-1] * n), -1])
    (record,) = writer.write(
        published, row[None], score[None], np.append(sources, np.uint8(0))[None], names[None]
    )
    made = json.loads(record)
    Draft202012Validator(SCHEMA).validate(made)
    assert isinstance(made, dict)
    return made


def reasons_of(made: dict[str, Any]) -> list[str]:
    return [item["reason"] for item in made["items"]]


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
    published = replace(PUBLISHED, user_id=[text], encoder_id=text)
    made = write(catalogue, published, labels={5: text})
    assert (made["user_id"], made["encoder_id"]) == (text, text)
    assert made["cluster"] == {"id": 5, "label": text, "segments": [1, 4]}
    (item,) = made["items"]
    assert (item["item_id"], item["title"], item["category"]) == (text, text, text)


@given(st.lists(st.tuples(TEXT.filter(bool), TEXT), max_size=5, unique_by=lambda pair: pair[0]), TEXT)
def test_any_texts_come_back_as_they_were(items: list[tuple[str, str]], label: str) -> None:
    catalogue = catalogue_of(*(ItemRecord(item_id=name, title=title) for name, title in items))
    made = write(catalogue, labels={5: label})
    listed: list[dict[str, str]] = made["items"]
    assert [(item["item_id"], item.get("title", "")) for item in listed] == items
    assert [item["source"] for item in listed] == [SOURCES[row % len(SOURCES)] for row in range(len(items))]


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=5))
def test_scores_are_numbers_with_five_decimals(scores: list[float]) -> None:
    catalogue = catalogue_of(*(ItemRecord(item_id=str(n)) for n in range(len(scores))))
    listed: list[dict[str, float]] = write(catalogue, scores=scores)["items"]
    np.testing.assert_allclose([item["score"] for item in listed], scores, rtol=1e-7, atol=6e-6)


def test_reasons_name_the_cluster_where_it_has_a_name() -> None:
    catalogue = catalogue_of(*(ItemRecord(item_id=str(n)) for n in range(5)))

    def reason(published: Published, labels: dict[int, str]) -> str:
        listed: list[dict[str, str]] = write(catalogue, published, labels)["items"]
        (text,) = {item["reason"] for item in listed if item["source"] == "trending"}
        return text

    assert reason(PUBLISHED, {5: "wool"}) == "popular in wool"
    assert (
        reason(PUBLISHED, {}) == reason(replace(PUBLISHED, cluster=NOWHERE), {}) == "popular in your cluster"
    )


@pytest.mark.parametrize("text", NASTY)
def test_reasons_name_titles_and_categories_whatever_stands_in_them(text: str) -> None:
    catalogue = catalogue_of(
        *(ItemRecord(item_id=str(n), title=text, category=text) for n in range(len(SOURCES)))
    )
    named = [-1] * 3 + [title_of(1), title_of(2), category_of(5)]
    made = write(catalogue, replace(PUBLISHED, propensity=np.array([0.5])), {5: text}, named=named)
    assert reasons_of(made)[3:] == [f"together with {text}", f"like {text}", f"new in {text}"]
    assert made["items"][5]["propensity"] == 0.5


def test_a_reason_names_an_item_by_its_id_and_nothing_where_that_is_unknown() -> None:
    catalogue = catalogue_of(*(ItemRecord(item_id=f"i{n}") for n in range(4)))
    catalogue.index.insert(hash_texts(["known"]))
    for row, expected in (
        (title_of(1), "together with i1"),
        (title_of(4), "together with known"),
        (title_of(9), "taken together with what you took"),
        (category_of(1), "taken together with what you took"),
        (-1, "taken together with what you took"),
    ):
        made = write(catalogue, item_ids={4: "known"}, named=[-1, -1, -1, row, -1])
        assert reasons_of(made)[3] == expected


def test_a_long_title_is_cut_in_a_reason() -> None:
    title = "the same again " * 9
    made = write(
        catalogue_of(*(ItemRecord(item_id=str(n), title=title) for n in range(4))), named=[-1, -1, -1, 0]
    )
    assert made["items"][3]["title"] == title
    assert reasons_of(made)[3] == f"together with {title[: LONGEST_NAME - 1].rstrip()}…"


def test_without_reasons_there_are_none() -> None:
    catalogue = catalogue_of(*(ItemRecord(item_id=str(n)) for n in range(4)))
    made = write(catalogue, labels={5: "wool"}, reasons=False)
    assert {key for item in made["items"] for key in item} == {"item_id", "score", "source"}


def test_a_list_of_nothing_of_nobody_in_particular() -> None:
    made = write(catalogue_of(), replace(PUBLISHED, cluster=NOWHERE, model_version=-1))
    assert (made["items"], made["cluster"]) == ([], None)


def test_an_item_without_an_entry_is_named_by_its_id() -> None:
    catalogue = catalogue_of(ItemRecord(item_id="a", title="known"))
    catalogue.index.insert(hash_texts(["b"]))
    listed: list[dict[str, str]] = write(catalogue, item_ids={1: 'b "2"'})["items"]
    assert listed[1]["item_id"] == 'b "2"'
    assert "title" not in listed[1]


def test_offsets_stand_there_only_where_provenance_is_asked_for() -> None:
    assert "offsets" not in write(catalogue_of())["source"]
    made = write(catalogue_of(), replace(PUBLISHED, offsets=[[40, 41]]))
    assert made["source"] == {"partition": 0, "offset": 41, "events": 2, "offsets": [40, 41]}


def test_records_of_many_users_part_where_they_should() -> None:
    catalogue = catalogue_of(*(ItemRecord(item_id=str(n), title="x" * n) for n in range(40)))
    clusters, rng = SharedClusters(ClusteringSettings()), np.random.default_rng(0)
    writer = ListWriter(ItemFragments(catalogue), clusters, {}, SOURCES)
    for m in (0, 1, 30):
        item = rng.permuted(np.tile(np.arange(40, dtype=np.int32), (m, 1)), axis=1)[:, :7]
        item[np.arange(7) >= rng.integers(0, 8, m)[:, None]] = -1
        score = rng.normal(size=item.shape).astype(np.float32)
        source = rng.integers(0, len(SOURCES) - 1, item.shape).astype(np.uint8)
        column = np.arange(m)
        explores = column % 2 == 1
        propensity = np.where(explores & (item[:, 0] >= 0), 0.01 * (1 + column % 4), 0)
        published = Published(
            [f"u{n}" for n in column], [f"g1-0-{n}" for n in column], column, explores, propensity, column % 3 - 1,
            column, column, None, column, column, column, 1, "hashing",
        )  # fmt: skip
        named = np.where(item >= 0, rng.integers(-1, 20, item.shape) * 2, -1)  # titles, or nothing
        named[named < 0] = -1
        named[source == SOURCES.index("trending")] = -1
        records = [json.loads(record) for record in writer.write(published, item, score, source, named)]
        assert [record["user_id"] for record in records] == list(published.user_id)
        columns = (item.tolist(), source.tolist(), explores.tolist(), propensity.tolist(), named.tolist())
        for record, rows, sources, tries, chance, names in zip(records, *columns, strict=True):
            Draft202012Validator(SCHEMA).validate(
                record | {"user_seq": 1, "source": {**record["source"], "events": 1}}
            )
            assert [int(entry["item_id"]) for entry in record["items"]] == [r for r in rows if r >= 0]
            expected = [SOURCES[s] for r, s in zip(rows, sources, strict=True) if r >= 0]
            if chance:
                assert record["items"][-1]["propensity"] == chance
                expected[-1] = EXPLORATION
            assert [entry["source"] for entry in record["items"]] == expected
            for entry, name in zip(record["items"], names, strict=False):
                if name > 0:  # the title of item 0 is empty, and its id is not
                    assert entry["reason"].endswith("x" * (name // 2))
            assert record["variant"] == ("explore" if tries else "plain")


def test_an_entry_that_changes_is_written_anew() -> None:
    catalogue = catalogue_of(ItemRecord(item_id="a", title="old", updated_at=1))
    fragments = ItemFragments(catalogue)
    row = np.zeros(1, np.int32)

    def opening() -> bytes:
        texts = fragments.openings(row, {})
        return texts.data[texts.start[0] :][: texts.size[0]].tobytes()

    assert opening() == b'{"item_id":"a","title":"old","score":'
    catalogue.upsert([ItemRecord(item_id="a", title="new", updated_at=2)])
    assert opening() == b'{"item_id":"a","title":"new","score":'


@pytest.mark.parametrize(
    ("score", "text"),
    [
        (0.0, "0.00000"), (-0.0, "0.00000"), (0.999999, "1.00000"), (-1e-7, "0.00000"), (-2.5, "-2.50000"),
        (123.456, "123.45600"), (9.999995, "10.00000"), (1e30, "1000000000000.00000"), (-1e30, "-1000000000000.00000"),
    ],
)  # fmt: skip
def test_how_a_score_is_written(score: float, text: str) -> None:
    out = np.zeros(SCORE_BYTES, np.uint8)
    assert out[: put_score(score, out, 0)].tobytes().decode() == text


def test_a_score_that_is_no_number_is_an_error_not_broken_json() -> None:
    with pytest.raises(ArithmeticError):
        write(catalogue_of(ItemRecord(item_id="a")), scores=[float("nan")])
