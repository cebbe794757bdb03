"""Models of River as text and back, without pickle: only classes that are listed here are ever made."""

from __future__ import annotations

import json
import random
from collections import defaultdict, deque
from collections.abc import Callable
from functools import partial
from typing import Any

import river.cluster.clustream
import river.cluster.dbstream
import river.cluster.denstream
from river import cluster, stats

from stream.errors import FormatError

_CLASSES: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        cluster.CluStream,
        cluster.DBSTREAM,
        cluster.DenStream,
        cluster.KMeans,
        cluster.STREAMKMeans,
        river.cluster.clustream.CluStreamMicroCluster,
        river.cluster.dbstream.DBSTREAMMicroCluster,
        river.cluster.denstream.DenStreamMicroCluster,
        cluster.DenStream.BufferItem,
        stats.Var,
        stats.Mean,
    )
}
_PLAIN = (str, int, float, bool, type(None))


def dump(model: Any) -> str:
    """Write ``model`` as JSON: a table of its objects, each naming others by number: shared ones stay so.

    Raises
    ------
    FormatError
        If it holds an object of a class that is not listed.
    """
    return json.dumps(_Writer().write(model))


class _Writer:
    def __init__(self) -> None:
        self.table: list[Any] = []
        self.numbers: dict[int, int] = {}

    def write(self, root: Any) -> list[Any]:
        self.value(root)
        return self.table

    def value(self, x: Any) -> Any:
        """Give a plain value as it is, an object as [number]."""
        if isinstance(x, _PLAIN):
            return x
        if id(x) not in self.numbers:
            self.numbers[id(x)] = len(self.table)
            self.table.append(None)
            self.table[self.numbers[id(x)]] = self.body(x)
        return [self.numbers[id(x)]]

    def body(self, x: Any) -> list[Any]:
        if isinstance(x, defaultdict):
            return ["defaultdict", self.factory(x.default_factory), self.pairs(x)]
        if isinstance(x, dict):
            return ["dict", self.pairs(x)]
        if isinstance(x, list | tuple | deque):
            return [type(x).__name__, [self.value(item) for item in x]]
        if isinstance(x, random.Random):
            return ["random", x.getstate()]
        if type(x).__name__ in _CLASSES and isinstance(x, _CLASSES[type(x).__name__]):
            return [
                "object",
                type(x).__name__,
                [[name, self.value(value)] for name, value in _attributes(x).items()],
            ]
        raise FormatError(
            f"cannot store a {type(x).__name__}; this version of River holds what Shoal does not know"
        )

    def pairs(self, x: dict[Any, Any]) -> list[Any]:
        return [[self.value(key), self.value(value)] for key, value in x.items()]

    def factory(self, make: Any) -> Any:
        """River's KMeans draws the coordinates of features that it meets from its generator."""
        if make is float or make is None:
            return None if make is None else "float"
        if isinstance(make, partial) and isinstance(getattr(make.func, "__self__", None), random.Random):
            return [self.value(make.func.__self__), *make.args]  # type: ignore[attr-defined]
        raise FormatError(f"cannot store the default factory {make!r}")


def _attributes(x: Any) -> dict[str, Any]:
    slots = [name for kind in type(x).__mro__ for name in getattr(kind, "__slots__", ())]
    return {**{name: getattr(x, name) for name in slots if hasattr(x, name)}, **getattr(x, "__dict__", {})}


def load(text: str) -> Any:
    """Make what ``dump`` was given.

    Raises
    ------
    FormatError
        If ``text`` is nothing that ``dump`` gives.
    """
    try:
        return _Reader(json.loads(text)).object(0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise FormatError(f"not a stored clusterer ({error!r}); start a new generation") from error


class _Reader:
    def __init__(self, table: list[Any]) -> None:
        self.table = table
        self.made: dict[int, Any] = {}

    def value(self, x: Any) -> Any:
        return self.object(x[0]) if isinstance(x, list) else x

    def object(self, number: int) -> Any:
        if number not in self.made:
            kind, *body = self.table[number]
            getattr(self, f"read_{kind}")(number, *body)
        return self.made[number]

    def read_dict(self, number: int, pairs: list[Any], into: dict[Any, Any] | None = None) -> None:
        # Known before its contents are, as those may lead back to it.
        made = self.made[number] = {} if into is None else into
        for key, value in pairs:
            made[self.value(key)] = self.value(value)

    def read_defaultdict(self, number: int, factory: Any, pairs: list[Any]) -> None:
        make: Callable[[], Any] | None = float if factory == "float" else None
        if isinstance(factory, list):
            generator, *args = factory
            make = partial(self.value(generator).gauss, *args)
        self.read_dict(number, pairs, defaultdict(make))

    def read_list(self, number: int, items: list[Any]) -> None:
        made = self.made[number] = list[Any]()
        made.extend(self.value(item) for item in items)

    def read_deque(self, number: int, items: list[Any]) -> None:
        made = self.made[number] = deque[Any]()
        made.extend(self.value(item) for item in items)

    def read_tuple(self, number: int, items: list[Any]) -> None:
        self.made[number] = tuple(self.value(item) for item in items)

    def read_random(self, number: int, state: list[Any]) -> None:
        generator = random.Random()  # noqa: S311 - the stored generator of a clusterer, no secret
        generator.setstate((state[0], tuple(state[1]), state[2]))
        self.made[number] = generator

    def read_object(self, number: int, name: str, attributes: list[Any]) -> None:
        made = self.made[number] = object.__new__(_CLASSES[name])
        for attribute, value in attributes:
            object.__setattr__(made, attribute, self.value(value))
