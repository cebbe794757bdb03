"""Binary records: round trip, parts of many senders, damage."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from stream.errors import FormatError
from stream.wire import Assembler, Whole, pack, split, unpack

DTYPES = st.sampled_from(["<f4", ">f4", "<f8", "<f2", "<i4", ">i8", "<u8", "u1", "?"])
ARRAYS = arrays.arrays(DTYPES, arrays.array_shapes(min_dims=0, min_side=0, max_side=4))
PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text()
FIELDS = st.dictionaries(st.text(), PLAIN | ARRAYS | st.lists(PLAIN, max_size=3), max_size=5)


def damaged_array(dtype: str, shape: list[int], data: bytes) -> bytes:
    body = msgspec.msgpack.encode([dtype, shape, data])
    return msgspec.msgpack.encode({"a": msgspec.msgpack.Ext(1, body)})


@given(FIELDS)
def test_what_is_packed_is_unpacked(fields: dict[str, Any]) -> None:
    back = unpack(pack(fields))
    assert back.keys() == fields.keys()
    for name, value in fields.items():
        if isinstance(value, np.ndarray):
            assert back[name].dtype == value.dtype.newbyteorder("<")
            assert back[name].shape == value.shape
            assert back[name].flags.writeable
            np.testing.assert_array_equal(back[name], value)
        else:
            assert back[name] == value


def test_slices_and_transposes_are_packed_as_they_read() -> None:
    x = np.arange(12).reshape(3, 4)
    back = unpack(pack({"t": x.T, "s": x[:, ::2]}))
    np.testing.assert_array_equal(back["t"], x.T)
    np.testing.assert_array_equal(back["s"], x[:, ::2])


def test_what_cannot_be_written_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        pack({"x": object()})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93",
        b"no record",
        b"\x81\xa1\xff\x00",  # a key that is no UTF-8
        b"\x81\xa1a" + b"\x91" * 100_000 + b"\xc0",  # nested too deeply
        msgspec.msgpack.encode([1, 2]),
        msgspec.msgpack.encode({"a": msgspec.msgpack.Ext(2, b"")}),
        msgspec.msgpack.encode({"a": msgspec.msgpack.Ext(1, b"\xff")}),
        damaged_array("<f4", [2], b"123"),
        damaged_array("<f4", [-1, 2**62], b"1234"),
        damaged_array("O", [1], b"12345678"),
        damaged_array("i4,(", [1], b"1234"),
    ],
)
def test_damaged_bytes_are_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError):
        unpack(data)


@given(st.binary(max_size=60), FIELDS, st.data())
def test_no_bytes_raise_anything_else(noise: bytes, fields: dict[str, Any], data: st.DataObject) -> None:
    whole = bytearray(pack(fields))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    for record in (noise, bytes(whole)):
        for read in (unpack, Assembler().add):
            try:
                read(record)
            except FormatError:
                continue


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=6), st.integers(1, 9), st.randoms())
def test_parts_of_many_senders_are_put_together(wholes: list[bytes], limit: int, random: Any) -> None:
    queues = [split(f"w{n % 3}", n, data, limit) for n, data in enumerate(wholes)]
    found: list[Whole] = []
    assembler = Assembler()
    while any(queues):
        queue = random.choice([queue for queue in queues if queue])
        whole = assembler.add(queue.pop(0))
        assert (whole is not None) == (not queue)
        found += [whole] if whole is not None else []
    expected = [Whole(f"w{n % 3}", n, data) for n, data in enumerate(wholes)]
    assert sorted(found, key=lambda whole: whole.sequence) == expected


def test_parts_are_no_longer_than_asked_and_one_at_least() -> None:
    assert len(split("w", 0, b"")) == 1
    parts = split("w", 0, bytes(1_000), limit=300)
    assert len(parts) == 4
    assert max(map(len, parts)) < 300 + 40


def test_a_part_out_of_turn_or_of_another_format_is_refused() -> None:
    first, second, third = split("w", 7, b"abc", limit=1)
    assembler = Assembler()
    assembler.add(first)
    with pytest.raises(FormatError, match="part 2"):
        assembler.add(third)
    with pytest.raises(FormatError, match="part 1"):
        Assembler().add(second)
    later = msgspec.msgpack.decode(first)
    later[0] = 99
    with pytest.raises(FormatError, match="format 99"):
        Assembler().add(msgspec.msgpack.encode(later))
