from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from stream.config import EventSettings
from stream.errors import InputError
from stream.events.decode import decode
from stream.events.files import CHUNK, read_events, read_items, to_records
from stream.events.schema import EventRecord, ItemFields, ItemRecord

MS = 1_736_150_400_000


def view(n: int, at: int) -> EventRecord:
    return EventRecord(event_id=f"e{n}", user_id=f"u{n % 7}", action="view", item_id="i", timestamp=MS + at)


def write(path: Path, events: list[EventRecord] | list[ItemRecord]) -> Path:
    path.write_bytes(b"\n".join(e.to_json() for e in events) + b"\n")
    return path


def test_own_events_are_read_back_in_chunks(tmp_path: Path) -> None:
    events = [view(n, n // 3) for n in range(CHUNK + 5)]
    chunks = list(read_events(write(tmp_path / "e.jsonl", events)))
    assert [len(chunk) for chunk in chunks] == [CHUNK, 5]
    assert [event for chunk in chunks for event in chunk] == events


def test_gzipped_or_not_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_bytes(gzip.compress(b"\n" + view(1, 0).to_json() + b"\r\n\n" + view(2, 0).to_json()))
    assert list(read_events(path)) == [[view(1, 0), view(2, 0)]]


def test_a_log_out_of_order_is_put_in_order(tmp_path: Path) -> None:
    path = write(tmp_path / "e.jsonl", [view(0, 5), view(1, 3), view(2, 5), view(3, 3)])
    [chunk] = read_events(path)
    assert [event.event_id for event in chunk] == ["e1", "e3", "e0", "e2"]


def test_what_may_come_in_is_read_as_from_kafka(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text(
        '{"user_id": 7, "action": "view", "item_id": 0, "timestamp": "2025-01-06T08:00:00Z", "x": []}\n'
    )
    assert list(read_events(path)) == [[EventRecord(user_id="7", action="view", item_id="0", timestamp=MS)]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"?", "line 2: JSON is malformed.*give a mapping"),
        (b'{"user_id": []}', "line 2: Expected `int | str | null`"),
        (b'{"action": "view", "timestamp": 3}', "line 2: `timestamp` is 3; expected seconds"),
        (b'{"timestamp": 1736150400}', "line 2: `action` is missing"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: bytes, message: str) -> None:
    path = tmp_path / "e.jsonl"
    path.write_bytes(view(1, 0).to_json() + b"\n" + line + b"\n")
    with pytest.raises(InputError, match=message.replace("|", r"\|")):
        list(read_events(path))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        list(read_events(tmp_path / "none"))
    (tmp_path / "torn.gz").write_bytes(gzip.compress(view(1, 0).to_json() * 9)[:-9])
    with pytest.raises(InputError, match="cannot be read"):
        list(read_events(tmp_path / "torn.gz"))
    with pytest.raises(InputError, match="no file"):
        list(read_events(None))


def test_items_are_read_back(tmp_path: Path) -> None:
    items = [
        ItemRecord(item_id="a", title="Lamp", attributes={"x": 1}),
        ItemRecord(item_id="b", available=False),
    ]
    assert read_items(write(tmp_path / "i.jsonl", items)) == items
    (tmp_path / "bad").write_text('{"title": "nobody"}')
    with pytest.raises(InputError, match="line 1: neither `item_id`"):
        read_items(tmp_path / "bad")


def test_records_decode_to_the_same_events() -> None:
    events = [view(0, 0), view(1, 9), EventRecord(anonymous_id="a", action="search", text="x", timestamp=MS)]
    events.append(EventRecord(action="view", item_id="i", timestamp=MS, item=ItemFields(title="t")))
    records = to_records(events, first_offset=100)
    assert records.keys == [b"u0", b"u1", b"a", None]
    assert records.offset.tolist() == [100, 101, 102, 103]
    decoded = decode(records, EventSettings(max_future_skew_ms=0), {0: 1})
    assert decoded.events.time.tolist() == decoded.events.ingest_time.tolist() == [MS, MS + 9, MS]
    assert decoded.events.user_id == ["u0", "u1", "a"]
    assert decoded.drops == {"no_identity": 1}
    assert not decoded.dead
    assert np.array_equal(decoded.events.partition, [0, 0, 0])
