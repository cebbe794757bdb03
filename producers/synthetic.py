"""A log that is generated: for demonstrations, tests and benchmarks, with the truth known.

Users have personas, a persona has a taste over topics of three domains (shop, video, social posts), and
tastes drift. Events come in sessions that wander from an item to its companions. Some users do a lot, most do
little, and popularity is Zipf-like within a topic and changes with fashion.
"""

from __future__ import annotations

import gzip
import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np

from producers.synthetic_behaviour import (
    ACTIONS,
    DAY_MS,
    NEVER,
    WAVES,
    Columns,
    act,
    make_market,
    make_people,
    make_sessions,
    tastes,
    walk,
)
from producers.synthetic_items import make_items
from producers.vocabulary import DOMAINS, load_vocabulary
from stream.errors import ConfigError, InputError
from stream.events.schema import EventRecord, ItemRecord

START_MS = (
    1_736_121_600_000  # 2025-01-06T00:00Z, a Monday: a log that depends on today would differ every day
)
CHUNK = 8_192  # events that are objects at one time; columns take a tenth of the space


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticSettings:
    """What to generate. The same settings give the same log, on every machine.

    Raises ConfigError for what cannot be generated.
    """

    users: int = 400  # the population; who has no session does not appear
    items: int = 300  # at least one for each of the 48 topics
    events: int = 20_000
    days: int = 30
    personas: int = 14  # the first so many of the vocabulary's
    drift: float = 0.15  # share of users who change to another persona once, at some time in the middle
    shift_day: float | None = None  # an abrupt change on this day: a new persona appears
    shift_share: float = 0.3  # share of users who take it on
    fashion: float = 2.0  # how much popularity changes; 0: not at all
    arrivals: float = 0.15  # share of items that come into the catalogue later
    exploration: float = 0.1  # share of touches outside the taste
    seed: int = 0

    def __post_init__(self) -> None:
        vocabulary = load_vocabulary()
        topics = len(vocabulary.subjects) * len(DOMAINS)
        limits: dict[str, tuple[float, float]] = {
            "users": (1, math.inf),
            "items": (topics, math.inf),
            "events": (1, math.inf),
            "days": (1, math.inf),
            "personas": (3, len(vocabulary.personas)),
            "drift": (0, 1),
            "shift_day": (0, self.days),
            "shift_share": (0, 1),
            "fashion": (0, 100),
            "arrivals": (0, 1),
            "exploration": (0, 1),
            "seed": (0, math.inf),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                allowed = f"at least {low}" if math.isinf(high) else f"from {low} to {high}"
                raise ConfigError(f"synthetic {name} = {value}: must be {allowed}")


class Truth(msgspec.Struct, frozen=True):
    """A user has this persona from that time (ms) on, until the user's next row."""

    user_id: str
    persona: str
    from_time_ms: int


class SyntheticLog:
    """A catalogue, a log of events over it, and who the users really were.

    Examples
    --------
    >>> log = SyntheticLog(SyntheticSettings(users=20, events=100, seed=1))
    >>> log.items[0].title
    'Fellhorn GPS running watch for long mountain days'
    >>> events = list(log.events())
    >>> len(events), log.persona_of(events[0].user_id, events[0].timestamp)
    (100, 'jazz collector')
    """

    def __init__(self, settings: SyntheticSettings) -> None:
        self.settings = settings
        vocabulary = load_vocabulary()
        self._subjects = vocabulary.subjects
        self._personas = vocabulary.personas[: settings.personas]
        self._span = (START_MS, START_MS + settings.days * DAY_MS)
        items = make_items(self._subjects, settings.items, START_MS, self._random(0))
        self._market = make_market(items, settings.fashion, settings.arrivals, self._random(1))
        wave_ms = (self._span[1] - START_MS) // WAVES
        for row in np.flatnonzero(self._market.arrival).tolist():
            items.records[row].available_from = START_MS + int(self._market.arrival[row]) * wave_ms
        shift = None
        if settings.shift_day is not None:
            shift = (START_MS + int(settings.shift_day * DAY_MS), settings.shift_share)
        self._people = make_people(
            settings.users, len(self._personas), settings.drift, shift, self._span, self._random(2)
        )

    def _random(self, part: int) -> np.random.Generator:
        # A stream for each part: with more events the items and the users stay as they are.
        return np.random.Generator(np.random.PCG64((self.settings.seed, part)))

    @property
    def items(self) -> list[ItemRecord]:
        """The catalogue; titles are all different."""
        return self._market.items.records

    @cached_property
    def columns(self) -> Columns:
        """All events as arrays, 40 bytes each, in order of time; made when first asked for."""
        settings, random = self.settings, self._random(3)
        sessions = make_sessions(settings.users, settings.events, self._span, random)
        persona = self._people.at(sessions.user, sessions.start)
        wave = (sessions.start - START_MS) * WAVES // (self._span[1] - START_MS)
        taste = tastes(self._personas, self._subjects, settings.exploration)
        item = walk(sessions, persona, wave, taste, self._market, random)
        domain = self._market.items.topic[item] % len(DOMAINS)
        return act(sessions, item, domain, settings.events, random)

    def events(self) -> Iterator[EventRecord]:
        """Yield the events in order of time. Cart and purchase carry the price, a search its words."""
        items, search = self._market.items, ACTIONS.index("search")
        priced = {ACTIONS.index("cart"), ACTIONS.index("purchase")}
        prefix = f"s{self.settings.seed}"
        for first in range(0, self.settings.events, CHUNK):
            columns = (c[first : first + CHUNK].tolist() for c in self.columns.as_tuple())
            for n, (user, session, row, action, time) in enumerate(zip(*columns, strict=True), first):
                item = items.records[row]
                yield EventRecord(
                    event_id=f"{prefix}-e{n}",
                    user_id=f"user-{user}",
                    action=ACTIONS[action],
                    item_id=None if action == search else item.item_id,
                    timestamp=time,
                    session_id=f"{prefix}-{session}",
                    value=item.price if action in priced else None,
                    text=items.queries[row] if action == search else None,
                )

    def truth(self) -> Iterator[Truth]:
        """Yield who is which persona from when on: users in order, times rising.

        A session keeps the persona that it began with, even where the user's next one begins within it.
        """
        for user, (since, persona) in enumerate(
            zip(self._people.since.tolist(), self._people.persona.tolist(), strict=True)
        ):
            for time, number in zip(since, persona, strict=True):
                if time != NEVER:
                    yield Truth(f"user-{user}", self._personas[number].name, time)

    def persona_of(self, user_id: str, time_ms: int) -> str:
        """Name of the user's true persona at a time. Raises KeyError for a user who is not of this log."""
        prefix, _, number = user_id.rpartition("-")
        if prefix != "user" or not number.isdecimal() or int(number) >= self.settings.users:
            raise KeyError(user_id)
        stage = bisect_right(self._people.since[int(number)].tolist(), time_ms) - 1
        persona = int(self._people.persona[int(number), max(stage, 0)])
        return self._personas[persona].name

    def write(self, directory: Path, *, compress: bool = False) -> None:
        """Write ``events.jsonl`` (or ``events.jsonl.gz``), ``items.jsonl`` and ``truth.jsonl``. Raises InputError."""
        try:
            directory.mkdir(parents=True, exist_ok=True)
            _write_lines(directory / ("events.jsonl.gz" if compress else "events.jsonl"), self.events())
            _write_lines(directory / "items.jsonl", self.items)
            _write_lines(directory / "truth.jsonl", self.truth())
        except OSError as error:
            raise InputError(
                f"{directory}: the log cannot be written there ({error.strerror}); name a directory that can be"
            ) from error


def _write_lines(path: Path, records: Iterable[msgspec.Struct]) -> None:
    encoder = msgspec.json.Encoder()
    with path.open("wb") as file:
        # No name and no time in the header, or the same log would give different bytes.
        out = gzip.GzipFile("", "wb", fileobj=file, mtime=0) if path.suffix == ".gz" else file
        with out:
            out.writelines(encoder.encode(record) + b"\n" for record in records)
