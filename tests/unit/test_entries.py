"""Entries of the model log, to bytes and back."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest

from stream.clustering.drift import DriftEvent
from stream.clustering.hierarchy import Hierarchy
from stream.clustering.lifecycle import Reshaped
from stream.clustering.lineage import LineageEvent
from stream.clustering.numbering import match_clusters
from stream.clustering.shared import Named
from stream.clustering.stats import ClusterStats
from stream.entries import (
    Delta,
    Entry,
    Labelled,
    Paced,
    Refitted,
    Reprojected,
    Reviewed,
    Seeded,
    TookOver,
    Trained,
    decode_entry,
    encode_entry,
)
from stream.errors import FormatError
from stream.recommending.distinct import sketch_of
from stream.recommending.exploring import Trials
from stream.recommending.item_models import ItemModel, ItemModels
from stream.recommending.ranker import RankerState, SampledLists
from stream.recommending.taught import Taught
from stream.steps import CONTEXTS, Steps
from stream.wire import pack, unpack

STATS = ClusterStats(np.array([0, 3]), np.array([2.0, 1.0]), np.ones((2, 4), np.float32), np.array([0.5, 0]))
DELTA = Delta(
    base_version=17,
    offsets={0: (5, 9), 11: (0, 0)},
    events=3,
    updates=2,
    items=np.array([2**64 - 1, 7], np.uint64),
    item_ids=["a", None],
    event_item=np.array([0, 1, 0], np.int32),
    event_weight=np.array([1, 0.5, 0.2], np.float32),
    event_new=np.array([True, False, True]),
    new_to=np.array([9, 8], np.uint64),
    steps=Steps(
        size=np.array([2, 1], np.int32),
        time=np.array([5, 6], np.int64),
        flags=np.array([3, 0], np.uint8),
        gap=np.array([0, 60], np.float32),
        cluster=np.array([3, -1], np.int32),
        keys=np.ones((2, CONTEXTS), np.uint64),
        window_size=np.array([0, 2], np.uint8),
        window=np.array([1, 0], np.int32),
        lag=np.array([1, 2], np.uint8),
    ),
    clusters=STATS,
    watched=np.zeros(3, np.float32),
    sample_users=np.array([9], np.uint64),
    sample_vectors=np.ones((1, 4), np.float16),
    taught=Taught(
        np.zeros((4, 4), np.float32),
        np.array([7], np.uint16),
        np.array([True]),
        SampledLists(
            np.array([2, 1], np.int32),
            np.ones((2, 3), np.float16),
            np.ones((3, 10), np.float16),
            np.array([True, False, True]),
        ),
    ),
    trials=Trials(np.array([5], np.uint64), np.array([5], np.uint64)),
    listed=sketch_of(np.array([2**64 - 1], np.uint64)),
    counts={"events": 3, "dropped.duplicate": 1},
)
SEEDED = Seeded(
    2, np.zeros(4, np.float32), np.eye(4, 2, dtype=np.float32), np.eye(2, dtype=np.float32), np.ones(2)
)
ENTRIES = [
    DELTA,
    replace(DELTA, clusters=None, dropped={0: [6, 7], 11: [0]}),
    SEEDED,
    Labelled(
        5, Named(np.array([0, 3]), ["wool", 'say "hi"'], Hierarchy(np.array([0, 3]), np.array([[0, 1]]), 2))
    ),
    Reprojected(
        6, np.zeros(4, np.float32), np.eye(4, 2, dtype=np.float32), np.eye(2, dtype=np.float32), np.ones(2)
    ),
    Reviewed(6, None),
    Reviewed(
        7,
        Reshaped(
            next_id=4,
            next_id_after=6,
            gone=np.array([1]),
            ids=np.array([4, 5]),
            means=np.ones((2, 3), np.float32),
            weights=np.ones(2),
            errors=np.zeros(2),
            events=[
                LineageEvent(1, "merged", "twin", heir=0),
                LineageEvent(4, "born", "wide", parents=(0, 3)),
            ],
        ),
    ),
    Paced(8, DriftEvent("drift", 4.0, 0.3)),
    TookOver(8, match_clusters(np.array([0, 1]), np.array([7, 8]), np.arange(3), np.array([7, 8, 9]), 9)),
    Trained(6, RankerState.prior(4, seed=1), lists=256),
    Refitted(
        9,
        ItemModels(
            20_000,
            np.array([5, 2**63], np.uint64),
            [ItemModel("ease", np.array([[1, -1], [0, 1]], np.int16), np.ones((2, 2), np.float16))],
        ),
    ),
]


def assert_same(one: object, other: object) -> None:
    assert type(one) is type(other)
    for f in fields(one):  # type: ignore[arg-type]
        mine, theirs = getattr(one, f.name), getattr(other, f.name)
        if is_dataclass(mine):
            assert_same(mine, theirs)
        elif isinstance(mine, list) and mine and is_dataclass(mine[0]):
            for a, b in zip(mine, theirs, strict=True):
                assert_same(a, b)
        elif isinstance(mine, np.ndarray):
            assert mine.dtype == theirs.dtype
            np.testing.assert_array_equal(mine, theirs)
        else:
            assert mine == theirs


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_comes_back_as_it_was(entry: Entry) -> None:
    assert_same(decode_entry(encode_entry(entry)), entry)


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_same_entry_is_the_same_bytes(entry: Entry) -> None:
    data = encode_entry(entry)
    assert encode_entry(decode_entry(data)) == data


def changed(**fields: object) -> bytes:
    return pack(unpack(encode_entry(DELTA)) | fields)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc0",
        pack({}),
        pack({"#": "Delta"}),
        pack({"#": "unheard of"}),
        pack({"#": ["Delta"]}),
        pack({"#": "RankerState"}),
        encode_entry(Trained(6, RankerState.prior(4, seed=1), lists=2)).replace(b"steps", b"staps"),
        changed(surprise=1),
        changed(offsets={0: (1,)}),
        changed(offsets={"x": (1, 2)}),
        changed(offsets=None),
        changed(clusters={"#": "ClusterStats", "ids": 1}),
        encode_entry(DELTA)[:-9],
    ],
)
def test_what_is_no_entry_is_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError):
        decode_entry(data)
