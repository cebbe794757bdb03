"""How the people of the generated log behave: who they are over time, what is in fashion, what they do.

Uniform random numbers go through sums, products, quotients, square roots and comparisons only. Those are
exact in IEEE 754, so a seed gives the same log on every machine; ``log``, ``exp`` and powers differ in the
last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from producers.synthetic_items import Items
from producers.vocabulary import DOMAINS, Persona, Subject

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NEVER = np.int64(2**62)

WAVES = 10  # times that popularity changes over the whole log; each costs 8 bytes an item
BUSIEST = 50.0  # times as active as the idlest user, at most; or one user could be a tenth of a small log
MOST_TOUCHES = 12  # items touched in a session; 4.5 on average, so that there is something to learn from
WANDER = 0.15  # chance that the next touch of a session starts over from the user's taste
FOLLOW = 0.45  # chance that it goes on to a companion of the item before; higher flattens popularity
COMPANIONS = 3  # items that each item leads to; fewer make co-visitation trivial, more make it noise
TOUCH_GAP_MS = 20_000  # median between two touches
ACTION_GAP_MS = 6_000  # median between two actions on one item
LONGEST_GAP_MS = 600_000  # a longer silence would be another session

# Relative activity by hour of the day, UTC: quiet nights, a bump at noon, most in the evening.
HOURS = (2, 1, 1, 1, 1, 2, 4, 6, 7, 7, 7, 8, 10, 8, 7, 7, 8, 10, 13, 15, 16, 14, 9, 5)

ACTIONS = ("view", "click", "cart", "purchase", "watch", "like", "share", "search")

# What somebody does with one item in one go, with relative frequencies. A search names no item and finds the
# next one.
GOES: dict[str, tuple[tuple[int, tuple[str, ...]], ...]] = {
    "shop": (
        (50, ("view",)),
        (17, ("click", "view")),
        (13, ("view", "cart")),
        (9, ("view", "cart", "purchase")),
        (3, ("view", "purchase")),
        (8, ("search", "view")),
    ),
    "video": (
        (30, ("view",)),
        (20, ("click", "watch")),
        (26, ("watch",)),
        (14, ("watch", "like")),
        (4, ("watch", "like", "share")),
        (6, ("search", "watch")),
    ),
    "social": (
        (50, ("view",)),
        (25, ("view", "like")),
        (10, ("click", "view")),
        (6, ("view", "share")),
        (4, ("view", "like", "share")),
        (5, ("search", "view")),
    ),
}


class Lots:
    """Draws indices by weight.

    Examples
    --------
    >>> lots = Lots([1.0, 0.0, 3.0])
    >>> lots.draw(0, 3, np.array([0.2, 0.3, 0.99]))
    array([0, 2, 2])
    """

    def __init__(self, weights: npt.ArrayLike) -> None:
        self._sums = np.concatenate(([0.0], np.cumsum(np.asarray(weights, np.float64))))

    def draw(self, low: Ints | int, high: Ints | int, luck: Floats) -> Ints:
        """Draw an index in [low, high) for each of ``luck`` (n,) in [0, 1), in proportion to the weights."""
        below, above = self._sums[low], self._sums[high]
        found = np.searchsorted(self._sums, below + luck * (above - below), side="right") - 1
        inside: Ints = np.clip(found, low, np.asarray(high) - 1)  # rounding may reach the end
        return inside


@dataclass(frozen=True, slots=True)
class People:
    """Personas of n users over time. A user has up to three, one after the other."""

    since: Ints  # (n, 3) ms, rising; NEVER where there is no further one
    persona: Ints  # (n, 3)

    def at(self, user: Ints, time: Ints) -> Ints:
        """Personas of ``user`` (m,) at ``time`` (m,)."""
        stage = (self.since[user] <= time[:, None]).sum(axis=1) - 1
        personas: Ints = self.persona[user, np.maximum(stage, 0)]
        return personas


def make_people(
    users: int,
    personas: int,
    drift: float,
    shift: tuple[int, float] | None,
    span: tuple[int, int],
    rng: np.random.Generator,
) -> People:
    """Give every user a persona; let the share ``drift`` change to another in the middle of ``span`` (ms).

    ``shift`` = (time, share) moves that share of users at once to the last persona, which nobody has before.
    """
    start, end = span
    usual = personas - 1 if shift else personas
    first = Lots(1.0 / (3.0 + np.arange(usual))).draw(0, usual, rng.random(users))
    other = (first + 1 + (rng.random(users) * (usual - 1)).astype(np.int64)) % usual
    moves = rng.random(users) < drift
    moment = start + ((0.2 + 0.6 * rng.random(users)) * (end - start)).astype(np.int64)
    since = np.stack([np.full(users, start), np.where(moves, moment, NEVER), np.full(users, NEVER)], axis=1)
    persona = np.stack([first, other, np.full(users, personas - 1)], axis=1)
    if shift:
        since[:, 2] = np.where(rng.random(users) < shift[1], shift[0], NEVER)
    order = np.argsort(since, axis=1, kind="stable")
    return People(np.take_along_axis(since, order, axis=1), np.take_along_axis(persona, order, axis=1))


@dataclass(frozen=True, slots=True)
class Market:
    """What is to be had, how popular it is wave by wave, and what leads to what."""

    items: Items
    arrival: Ints  # (n,) wave from which on an item is there
    demand: Lots  # of item i in wave w at w * n + i
    ring: Ints  # (n,) items in an order in which each leads to the next ones, subject by subject
    place: Ints  # (n,) of each item in the ring

    def popular(self, topic: Ints, wave: Ints, luck: Floats) -> Ints:
        """Items of ``topic`` (m,) as popular in ``wave`` (m,)."""
        base = wave * len(self.arrival)
        start = self.items.topic_start
        return self.demand.draw(base + start[topic], base + start[topic + 1], luck) - base

    def companions(self, item: Ints, luck: Floats) -> Ints:
        """For each of ``item`` (m,) one that goes with it: of the same subject, in any domain."""
        subject_start = self.items.topic_start[:: len(DOMAINS)]
        subject = self.items.topic[item] // len(DOMAINS)
        low = subject_start[subject]
        step = 1 + (luck * COMPANIONS).astype(np.int64)
        return self.ring[low + (self.place[item] - low + step) % (subject_start[subject + 1] - low)]


def make_market(items: Items, fashion: float, arrivals: float, rng: np.random.Generator) -> Market:
    """Draw popularity: 1 / rank within a topic (Zipf), drifting by ``fashion``; some items arrive later."""
    n = len(items.topic)
    by_rank = np.lexsort((rng.random(n), items.topic))
    rank = np.empty(n)
    rank[by_rank] = np.arange(n) - items.topic_start[items.topic]
    late = (rng.random(n) < arrivals) & (rank > 0)  # the first stays, or a topic could be empty
    arrival = np.where(late, 1 + (rng.random(n) * (WAVES - 1)).astype(np.int64), 0)
    steps = (1.0 + fashion * rng.random((WAVES, n))) / (1.0 + fashion * rng.random((WAVES, n)))
    demand = np.cumprod(steps, axis=0) / (1.0 + rank)
    demand[np.arange(WAVES)[:, None] < arrival] = 0.0
    ring = np.lexsort((rng.random(n), items.topic // len(DOMAINS)))
    place = np.empty(n, np.int64)
    place[ring] = np.arange(n)
    return Market(items, arrival, Lots(demand.ravel()), ring, place)


@dataclass(frozen=True, slots=True)
class Sessions:
    """n sessions: whose, from when on, and how many items are touched."""

    user: Ints
    start: Ints  # ms
    touches: Ints


def make_sessions(users: int, events: int, span: tuple[int, int], rng: np.random.Generator) -> Sessions:
    """Draw sessions that hold ``events`` events or more. Activity of users is Pareto with exponent 4/3."""
    luck = 1.0 - rng.random(users)
    activity = Lots(np.minimum(1.0 / (np.sqrt(luck) * np.sqrt(np.sqrt(luck))), BUSIEST))
    length = Lots(1.0 / np.arange(2, MOST_TOUCHES + 2))
    touches = 1 + length.draw(0, MOST_TOUCHES, rng.random(events))
    n = int(np.searchsorted(np.cumsum(touches), events)) + 1  # a touch is one event or more
    days = (span[1] - span[0]) // DAY_MS
    day = (rng.random(n) * days).astype(np.int64)
    hour = Lots(HOURS).draw(0, len(HOURS), rng.random(n))
    start = span[0] + day * DAY_MS + hour * HOUR_MS + (rng.random(n) * HOUR_MS).astype(np.int64)
    return Sessions(activity.draw(0, users, rng.random(n)), start, touches[:n])


def tastes(personas: Sequence[Persona], subjects: Sequence[Subject], exploration: float) -> Lots:
    """Make lots over topics, persona after persona: its taste, and ``exploration`` of anything."""
    topics = len(subjects) * len(DOMAINS)
    rows = []
    for persona in personas:
        subject = np.array([persona.taste.get(s.name, 0.0) for s in subjects])
        domain = np.array([persona.domains.get(d, 0.0) for d in DOMAINS])
        taste = np.outer(subject / subject.cumsum()[-1], domain / domain.cumsum()[-1]).ravel()
        rows.append((1.0 - exploration) * taste + exploration / topics)
    return Lots(np.concatenate(rows))


def walk(
    sessions: Sessions, persona: Ints, wave: Ints, taste: Lots, market: Market, rng: np.random.Generator
) -> Ints:
    """Choose the items touched, (total touches,) session after session; all sessions take a step at once.

    A step starts over from the persona's taste, or goes to a companion, or to what is popular in the topic.
    """
    n_topics = len(market.items.topic_start) - 1
    touched = np.full((len(persona), MOST_TOUCHES), -1, np.int64)
    topic = np.zeros(len(persona), np.int64)
    for step in range(MOST_TOUCHES):
        live = np.flatnonzero(sessions.touches > step)
        luck = rng.random((5, len(live)))
        afresh = (luck[0] < WANDER) | (step == 0)
        base = persona[live] * n_topics
        start = np.where(afresh, taste.draw(base, base + n_topics, luck[1]) - base, topic[live])
        item = market.popular(start, wave[live], luck[2])
        if step:
            companion = market.companions(touched[live, step - 1], luck[3])
            follows = ~afresh & (luck[4] < FOLLOW) & (market.arrival[companion] <= wave[live])
            item = np.where(follows, companion, item)
        touched[live, step] = item
        topic[live] = market.items.topic[item]
    return touched[touched >= 0]


@dataclass(frozen=True, slots=True)
class Columns:
    """n events in order of time."""

    user: Ints
    session: Ints
    item: Ints  # of a search: the item that it finds
    action: Ints  # index of ``ACTIONS``
    time: Ints  # ms

    def as_tuple(self) -> tuple[Ints, Ints, Ints, Ints, Ints]:
        """Give the columns in the order above."""
        return self.user, self.session, self.item, self.action, self.time


def act(sessions: Sessions, item: Ints, domain: Ints, events: int, rng: np.random.Generator) -> Columns:
    """Turn touches, (m,) items and their domains, into ``events`` events in order of time, cut off there."""
    goes = [(domain_goes, go) for domain_goes in DOMAINS for go in GOES[domain_goes]]
    sizes = np.array([len(go[1]) for _, go in goes])
    actions = np.array([ACTIONS.index(name) for _, go in goes for name in go[1]])
    first_go = np.concatenate(([0], np.cumsum([len(GOES[d]) for d in DOMAINS])))
    go = Lots([float(weight) for _, (weight, _) in goes]).draw(
        first_go[domain], first_go[domain + 1], rng.random(len(item))
    )
    touch = np.repeat(np.arange(len(item)), sizes[go])[:events]
    nth = np.arange(events) - (np.cumsum(sizes[go]) - sizes[go])[touch]
    session = np.repeat(np.arange(len(sessions.user)), sessions.touches)[touch]

    luck = rng.random(events)
    gap = (
        np.where(nth == 0, TOUCH_GAP_MS, ACTION_GAP_MS) * luck / (1.0 - luck)
    )  # log-logistic, as dwell times are
    passed = np.cumsum(np.minimum(gap, LONGEST_GAP_MS).astype(np.int64) + 1)
    opens = np.searchsorted(session, np.arange(len(sessions.user)))
    time = sessions.start[session] + passed - passed[opens[session]]
    order = np.argsort(time, kind="stable")
    first_action = (np.cumsum(sizes) - sizes)[go]
    action = actions[first_action[touch] + nth]
    return Columns(
        *(column[order] for column in (sessions.user[session], session, item[touch], action, time))
    )
