from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.broker.interface import Records
from stream.errors import FormatError
from stream.events.batch import DeadLetter
from stream.events.dead_letters import PREVIEW, dead_letter_record, parse_dead_letter
from stream.events.reasons import Reason


def record(key: bytes | None, value: bytes | None) -> Records:
    return Records("shoal.events", np.array([2], np.int32), np.array([41]), np.array([99]), [key], [value])


@given(st.none() | st.binary(), st.none() | st.binary())
def test_bytes_and_place_come_back(key: bytes | None, value: bytes | None) -> None:
    written = dead_letter_record(record(key, value), DeadLetter(0, Reason.BAD_JSON, "why"))
    read = parse_dead_letter(written)
    assert (read.key, read.value) == (key, value)
    assert (read.topic, read.partition, read.offset, read.timestamp) == ("shoal.events", 2, 41, 99)
    assert (read.reason, read.detail) == ("bad_json", "why")


def test_bytes_are_base64_and_text_stands_beside_them_where_it_is_text() -> None:
    plain = json.loads(dead_letter_record(record(b"k", "grün".encode()), DeadLetter(0, "future", "")))
    assert base64.b64decode(plain["value"]).decode() == plain["value_text"] == "grün"
    assert plain["key_text"] == "k"
    assert "value_text" not in json.loads(dead_letter_record(record(None, b"\xff"), DeadLetter(0, "x", "")))


def test_the_text_is_a_preview_and_the_bytes_are_whole() -> None:
    read = parse_dead_letter(dead_letter_record(record(None, b"x" * 900_000), DeadLetter(0, "x", "")))
    assert read.value_text == "x" * PREVIEW
    assert len(read.value or b"") == 900_000


@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b"\xff", b'{"topic": 1}', b"[" * 100_000])
def test_what_is_no_dead_letter_says_so(value: bytes) -> None:
    with pytest.raises(FormatError, match="not a dead letter"):
        parse_dead_letter(value)
