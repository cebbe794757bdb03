"""Where settings come from: a TOML file, the environment, flags. Errors name the source. And back to TOML."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_origin

from pydantic import BaseModel, SecretStr, ValidationError

from stream.errors import ConfigError

PREFIX = "SHOAL_"
NOT_SETTINGS = frozenset({"SHOAL_CACHE", "SHOAL_SHARED_DATA"})  # variables that other parts read themselves
MASK = "**********"
LONGEST_VALUE = (
    80  # characters of a wrong value that an error shows: enough to find it, and it stays one line
)
# What pydantic's words for a type are in a file.
KINDS = {
    "model_type": "table",
    "dict_type": "table",
    "path_type": "path",
    "tuple_type": "list",
    "list_type": "list",
}


class Sources:
    """Settings as they were given, each source laid over the ones before, table by table.

    ``values`` is the nested table that results; ``explain`` turns what is wrong with it into words.
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self._origins: dict[str, str] = {}  # dotted key -> who said so last

    def add_file(self, path: Path) -> None:
        """Lay a TOML file over. Raises ConfigError if it is missing or is no TOML."""
        try:
            table = tomllib.loads(path.read_text("utf-8"))
        except OSError as error:
            raise ConfigError(f"cannot read the configuration file {path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            # Not chained: the parser's error holds the document, and so its secrets.
            raise ConfigError(f"{path} is not valid TOML: {error}") from None
        self._lay(table, f"file {path}")

    def add_environment(self, environment: Mapping[str, str]) -> None:
        """Lay variables over: ``SHOAL_KAFKA__PREFIX`` sets ``kafka.prefix``; a table may be given as JSON."""
        for name in sorted(environment):
            if name.startswith(PREFIX) and name not in NOT_SETTINGS:
                path = name.removeprefix(PREFIX).lower().split("__")
                self._lay(_nest(path, _from_text(name, environment[name])), f"environment variable {name}")

    def add_flags(self, flags: Mapping[str, object]) -> None:
        """Lay values by dotted key over, ``{"kafka.prefix": "test."}``; None is a flag that was not given."""
        for key, value in flags.items():
            if value is not None:
                self._lay(_nest(key.split("."), value), "the command line")

    def explain(self, error: ValidationError, model: type[BaseModel]) -> str:
        """One line for each thing that is wrong: key, value, source, and what is allowed."""
        wrong: dict[str, list[str]] = {}  # what is said of a key, once for each form that its value may have
        for details in error.errors(include_url=False):
            one: dict[str, Any] = dict(details)
            if one["type"] != "extra_forbidden":
                one["loc"] = _without_forms(one["loc"], model)
            said, allowed = self._explain_one(one, model)
            wrong.setdefault(said, []).append(allowed)
        return "\n".join(said + ", or ".join(allowed) for said, allowed in wrong.items())

    def _lay(self, table: dict[str, Any], origin: str) -> None:
        for key in _leaves(table):
            self._origins.pop(key, None)  # so that the last source comes last
            self._origins[key] = origin
        _merge(self.values, table)

    def _explain_one(self, error: dict[str, Any], model: type[BaseModel]) -> tuple[str, str]:
        """Key, value and source; and what is allowed."""
        path = tuple(map(str, error["loc"]))
        key, origin = ".".join(path), self._origin(".".join(path))
        if error["type"] == "extra_forbidden":
            # The value is not shown: nobody knows whether an unknown key was meant to hold a secret.
            return f"{key} ({origin}): ", f"there is no such setting{_suggest(path, model, origin)}"
        value = "" if _is_hidden(path, model) else f" = {_short(error['input'])}"
        return f"{key}{value} ({origin}): ", _allowed(error)

    def _origin(self, key: str) -> str:
        for known, origin in reversed(self._origins.items()):
            if known == key or known.startswith(f"{key}.") or key.startswith(f"{known}."):
                return origin
        # Names of librdkafka may be given with _ for the dots, and are in an error as they came to be.
        plain = {known.replace("_", "."): origin for known, origin in self._origins.items()}
        return plain.get(key, "default")


def to_toml(model: BaseModel) -> str:
    """Write all settings as TOML that can be read again, secrets masked; what is None is written ``""``."""
    lines: list[str] = []
    for name, section in model:
        lines += [f"[{name}]"]
        tables: list[str] = []
        for field, info in type(section).model_fields.items():
            key, value = info.alias or field, getattr(section, field)
            if isinstance(value, Mapping):
                tables += ["", f"[{name}.{key}]", *(f"{_toml_key(k)} = {_toml(v)}" for k, v in value.items())]
            else:
                lines.append(f"{key} = {_toml(value)}")
        lines += [*tables, ""]
    return "\n".join(lines)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    text = MASK if isinstance(value, SecretStr) else "" if value is None else str(value)
    # A basic string of TOML is a string of JSON, but for the one control character that JSON lets through.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _toml(key)


def _from_text(name: str, text: str) -> object:
    if not text.lstrip().startswith(("{", "[")):
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        # Not chained, and the value is not shown: a table may hold secrets.
        raise ConfigError(f"environment variable {name} is not valid JSON: {error.msg}") from None


def _nest(path: list[str], value: object) -> dict[str, Any]:
    for key in reversed(path):
        value = {key: value}
    return value  # type: ignore[return-value]


def _merge(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(key), dict):
            _merge(below[key], value)
        else:
            below[key] = value


def _leaves(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    """Types of a model's fields by the names that they have in a file."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _type_of(path: tuple[str, ...], model: type[BaseModel]) -> Any:
    kind: Any = model
    for key in path:
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            break
        kind = _fields(kind)[key]
    return kind


def _without_forms(location: tuple[str | int, ...], model: type[BaseModel]) -> tuple[str | int, ...]:
    """``location`` without the name of the form that was tried, which pydantic adds where a value may have several."""
    kind = _type_of(tuple(map(str, location[:2])), model)
    return location[:2] if get_origin(kind) in (Union, UnionType) else location


def _is_hidden(path: tuple[str, ...], model: type[BaseModel]) -> bool:
    # A whole section is hidden too: it may hold a secret.
    kind = _type_of(path, model)
    return "SecretStr" in str(kind) or (isinstance(kind, type) and issubclass(kind, BaseModel))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


def _suggest(path: tuple[str, ...], model: type[BaseModel], origin: str) -> str:
    keys = [f"{name}.{key}" for name, section in _fields(model).items() for key in (*_fields(section), "")]
    keys = [key.rstrip(".") for key in keys]
    wanted = ".".join(path)
    close = [key for key in keys if key.endswith(f".{path[-1]}")] or get_close_matches(wanted, keys, 1)
    if not close:
        return ""
    found = close[0]
    if origin.startswith("environment"):
        found = PREFIX + found.replace(".", "__").upper()
    return f"; did you mean {found}?"


def _allowed(error: dict[str, Any]) -> str:
    """Turn what pydantic says into what is allowed."""
    if kind := KINDS.get(error["type"]):
        return f"must be a {kind}"
    text = re.sub(r"^(Input|String|Value) should ", "must ", error["msg"].removeprefix("Value error, "))
    return re.sub(r", (unable|got) .*", "", text)
