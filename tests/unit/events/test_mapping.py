from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from stream.errors import ConfigError
from stream.events.files import read_events, read_items
from stream.events.mapping import LogMapping, load_mapping
from stream.events.schema import EventRecord

SMALLEST = """
[event]
action = "view"
timestamp = { value = "{t}", format = "ms" }
"""


class Log:
    """A log and a mapping in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.skipped: Counter[str] = Counter()

    def mapping(self, text: str) -> LogMapping:
        path = self.folder / "mapping.toml"
        path.write_text(text)
        return load_mapping(path)

    def events(self, log: str, mapping: str) -> list[EventRecord]:
        path = self.folder / "log"
        path.write_text(log)
        chunks = read_events(path, self.mapping(mapping), self.skipped)
        return [event for chunk in chunks for event in chunk]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


def test_templates_constants_and_conversions(log: Log) -> None:
    mapping = (
        SMALLEST + 'user_id = "{u:int}"\nitem_id = "{i:lower}/{Item No}"\nevent_id = "e-{row}"\nvalue = "{v}"'
    )
    events = log.events(
        "u,i,Item No,v,t\n007.0,AB, x y ,2.5,1\n,C,z,,2\n12345678901234567890,NA,z,much,3\n", mapping
    )
    assert [event.user_id for event in events] == ["7", None, "12345678901234567890"]
    assert [event.item_id for event in events] == ["ab/x y", "c/z", None]
    assert [event.event_id for event in events] == ["e-0", "e-1", "e-2"]
    assert [event.value for event in events] == [2.5, None, None]
    assert [event.action for event in events] == ["view"] * 3
    assert log.skipped == Counter(bad_value=1)


def test_events_are_in_the_order_of_time_then_of_the_file(log: Log) -> None:
    events = log.events("u,t\na,3\nb,1\nc,3\nd,1\n", SMALLEST + 'user_id = "{u}"')
    assert [event.user_id for event in events] == ["b", "d", "a", "c"]


@pytest.mark.parametrize(
    ("test", "holds"),
    [
        ('equals = "b"', "b"),
        ('one_of = ["a", "b"]', "ab"),
        ('starts_with = "c"', "c"),
        ("matches = '^[ab]$'", "ab"),
        ("empty = true", "-"),
        ("empty = false", "abc"),
    ],
)
def test_where_keeps_what_passes_and_counts_the_rest(log: Log, test: str, holds: str) -> None:
    mapping = SMALLEST + f'session_id = "{{s}}"\nwhere = [{{ column = "u", {test} }}]'
    events = log.events("u,s,t\na,a,1\nb,b,1\n,-,1\nc,c,1\n", mapping)
    assert "".join(event.session_id or "" for event in events) == holds
    assert log.skipped["filtered"] == 4 - len(holds)


def test_numbers_are_compared_as_numbers(log: Log) -> None:
    for test, kept in (("above = 2", ["10"]), ("below = 10", ["2"])):
        mapping = SMALLEST + f'item_id = "{{q}}"\nwhere = [{{ column = "q", {test} }}]'
        assert [event.item_id for event in log.events("q,t\n10,1\n2,1\nx,1\n", mapping)] == kept


def test_the_first_rule_that_holds_decides(log: Log) -> None:
    mapping = """
[event]
timestamp = "{t}"
[event.action]
value = "{a}"
rules = [
    { column = "n", starts_with = "C", value = "cancel" },
    { column = "q", below = 0, value = "return-{a}" },
]
"""
    times = 1_736_150_400
    events = log.events(
        f"n,q,a,t\nC1,-1,buy,{times}\n2,-1,buy,{times}\n3,1,buy,{times}\n4,1,,{times}\n", mapping
    )
    assert [event.action for event in events] == ["cancel", "return-buy", "buy", ""]


def test_lookups_here_or_from_a_file_and_splitting(log: Log) -> None:
    (log.folder / "genres.tsv").write_text("d\tDrama\nc\tComedy\n")
    mapping = """
[event]
timestamp = { value = "{t}", format = "s" }
action = { value = "{a}", lookup = { v = "view" }, default = "other" }
text = { value = "{g}", split = "|", lookup = "genres", join = " and " }
[lookups.genres]
path = "genres.tsv"
format = "tsv"
columns = ["code", "name"]
key = "code"
word = "name"
"""
    events = log.events("a,g,t\nv,d|x| c,1\nw,x,1\n,,1\n", mapping)
    assert [event.action for event in events] == ["view", "other", "other"]
    assert [event.text for event in events] == ["Drama and Comedy", None, None]


def test_a_row_may_hold_several_events(log: Log) -> None:
    mapping = r"""
[source]
columns = ["t", "*seen", "end"]
separator = " "
[event]
timestamp = { value = "{t}", format = "%d.%m.%Y-%H:%M", step_ms = 500 }
action = { value = "{how}", default = "end" }
item_id = "{item}"
session_id = "{file}:{row}"
event_id = "{row}.{step}"
where = [{ column = "item", one_of = ["1", "2"] }]
[event.explode]
columns = ["seen", "end"]
into = "visit"
pattern = '^(?<item>\d+)(?<how>[a-z])?$'
"""
    events = log.events("06.01.2025-08:00 1a 9b 2c 1\n06.01.2025-07:00 -1\nno-time 1\n", mapping)
    start = 1_736_150_400_000
    assert [(e.event_id, e.action, e.item_id, e.timestamp - start, e.session_id) for e in events] == [
        ("0.0", "a", "1", 0, "log:0"),
        ("0.1", "c", "2", 500, "log:0"),
        ("0.2", "end", "1", 1000, "log:0"),
    ]
    assert log.skipped == Counter(no_match=1, filtered=1, bad_time=1)


def test_nested_records_and_lists_of_json_lines(log: Log) -> None:
    mapping = """
[source]
format = "ndjson"
[event]
timestamp = "{at}"
action = "{event}"
user_id = "{user.id}"
item_id = "{product.sku}"
value = "{product.price}"
[event.explode]
columns = ["products"]
into = "product"
"""
    line = '{"at": "2025-01-06T08:00:00Z", "event": "buy", "user": {"id": 7}, "products": [%s]}\n'
    lines = line % '{"sku": "a", "price": 1.5}, {"sku": "b", "price": 2}' + line % ""
    events = log.events(lines, mapping)
    assert [(e.user_id, e.item_id, e.value) for e in events] == [("7", "a", 1.5), ("7", "b", 2.0)]


def test_times_of_another_zone(log: Log) -> None:
    mapping = (
        '[event]\naction = "a"\ntimestamp = { value = "{t}", format = "%F %H:%M", zone = "Europe/Berlin" }'
    )
    lines = "t\n2025-01-06 09:00\n2025-07-06 10:00\n2025-03-30 02:30\n"  # the last was skipped by the clocks
    assert [e.timestamp for e in log.events(lines, mapping)] == [1_736_150_400_000, 1_751_788_800_000]
    assert log.skipped == Counter(bad_time=1)


def test_items_of_the_log_or_of_another_file(log: Log) -> None:
    (log.folder / "log").write_text("i,n,p,c,t\n1,Old,2,red,1\n2,Torch,x,,1\n1,New,3,,1\n,None,1,,1\n")
    item = '[item]\nitem_id = "{i}"\ntitle = "{n}"\nprice = "{p}"\nattributes = { colour = "{c}" }\n'
    items = read_items(log.folder / "log", log.mapping(SMALLEST + item))
    assert {(i.item_id, i.title, i.price) for i in items} == {("1", "New", 3.0), ("2", "Torch", None)}
    items = read_items(log.folder / "log", log.mapping(SMALLEST + item + 'keep = "first"'))
    assert next(i for i in items if i.item_id == "1").attributes == {"colour": "red"}
    own = SMALLEST + item + '[item.source]\npath = "log"\n'
    assert len(read_items(None, log.mapping(own))) == 2
    with pytest.raises(ConfigError, match="item: there is no such section"):
        read_items(log.folder / "log", log.mapping(SMALLEST))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[event", "not TOML"),
        ("", "event: is needed and missing"),
        (SMALLEST + "colour = 1", "event.colour = 1: there is no such key"),
        (
            SMALLEST + '[source]\nformat = "excel"',
            "source.format = 'excel': Input should be 'csv', 'tsv', 'ndjson' or",
        ),
        (
            SMALLEST + 'user_id = "{u:upper}"',
            r"event.user_id.value = '{u:upper}': knows {u}, {u:int} and {u:lower} only",
        ),
        (SMALLEST + 'user_id = "{}"', "event.user_id.value = '{}': has {} without the name of a column"),
        (SMALLEST + 'user_id = "{u"', "event.user_id.value = '{u': expected '}'"),
        (SMALLEST + 'where = [{ column = "u" }]', "event.where.0: needs exactly one test: equals, one_of, "),
        (
            SMALLEST + 'where = [{ column = "u", matches = "(" }]',
            "event.where.0.matches = '(': is no regular",
        ),
        (
            SMALLEST + 'text = { value = "x", lookup = "words" }',
            "text.lookup = 'words': no such table in lookups; allo",
        ),
        (SMALLEST.replace("ms", "days"), "event.timestamp: format: auto, s, ms, iso, or with %"),
        (SMALLEST.replace("ms", "%H"), "event.timestamp: format '%H' with zone 'UTC'"),
        (SMALLEST.replace('"ms"', '"%F %T", zone = "Mars"'), "with zone 'Mars': "),
        (SMALLEST + '[source]\ncolumns = ["*a", "*b"]', "source: columns: only one name may begin with"),
    ],
)
def test_a_wrong_mapping_names_key_value_and_what_is_allowed(log: Log, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        log.mapping(text)
    assert message in str(caught.value)
    assert "mapping.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ('user_id = "{who}"', "event.user_id: no column 'who'; there are: row, u, t, file"),
        ('where = [{ column = "x.y", empty = true }]', "event.where.0: no column 'x.y'"),
    ],
)
def test_a_column_that_is_not_there(log: Log, field: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        log.events("u,t\na,1\n", SMALLEST + field)
    assert message in str(caught.value)


def test_a_nested_column_is_no_text(log: Log) -> None:
    mapping = SMALLEST + 'user_id = "{u}"\n[source]\nformat = "ndjson"'
    with pytest.raises(ConfigError, match=r"event.user_id: 'u' is nested"):
        log.events('{"u": {"id": 1}, "t": 1}\n', mapping)


def test_no_file_at_all(log: Log) -> None:
    with pytest.raises(ConfigError, match=r"source.path: is not set, and no file was given"):
        next(read_events(None, log.mapping(SMALLEST)))
    with pytest.raises(ConfigError, match="cannot be read"):
        load_mapping(log.folder / "none.toml")
