"""The mapping language as polars expressions over the columns of one table."""

from __future__ import annotations

import string
from collections.abc import Callable

import polars as pl

from stream.errors import ConfigError
from stream.events.mapping import Condition, FieldRule, LogMapping

NOTHING = pl.lit(None, pl.String)
LINE = (
    "line of the log"  # which row of the table an exploded one comes from; no file has a column of this name
)

Dictionary = dict[str, str]


class Expressions:
    """Makes expressions for one section of a mapping. ``lookup`` gives the words of a named lookup.

    Every method takes the ``key`` that its argument has in the file, for errors: ConfigError names it.
    """

    def __init__(
        self, mapping: LogMapping, null: list[str], schema: pl.Schema, lookup: Callable[[str], Dictionary]
    ) -> None:
        self._mapping = mapping
        self._null = null
        self._schema = schema
        self._lookup = lookup

    def column(self, name: str, key: str) -> pl.Expr:
        """Give a column as stripped text, null where it stands for nothing."""
        expression, dtype = self._find(name, key)
        if isinstance(dtype, pl.List | pl.Struct | pl.Array):
            raise ConfigError(self._wrong(key, f"{name!r} is nested: name a column inside it, or explode it"))
        text = expression.cast(pl.String).str.strip_chars()
        return pl.when(text.is_in(self._null)).then(None).otherwise(text)

    def values(self, names: list[str], key: str) -> pl.Expr:
        """Give several columns, lists or not, as one list."""
        found = [self._find(name, key)[0] for name in names]
        return found[0] if len(found) == 1 else pl.concat_list(found)

    def template(self, text: str, key: str) -> pl.Expr:
        """Fill in a template; null where a column in it is."""
        parts: list[pl.Expr] = []
        for literal, name, conversion, _ in string.Formatter().parse(text):
            if literal:
                parts.append(pl.lit(literal))
            if name is not None:
                parts.append(_convert(self.column(name, key), conversion or ""))
        return pl.concat_str(parts) if parts else NOTHING

    def field(self, rule: FieldRule | None, key: str) -> pl.Expr:
        """Give a field's text, null where there is none."""
        if rule is None:
            return NOTHING
        value = self.template(rule.value, key)
        if rule.lookup is not None or rule.split is not None:
            value = self._words(value, rule)
        for i, case in reversed(list(enumerate(rule.rules))):
            at = f"{key}.rules.{i}"
            value = pl.when(self.condition(case, at)).then(self.template(case.value, at)).otherwise(value)
        if rule.default is not None:
            value = value.fill_null(self.template(rule.default, f"{key}.default"))
        return value

    def condition(self, test: Condition, key: str) -> pl.Expr:
        """Tell where ``test`` holds; an empty column passes no test but ``empty``."""
        text = self.column(test.column, key)
        number = text.cast(pl.Float64, strict=False)
        if test.empty is not None:
            return text.is_null() if test.empty else text.is_not_null()
        if test.equals is not None:
            holds = text == test.equals
        elif test.one_of is not None:
            holds = text.is_in(test.one_of)
        elif test.starts_with is not None:
            holds = text.str.starts_with(test.starts_with)
        elif test.matches is not None:
            holds = text.str.contains(test.matches)
        else:
            holds = number > test.above if test.above is not None else number < test.below
        return holds.fill_null(value=False)

    def _words(self, value: pl.Expr, rule: FieldRule) -> pl.Expr:
        words = rule.lookup if isinstance(rule.lookup, dict) else None
        if isinstance(rule.lookup, str):
            words = self._lookup(rule.lookup)
        if rule.split is None:
            return (
                value if words is None else value.replace_strict(words, default=None, return_dtype=pl.String)
            )
        word = pl.element().str.strip_chars()
        if words is not None:
            word = word.replace_strict(words, default=None, return_dtype=pl.String)
        kept = value.str.split(rule.split).list.eval(word).list.drop_nulls()
        joined = kept.list.join(rule.join)
        return pl.when(joined == "").then(None).otherwise(joined)

    def _find(self, name: str, key: str) -> tuple[pl.Expr, pl.DataType]:
        """Find a column, or a field inside one by its dotted name."""
        if name in self._schema:
            return pl.col(name), self._schema[name]
        first, *inner = name.split(".")
        expression, dtype = pl.col(first), self._schema.get(first)
        for part in inner:
            fields = {f.name: f.dtype for f in dtype.fields} if isinstance(dtype, pl.Struct) else {}
            expression, dtype = expression.struct.field(part), fields.get(part)  # type: ignore[assignment]
        if dtype is None:
            there = [column for column in self._schema if column != LINE]
            raise ConfigError(self._wrong(key, f"no column {name!r}; there are: {', '.join(there)}"))
        return expression, dtype

    def _wrong(self, key: str, what: str) -> str:
        return f"{self._mapping.name}: {key}: {what}"


def _convert(text: pl.Expr, conversion: str) -> pl.Expr:
    if conversion == "lower":
        return text.str.to_lowercase()
    if conversion == "int":
        # By text, not by number: an id may have more digits than a float keeps.
        whole = r"^(-?)0*(\d+)(?:\.0*)?$"
        return pl.when(text.str.contains(whole)).then(text.str.replace(whole, "${1}${2}"))
    return text
