"""The language in which a TOML file says how the columns of some log become events and items.

``examples/`` holds a mapping for each of three public logs. A text with ``{column}`` in it is a template, any
other text stands for itself; ``{column:int}`` writes a number without leading zeros or fraction,
``{column:lower}`` in small letters. A template of which a column is empty gives nothing. Columns of nested
records are named ``outer.inner``. Beside the columns of the file there are ``row`` (from 0, in its file),
``file`` (its name), and, after ``explode``, ``step``.
"""

from __future__ import annotations

import string
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from stream.errors import ConfigError

CONVERSIONS = ("", "int", "lower")


class _Table(BaseModel):
    """A table of the file; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _check_template(text: object) -> object:
    if not isinstance(text, str):
        return str(text) if isinstance(text, int | float) and not isinstance(text, bool) else text
    for _, column, conversion, flag in string.Formatter().parse(text):
        if column is None:
            continue
        if not column:
            raise ValueError("has {} without the name of a column in it")
        if conversion not in CONVERSIONS or flag:
            raise ValueError(f"knows {{{column}}}, {{{column}:int}} and {{{column}:lower}} only")
    return text


def _check_regex(pattern: str) -> str:
    try:
        pl.select(pl.lit("").str.contains(pattern))
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"is no regular expression: {error}") from error
    return pattern


Template = Annotated[str, BeforeValidator(_check_template)]
Regex = Annotated[
    str, AfterValidator(_check_regex)
]  # as of Rust's regex crate: no look-around, no back-references


class Source(_Table):
    """A file and its shape. Compression (gz, xz, bz2, zip, tar) is known by its first bytes."""

    path: Path | None = None  # relative to the mapping; a path on the command line is taken instead
    format: Literal["csv", "tsv", "ndjson", "parquet"] = "csv"
    # Between columns; "," and a tab are usual. Of several characters, or with a ``*`` column, there is no
    # quoting.
    separator: str | None = Field(default=None, min_length=1)
    # Names, for a file without a first line of names. One may begin with ``*``: it takes what the others
    # leave, as a list.
    columns: list[str] | None = Field(default=None, min_length=1)
    encoding: str = "utf-8"
    member: str | None = None  # of an archive: a glob; several members are read in the order of their names
    null: list[str] = ["", "NA"]  # texts that stand for nothing

    @model_validator(mode="after")
    def _consistent(self) -> Source:
        if sum(name.startswith("*") for name in self.columns or []) > 1:
            raise ValueError("columns: only one name may begin with *")
        if self.format in ("ndjson", "parquet") and (self.columns or self.separator):
            raise ValueError(f"format {self.format} names its own columns: leave out columns and separator")
        return self

    @property
    def delimiter(self) -> str:
        """What stands between columns."""
        return self.separator or ("\t" if self.format == "tsv" else ",")

    @property
    def quoted(self) -> bool:
        """Whether columns may stand in double quotes."""
        return len(self.delimiter) == 1 and not any(name.startswith("*") for name in self.columns or [])


class Condition(_Table):
    """One test of one column; an empty column passes ``empty = true`` only."""

    column: str
    equals: str | None = None
    one_of: list[str] | None = None
    starts_with: str | None = None
    matches: Regex | None = None  # anywhere in the text
    above: float | None = None
    below: float | None = None
    empty: bool | None = None

    @model_validator(mode="after")
    def _one_test(self) -> Condition:
        tests = [name for name in type(self).model_fields if name not in ("column", "value")]
        if sum(getattr(self, name) is not None for name in tests) != 1:
            raise ValueError(f"needs exactly one test: {', '.join(tests)}")
        return self


class Rule(Condition):
    """What a field is where the condition holds."""

    value: Template


class FieldRule(_Table):
    """A field that is more than a template: the first rule that holds, else the value; else the default."""

    value: Template = ""
    rules: list[Rule] = []
    split: str | None = Field(default=None, min_length=1)  # the value is several words, cut here
    # What words stand for: a table given here, or the name of one in ``lookups``; other words are left out.
    lookup: str | dict[str, str] | None = None
    join: str = ", "  # between the words, put together again
    default: Template | None = None  # where all this gives nothing


def _as_rule(value: object) -> object:
    return value if isinstance(value, dict | FieldRule) else {"value": value}


FieldMapping = Annotated[FieldRule, BeforeValidator(_as_rule)]


class TimeRule(_Table):
    """When an event happened."""

    value: Template
    format: str = "auto"  # auto, s, ms, iso, or as strptime has it: %d/%b/%Y:%H:%M:%S
    zone: str = "UTC"  # of a format that names none
    step_ms: int = Field(0, ge=0)  # added per step of an exploded row, so that its order is kept

    @model_validator(mode="after")
    def _known_format(self) -> TimeRule:
        if "%" not in self.format and self.format not in ("auto", "s", "ms", "iso"):
            raise ValueError("format: auto, s, ms, iso, or with % directives, such as %Y-%m-%d %H:%M")
        if self.zone != "UTC" and "%" not in self.format:
            raise ValueError("zone goes with a format of % directives; auto, s, ms and iso are UTC")
        if "%" in self.format:
            self.moments(pl.Series([""]))
        return self

    def moments(self, texts: pl.Series) -> pl.Series:
        """Read times by % directives, null where there is none. Raises ValueError for wrong ones."""
        try:
            moments = texts.str.to_datetime(self.format, time_unit="ms", strict=False)
            if "%z" in self.format:
                return moments
            # An hour that the clocks skip or repeat has no right answer; the earlier one keeps the event.
            return moments.dt.replace_time_zone(self.zone, ambiguous="earliest", non_existent="null")
        except pl.exceptions.PolarsError as error:
            raise ValueError(f"format {self.format!r} with zone {self.zone!r}: {error}") from error


TimeMapping = Annotated[TimeRule, BeforeValidator(_as_rule)]


class Explode(_Table):
    """One row holds several events: one for each value of ``columns``, in that order."""

    columns: list[str] = Field(min_length=1)
    into: str  # the column that holds one value afterwards
    pattern: Regex | None = None  # of values to be kept; named groups (?<name>...) become columns


class EventMapping(_Table):
    """From rows to events."""

    where: list[Condition] = []  # all must hold
    explode: Explode | None = None
    event_id: FieldMapping | None = None
    user_id: FieldMapping | None = None
    anonymous_id: FieldMapping | None = None
    action: FieldMapping
    item_id: FieldMapping | None = None
    timestamp: TimeMapping
    session_id: FieldMapping | None = None
    value: FieldMapping | None = None
    text: FieldMapping | None = None


class ItemMapping(_Table):
    """From rows to items, of the log itself or of another file."""

    source: Source | None = None
    where: list[Condition] = []
    keep: Literal["first", "last"] = "last"  # of several rows of one item
    item_id: FieldMapping
    title: FieldMapping | None = None
    category: FieldMapping | None = None
    description: FieldMapping | None = None
    brand: FieldMapping | None = None
    price: FieldMapping | None = None
    attributes: dict[str, FieldMapping] = {}


class Lookup(Source):
    """A file that says what codes stand for."""

    key: str
    word: str


class LogMapping(_Table):
    """A whole mapping file."""

    name: Path  # of the file it was read from
    source: Source = Source()
    event: EventMapping
    item: ItemMapping | None = None
    lookups: dict[str, Lookup] = {}

    @model_validator(mode="after")
    def _lookups_exist(self) -> LogMapping:
        for section in (self.event, self.item):
            for field, rule in section or ():
                name = rule.lookup if isinstance(rule, FieldRule) else None
                if isinstance(name, str) and name not in self.lookups:
                    allowed = ", ".join(self.lookups) or "none"
                    raise ValueError(
                        f"{field}.lookup = {name!r}: no such table in lookups; allowed: {allowed}"
                    )
        return self


def load_mapping(path: Path) -> LogMapping:
    """Read a mapping file. Raises ConfigError that names key, value and what is allowed."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: the mapping cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ConfigError(f"{path}: the mapping is not TOML: {error}") from error
    try:
        return LogMapping.model_validate({"name": path, **raw})
    except ValidationError as error:
        raise ConfigError("\n".join(f"{path}: {_explain(problem)}" for problem in error.errors())) from error


def _explain(problem: Any) -> str:
    key = ".".join(str(part) for part in problem["loc"]) or "the file"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "missing":
        return f"{key}: is needed and missing"
    if problem["type"] == "extra_forbidden":
        return f"{key} = {problem['input']!r}: there is no such key"
    shown = f" = {problem['input']!r}" if isinstance(problem["input"], str | int | float) else ""
    return f"{key}{shown}: {message}"
