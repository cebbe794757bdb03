"""Objects as plain data and back: equal ones come out, and what is not registered is refused."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stream.config import ClusteringSettings, Settings
from stream.errors import FormatError
from stream.hashing import HashIndex
from stream.state import Registry, attributes_by_kind
from stream.wire import pack, unpack


@dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: Any


class Holder:
    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


REGISTRY = Registry([Point, Holder, HashIndex])
SETTINGS = Settings.model_validate({"clustering": {"k": 7}})


def through_bytes(value: Any, registry: Registry = REGISTRY) -> Any:
    return registry.thaw(unpack(pack({"value": registry.freeze(value)}))["value"], SETTINGS)


NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(max_size=5) | st.binary(max_size=5)
KEYS = st.integers(0, 2**64 - 1) | st.text(max_size=5) | st.tuples(st.integers(0, 9), st.booleans())
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.lists(inner, max_size=3).map(lambda items: deque(items, 7))
        | st.dictionaries(KEYS, inner, max_size=3)
        | st.builds(Point, st.integers(0, 9), inner)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_values_come_back_as_they_were(value: Any) -> None:
    found = through_bytes(value)
    assert found == value
    assert repr(found) == repr(value)


@given(
    hnp.arrays(
        st.sampled_from(["f2", "f4", "f8", "i8", "u8", "u1", "?"]), hnp.array_shapes(max_dims=3, min_side=0)
    )
)
def test_arrays_come_back_with_type_and_shape_and_can_be_changed(array: np.ndarray) -> None:
    found = through_bytes(array)
    assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert found.flags.writeable


def test_kinds_of_containers_are_kept() -> None:
    assert through_bytes(Counter("abba")) == Counter("abba")
    assert type(through_bytes(Counter("abba"))) is Counter
    assert through_bytes({3, 1}) == {1, 3}
    assert through_bytes(deque([1], maxlen=4)).maxlen == 4
    scalar = through_bytes(np.float32(0.1))
    assert type(scalar) is np.float32
    assert scalar == np.float32(0.1)


def test_a_copy_is_taken_at_once() -> None:
    holder = Holder(array=np.zeros(2), items=[1], counts=Counter())
    frozen = REGISTRY.freeze(holder)
    holder.array[0], holder.counts["a"] = 1, 1
    holder.items.append(2)
    made = REGISTRY.thaw(frozen, SETTINGS)
    assert (made.array.tolist(), made.items, made.counts) == ([0, 0], [1], Counter())


def test_settings_come_from_the_place_where_it_is_made() -> None:
    found = through_bytes(Holder(all=Settings(), part=ClusteringSettings(k=3)))
    assert found.all is SETTINGS
    assert found.part is SETTINGS.clustering


def test_an_index_goes_on_with_the_same_rows() -> None:
    index = HashIndex()
    index.insert(np.arange(1, 3_000, dtype=np.uint64))
    made = through_bytes(index)
    more = np.array([5, 9_000, 2], np.uint64)
    assert made.insert(more).tolist() == index.insert(more).tolist()


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (threading.Lock(), "model.part is a lock"),
        (defaultdict(int), "defaultdict"),
        (np.array(["text"]), "array of <U4"),
        (np.zeros(1, [("a", "i4")]), "array of"),
        ([1, object()], r"model.part\[1\] is a object"),
    ],
)
def test_what_is_not_registered_is_refused_by_name(value: Any, word: str) -> None:
    with pytest.raises(FormatError, match=word):
        REGISTRY.freeze(Holder(part=value), "model")


def test_a_class_of_the_same_name_is_another_class() -> None:
    with pytest.raises(FormatError, match="Point"):
        Registry([type("Point", (), {})]).freeze(Point(1, 2))


@pytest.mark.parametrize(
    "plain",
    [
        {"#": "Path", "parts": []},
        {"#": "Point", "x": 1},
        {"#": "Point", "x": 1, "y": 2, "z": 3},
        {"#": "settings", "section": "Nonsense"},
        {"#": "HashIndex", "keys": []},
        {"x": 1},
        {"#": "dict", "keys": [1], "values": []},
    ],
)
def test_what_nobody_wrote_is_refused(plain: Any) -> None:
    with pytest.raises(FormatError):
        REGISTRY.thaw(plain, SETTINGS)


def test_attributes_are_told_by_class() -> None:
    frozen = REGISTRY.freeze([Holder(a=1), Holder(b=[Point(1, 2)])])
    assert attributes_by_kind(frozen) == {"Holder": {"#", "a", "b"}, "Point": {"#", "x", "y"}}
