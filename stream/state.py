"""Objects as plain data and back, without pickle: only classes that are registered are ever made.

What is plain goes into MessagePack (``stream.wire``): numbers, texts, bytes, lists, maps by text, arrays. The rest
becomes a map that says under ``KIND`` what it was. Each object is written where it is met, so two attributes that
share a changing object come back as two.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from stream.config import Settings
from stream.config_section import Section
from stream.errors import FormatError

KIND = "#"  # under which a map says what it was
_PLAIN = frozenset({type(None), bool, int, float, str, bytes})
_BOXES: dict[str, type[Any]] = {"tuple": tuple, "set": set, "frozenset": frozenset}
_MAPS: dict[str, type[Any]] = {"dict": dict, "Counter": Counter}
_ARRAYS = "biuf"  # kinds of NumPy's types that are written; objects and records are not


class Registry:
    """Writes and makes objects of some classes, and of no others.

    A class with ``state`` and ``from_state`` is written as what the former gives; of any other all attributes are
    taken, and set again without its ``__init__``. A section of the settings is not written: its place is taken by
    that of the settings at hand.

    Examples
    --------
    >>> from stream.recommending.tables import Growth
    >>> registry = Registry([Growth])
    >>> written = registry.freeze(Growth(half_life=5.0))
    >>> written
    {'#': 'Growth', 'half_life': 5.0, 'origin': 0.0, 'now': 1.0}
    >>> registry.thaw(written, Settings()).half_life
    5.0
    """

    def __init__(self, kinds: Iterable[type[Any]]) -> None:
        self._kinds = {kind.__name__: kind for kind in kinds}

    def freeze(self, value: Any, where: str = "") -> Any:
        """Give ``value`` as plain data of its own: arrays are copied, so that what changes later does not show.

        Raises FormatError where something is met that is not registered; ``where`` says of what it is part.
        """
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is np.ndarray:
            return self._array(value, where)
        if kind is list:
            return self._all(value, where)
        if kind.__name__ in _MAPS and kind is _MAPS[kind.__name__]:
            keys, values = self._all(value, where), self._all(value.values(), where)
            return {KIND: kind.__name__, "keys": keys, "values": values}
        if kind.__name__ in _BOXES and kind is _BOXES[kind.__name__]:
            return {KIND: kind.__name__, "items": self._all(value, where)}
        if kind is deque:
            return {KIND: "deque", "items": self._all(value, where), "maxlen": value.maxlen}
        if isinstance(value, np.generic):
            return {KIND: "scalar", "array": self._array(np.asarray(value), where)}
        if isinstance(value, Section):
            return {KIND: "settings", "section": kind.__name__}
        return self._object(value, where)

    def _all(self, values: Iterable[Any], where: str) -> list[Any]:
        found = list(values)
        if set(map(type, found)) <= _PLAIN:
            return found
        return [self.freeze(value, f"{where}[{i}]") for i, value in enumerate(found)]

    @staticmethod
    def _array(value: Any, where: str) -> Any:
        if value.dtype.kind not in _ARRAYS:
            raise FormatError(f"{where}: an array of {value.dtype} cannot be written")
        return value.copy()

    def _object(self, value: Any, where: str) -> dict[str, Any]:
        name = type(value).__name__
        if self._kinds.get(name) is not type(value):
            raise FormatError(
                f"{where or 'this'} is a {name}, which is not registered: add its class to those of the model "
                "(stream/snapshot.py), or keep it out of the model"
            )
        if hasattr(value, "from_state"):
            return {KIND: name, "state": self.freeze(value.state(), f"{where}.state()")}
        body = {part: self.freeze(getattr(value, part), f"{where}.{part}") for part in _attributes(value)}
        return {KIND: name} | body

    def thaw(self, plain: Any, settings: Settings) -> Any:
        """Make what ``freeze`` was given.

        Raises
        ------
        FormatError
            If it is nothing that ``freeze`` gives, or of a class that is not registered or has other fields now.
        """
        try:
            return self._made(plain, {type(part).__name__: part for part in _sections(settings)})
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise FormatError(f"not the state of this version's objects ({error!r})") from error

    def _made(self, plain: Any, sections: Mapping[str, Section]) -> Any:
        if isinstance(plain, list):
            return [self._made(item, sections) for item in plain]
        if not isinstance(plain, dict):
            return plain
        kind, body = plain[KIND], {k: self._made(v, sections) for k, v in plain.items() if k != KIND}
        if kind in _MAPS:
            return _MAPS[kind](dict(zip(body["keys"], body["values"], strict=True)))
        if kind in _BOXES:
            return _BOXES[kind](body["items"])
        if kind == "deque":
            return deque(body["items"], body["maxlen"])
        if kind == "scalar":
            return body["array"][()]
        if kind == "settings":
            return sections[body["section"]]
        return self._made_object(self._kinds[kind], body)

    @staticmethod
    def _made_object(kind: type[Any], body: dict[str, Any]) -> Any:
        if hasattr(kind, "from_state"):
            return kind.from_state(body["state"])
        if is_dataclass(kind) and {field.name for field in fields(kind)} != body.keys():
            raise ValueError(f"{kind.__name__} has other fields now")
        made = object.__new__(kind)
        for name, value in body.items():
            object.__setattr__(made, name, value)
        return made


def attributes_by_kind(plain: Any) -> dict[str, set[str]]:
    """Names of the attributes of each class in ``plain``, which ``Registry.freeze`` gave."""
    found: dict[str, set[str]] = {}
    waiting = [plain]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            found.setdefault(part.get(KIND, ""), set()).update(part)
            waiting += part.values()
        elif isinstance(part, list) and not set(map(type, part)) <= _PLAIN:
            waiting += part
    return found


def _attributes(value: Any) -> list[str]:
    return [field.name for field in fields(value)] if is_dataclass(value) else list(vars(value))


def _sections(settings: Settings) -> Iterable[Section]:
    yield settings
    yield from (part for _, part in settings if isinstance(part, Section))
