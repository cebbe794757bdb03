"""From the rows of a foreign log to events and items, as a mapping says."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import polars as pl

from stream.errors import ConfigError
from stream.events.expressions import LINE, Dictionary, Expressions
from stream.events.mapping import Condition, EventMapping, Explode, ItemMapping, LogMapping, Source, TimeRule
from stream.events.schema import ItemRecord
from stream.events.tables import read_table
from stream.events.times import read_times

EVENT_TEXTS = ("event_id", "user_id", "anonymous_id", "action", "item_id", "session_id", "text")
ITEM_TEXTS = ("item_id", "title", "category", "description", "brand")


def event_table(path: Path | None, mapping: LogMapping, skipped: Counter[str]) -> pl.DataFrame:
    """Read the events of a log in the order of time, those of one time in the order of the file.

    Columns as in ``EventRecord``. What is left out is counted in ``skipped``: values of exploded rows with
    ``no_match``, events ``filtered`` by ``where``, events of a ``bad_time``. Events of a ``bad_value`` stay,
    without the value, which is no number. Raises ConfigError, InputError.
    """
    log = _Log(path, mapping)
    rule = mapping.event
    table = log.read(mapping.source)
    if rule.explode is not None:
        table = _explode(table, rule.explode, log.expressions(table, mapping.source), skipped)
    making = log.expressions(table, mapping.source)
    kept = _filter(table, rule.where, making, "event.where")
    skipped["filtered"] += len(table) - len(kept)
    if rule.explode is not None:
        kept = kept.with_columns(step=pl.int_range(pl.len()).over(LINE))
        making = log.expressions(kept, mapping.source)
    events = _events(kept, rule, making)
    timed = events.filter(pl.col("timestamp").is_not_null())
    skipped["bad_time"] += len(events) - len(timed)
    skipped["bad_value"] += len(timed.filter("bad_value"))
    return timed.drop("bad_value").sort("timestamp", maintain_order=True)


def mapped_items(path: Path | None, mapping: LogMapping) -> list[ItemRecord]:
    """Read the items that a mapping describes. Raises ConfigError, InputError."""
    rule = mapping.item
    if rule is None:
        raise ConfigError(f"{mapping.name}: item: there is no such section, so this mapping gives no items")
    log = _Log(path, mapping)
    source = rule.source or mapping.source
    table = log.read(source)
    making = log.expressions(table, source)
    kept = _filter(table, rule.where, making, "item.where")
    columns = [making.field(getattr(rule, name), f"item.{name}").alias(name) for name in ITEM_TEXTS]
    columns.append(making.field(rule.price, "item.price").cast(pl.Float64, strict=False).alias("price"))
    columns += [
        making.field(field, f"item.attributes.{name}").alias(f"attributes.{name}")
        for name, field in rule.attributes.items()
    ]
    items = kept.select(columns).filter(pl.col("item_id").is_not_null())
    items = items.unique("item_id", keep=rule.keep, maintain_order=True)
    return [_item(row, rule) for row in items.iter_rows(named=True)]


class _Log:
    """Where the files of one mapping lie."""

    def __init__(self, path: Path | None, mapping: LogMapping) -> None:
        self._path = path
        self._mapping = mapping

    def read(self, source: Source) -> pl.DataFrame:
        return read_table(self._locate(source), source)

    def expressions(self, table: pl.DataFrame, source: Source) -> Expressions:
        return Expressions(self._mapping, source.null, table.schema, self._lookup)

    def _locate(self, source: Source) -> Path:
        """Find the file: the one given, which holds lookups too unless they name their own."""
        own = source.path and self._mapping.name.parent / source.path
        is_lookup = any(source is lookup for lookup in self._mapping.lookups.values())
        found = own or self._path if is_lookup else self._path or own
        found = found or (self._mapping.source.path and self._mapping.name.parent / self._mapping.source.path)
        if found is None:
            raise ConfigError(f"{self._mapping.name}: source.path: is not set, and no file was given")
        return found

    def _lookup(self, name: str) -> Dictionary:
        lookup = self._mapping.lookups[name]
        table = self.read(lookup)
        making = self.expressions(table, lookup)
        key = making.column(lookup.key, f"lookups.{name}.key").alias("key")
        word = making.column(lookup.word, f"lookups.{name}.word").alias("word")
        return dict(table.select(key, word).drop_nulls().iter_rows())


def _explode(table: pl.DataFrame, rule: Explode, making: Expressions, skipped: Counter[str]) -> pl.DataFrame:
    listed = table.with_row_index(LINE).with_columns(
        making.values(rule.columns, "event.explode.columns").alias(rule.into)
    )
    values = listed.explode(rule.into).filter(pl.col(rule.into).is_not_null())
    if rule.pattern is None:
        return values
    text = pl.col(rule.into).cast(pl.String).str.strip_chars()
    fitting = values.filter(text.str.contains(rule.pattern))
    skipped["no_match"] += len(values) - len(fitting)
    return fitting.with_columns(text.str.extract_groups(rule.pattern).struct.unnest())


def _filter(table: pl.DataFrame, where: list[Condition], making: Expressions, key: str) -> pl.DataFrame:
    tests = [making.condition(test, f"{key}.{i}") for i, test in enumerate(where)]
    return table.filter(pl.all_horizontal(tests)) if tests else table


def _events(table: pl.DataFrame, rule: EventMapping, making: Expressions) -> pl.DataFrame:
    columns = [making.field(getattr(rule, name), f"event.{name}").alias(name) for name in EVENT_TEXTS]
    value = making.field(rule.value, "event.value").alias("value")
    number = pl.col("value").cast(pl.Float64, strict=False)
    time = making.template(rule.timestamp.value, "event.timestamp").alias("timestamp")
    step = (pl.col("step") if rule.explode else pl.lit(0)).alias("step")
    events = table.select(*columns, value, time, step).with_columns(
        pl.col("action").fill_null(""), number, bad_value=pl.col("value").is_not_null() & number.is_null()
    )
    millis = _times(events["timestamp"], rule.timestamp)
    return events.with_columns(millis + events["step"] * rule.timestamp.step_ms).drop("step")


def _times(texts: pl.Series, rule: TimeRule) -> pl.Series:
    """Milliseconds, null where there is no time."""
    if "%" not in rule.format:
        millis = pl.Series("timestamp", read_times(texts.to_list(), rule.format))  # type: ignore[arg-type]
        return millis.set(millis < 0, None)
    return rule.moments(texts).dt.timestamp("ms")


def _item(row: dict[str, str | float | None], rule: ItemMapping) -> ItemRecord:
    attributes = {name: row.pop(f"attributes.{name}") for name in rule.attributes}
    fields = {name: value for name, value in row.items() if value is not None}
    there = {name: value for name, value in attributes.items() if value is not None}
    return ItemRecord(**fields, attributes=there)  # type: ignore[arg-type]
