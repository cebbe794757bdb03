from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.broker.interface import Records
from stream.config import EventSettings
from stream.events.batch import Decoded, InlineItem
from stream.events.decode import decode
from stream.events.schema import EventRecord, ItemFields
from stream.hashing import action_code, hash_text

MS = 1_736_150_400_000
SOUND = {"user_id": "u", "action": "view", "item_id": "i", "timestamp": MS}


def records(*values: object) -> Records:
    n = len(values)
    raw = [v if v is None or isinstance(v, bytes) else json.dumps(v).encode() for v in values]
    return Records(
        "events",
        np.full(n, 3, np.int32),
        np.arange(10, 10 + n, dtype=np.int64),
        np.full(n, MS, np.int64),
        [None] * n,
        raw,
    )


def take(*values: object, **changes: object) -> Decoded:
    return decode(records(*values), EventSettings(**changes), {3: 7})  # type: ignore[arg-type]


def without(*names: str, **changes: object) -> dict[str, object]:
    return {k: v for k, v in {**SOUND, **changes}.items() if k not in names}


def test_every_field_becomes_a_column() -> None:
    event = EventRecord(
        event_id="e",
        user_id="u",
        action="purchase",
        item_id="i",
        timestamp=MS,
        session_id="s",
        value=2.5,
        text="red shoes",
        list_id="l",
        position=4,
        item=ItemFields(title="Shoe", brand="Hob"),
    )
    batch = take(event.to_json()).events
    assert (batch.partition[0], batch.offset[0], batch.ingest_time[0], batch.epoch[0]) == (3, 10, MS, 7)
    assert batch.time[0] == MS
    assert batch.user_id == ["u"]
    assert batch.item_id == ["i"]
    ids = [batch.user, batch.item, batch.event_id, batch.session, batch.list_id]
    assert [column[0] for column in ids] == [hash_text(text) for text in "uiesl"]
    assert (batch.action[0], batch.weight[0]) == (action_code("purchase"), 1.0)
    assert (batch.value[0], batch.position[0]) == (2.5, 4)
    assert batch.text == ["red shoes"]
    assert batch.inline == [InlineItem("Shoe", "", "", "Hob")]
    dtypes = {name: getattr(batch, name).dtype for name in ("time", "user", "action", "weight", "position")}
    assert [str(d) for d in dtypes.values()] == ["int64", "uint64", "uint16", "float32", "int16"]


def test_what_is_not_there_is_marked() -> None:
    batch = take(SOUND).events
    assert [batch.event_id[0], batch.session[0], batch.list_id[0]] == [0, 0, 0]
    assert np.isnan(batch.value[0])
    assert batch.position[0] == -1
    assert (batch.text, batch.inline) == ([None], [None])


def test_null_and_unknown_fields_are_passed_over() -> None:
    nulls = {"session_id": None, "value": None, "text": None, "item": None, "position": None, "list_id": None}
    batch = take({**SOUND, **nulls, "browser": {"name": "x"}}, {**SOUND, "item": {"title": None}}).events
    assert len(batch) == 2
    assert batch.inline[1] == InlineItem()


def test_ids_may_be_numbers_and_zero_is_one() -> None:
    batch = take({**SOUND, "user_id": 0, "item_id": 2**64}).events
    assert (batch.user_id, batch.item_id) == (["0"], [str(2**64)])
    assert batch.user[0] == hash_text("0")


def test_the_anonymous_id_stands_in_for_the_user() -> None:
    decoded = take(
        without("user_id", anonymous_id=5), {**SOUND, "anonymous_id": "a"}, {**SOUND, "user_id": ""}
    )
    assert decoded.events.user_id == ["5", "u"]
    assert decoded.drops == {"no_identity": 1}


def test_action_names_count_without_case_and_unlisted_ones_get_the_default() -> None:
    batch = take(
        {**SOUND, "action": " Purchase"}, {**SOUND, "action": "wave"}, default_action_weight=0.125
    ).events
    assert batch.action.tolist() == [action_code("purchase"), action_code("wave")]
    assert batch.weight.tolist() == [1.0, 0.125]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "bad_json"),
        (b"{", "bad_json"),
        (b'{"user_id": "\xff"}', "bad_json"),
        (b'{"user_id": "\\ud800"}', "bad_json"),
        (b'{"value": NaN}', "bad_json"),
        (b"[" * 100_000, "bad_field"),
        (b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "bad_json"),
        (b"[]", "bad_field"),
        (b"null", "bad_field"),
        ({**SOUND, "user_id": 1.5}, "bad_field"),
        ({**SOUND, "action": 3}, "bad_field"),
        ({**SOUND, "value": "much"}, "bad_field"),
        ({**SOUND, "value": 1e300}, "bad_field"),
        ({**SOUND, "value": 10**400}, "bad_field"),
        ({**SOUND, "position": -1}, "bad_field"),
        ({**SOUND, "position": 40_000}, "bad_field"),
        ({**SOUND, "item": "i"}, "bad_field"),
        ({**SOUND, "user_id": "u" * 513}, "long_id"),
        ({**SOUND, "session_id": "ü" * 257}, "long_id"),
        ({**SOUND, "item_id": 10**600}, "long_id"),
        (without("action"), "no_action"),
        (without(action=" "), "no_action"),
        (without("item_id"), "no_item_or_text"),
        (without("item_id", text=""), "no_item_or_text"),
        (without("timestamp"), "no_time"),
        (without(timestamp=None), "no_time"),
        (without(timestamp=12), "bad_time"),
        (without(timestamp="soon"), "bad_time"),
        (without(timestamp=10**400), "bad_time"),
        (without(timestamp=MS + 24 * 3_600_000 + 1), "future"),
        ({}, "no_action"),
    ],
)
def test_a_bad_record_is_a_dead_letter_and_the_rest_goes_on(value: object, reason: str) -> None:
    decoded = take(SOUND, value, SOUND)
    assert [(letter.row, letter.reason) for letter in decoded.dead] == [(1, reason)]
    assert decoded.dead[0].detail
    assert len(decoded.dead[0].detail) < 300
    assert decoded.events.offset.tolist() == [10, 12]
    assert not decoded.drops


def test_longest_ids_and_latest_times_are_taken() -> None:
    decoded = take({**SOUND, "user_id": "u" * 512}, {**SOUND, "timestamp": MS + 24 * 3_600_000})
    assert not decoded.dead


def test_a_log_without_append_times_has_no_future() -> None:
    stamped = records(SOUND)
    unknown = Records(
        "events", stamped.partition, stamped.offset, np.array([-1]), stamped.keys, stamped.values
    )
    assert len(decode(unknown, EventSettings(), {}).events) == 1


def test_drops_are_counted_and_what_is_bad_is_no_drop() -> None:
    decoded = take(without("user_id"), None, without("user_id", "action"), None)
    assert decoded.drops == {"no_identity": 1, "tombstone": 2}
    assert [letter.reason for letter in decoded.dead] == ["no_action"]
    assert len(decoded.events) == 0


def test_dead_letters_come_in_the_order_of_the_records() -> None:
    decoded = take(without("timestamp"), b"?", without("action"), b"?")
    assert [letter.row for letter in decoded.dead] == [0, 1, 2, 3]


def test_a_partition_without_an_epoch_gets_the_oldest() -> None:
    assert decode(records(SOUND), EventSettings(), {}).events.epoch.tolist() == [0]


def test_nothing_in_nothing_out() -> None:
    decoded = take()
    assert (len(decoded.events), decoded.dead, decoded.drops) == (0, [], {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
FIELDS = [
    "event_id",
    "user_id",
    "anonymous_id",
    "action",
    "item_id",
    "timestamp",
    "session_id",
    "value",
    "text",
]
FIELDS += ["list_id", "position", "item"]
EVENTS = st.dictionaries(st.sampled_from(FIELDS), JSON)
NEARLY = EVENTS.map(lambda fields: {**SOUND, **fields})


def added_up(decoded: Decoded) -> int:
    return len(decoded.events) + len(decoded.dead) + decoded.drops.total()


@given(st.lists(st.one_of(st.binary(), st.none())))
def test_arbitrary_bytes_never_raise_and_add_up(values: list[bytes | None]) -> None:
    assert added_up(take(*values)) == len(values)


@given(st.lists(st.one_of(EVENTS, NEARLY), max_size=4))
def test_arbitrary_json_never_raises_and_adds_up(values: list[dict[str, object]]) -> None:
    decoded = take(*values)
    assert added_up(decoded) == len(values)
    assert np.isfinite(decoded.events.value[~np.isnan(decoded.events.value)]).all()
    assert (decoded.events.user != 0).all()


@pytest.fixture
def validator(schemas: Path) -> jsonschema.Draft202012Validator:
    schema = json.loads((schemas / "event.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_schema_takes_what_is_taken(validator: jsonschema.Draft202012Validator) -> None:
    @given(NEARLY)
    def check(event: dict[str, object]) -> None:
        decoded = take(event)
        if len(decoded.events):
            validator.validate(json.loads(json.dumps(event)))

    check()


def test_the_examples_of_the_schema_are_taken(validator: jsonschema.Draft202012Validator) -> None:
    decoded = take(*validator.schema["examples"])
    assert not decoded.dead
    assert not decoded.drops
