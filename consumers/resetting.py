"""Generations: one reading of the log beside another, and the end of the old ones.

State topics and groups carry the generation in their names. Only these are ever deleted, by their exact names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stream.broker.interface import Broker
from stream.broker.topics import Topics, ensure_topics
from stream.config import KafkaSettings
from stream.errors import ResetRefused

ROLES = ("workers", "learner", "encoders")  # groups of a generation


def generations(broker: Broker, settings: KafkaSettings) -> dict[int, list[str]]:
    """The state topics that there are, by generation, in order. Raises BrokerUnavailable."""
    found: dict[int, list[str]] = {}
    for name in broker.topics(settings.prefix):
        number = re.match(re.escape(settings.prefix) + r"g(\d+)\.", name)
        if number and name in _state_topics(settings, int(number[1])):
            found.setdefault(int(number[1]), []).append(name)
    return dict(sorted(found.items()))


@dataclass(frozen=True, slots=True)
class Opening:
    """What opening a generation does."""

    generation: int
    beside: list[int]  # generations that are there
    creates: list[str]  # topics
    reads: str  # topic
    records: int  # that it holds still, about
    writes: str  # topic


def plan_opening(broker: Broker, settings: KafkaSettings) -> Opening:
    """Say what opening the next generation does.

    Raises ResetRefused where there is none to stand beside, or a newer one than ``kafka.generation`` is open already.
    """
    there = list(generations(broker, settings))
    if not there:
        raise ResetRefused("no generation was ever begun here: start a worker, which begins the first")
    newest = there[-1]
    if newest > settings.generation:
        raise ResetRefused(
            f"generation {newest} is open already: set kafka.generation = {newest} and start workers, or, to open yet "
            f"another, run this with --set kafka.generation={newest}"
        )
    generation = max(newest, settings.generation) + 1
    topics = Topics(settings)
    held = broker.offsets(topics.events.name)
    return Opening(
        generation,
        there,
        _state_topics(settings, generation),
        topics.events.name,
        sum(end - first for first, end in held.values()),
        topics.recommendations.name,
    )


def open_generation(broker: Broker, settings: KafkaSettings, opening: Opening) -> None:
    """Create its topics. Raises BrokerError."""
    new = settings.model_copy(update={"generation": opening.generation})
    ensure_topics(broker, Topics(new), new)


@dataclass(frozen=True, slots=True)
class Dropping:
    """What is deleted of generations that are older than the one in use."""

    keeps: int
    topics: list[str]
    groups: list[str]


def plan_dropping(broker: Broker, settings: KafkaSettings) -> Dropping:
    """Say what dropping the generations before ``kafka.generation`` deletes.

    Raises ResetRefused where there is none, or one still has workers, or is further than the one that is to replace it.
    """
    current, there = settings.generation, generations(broker, settings)
    old = [generation for generation in there if generation < current]
    if not old:
        raise ResetRefused(
            f"no generation is older than kafka.generation = {current}: there is nothing to drop"
        )
    if current not in there:
        raise ResetRefused(
            f"generation {current} was never begun: start workers with it, and let them catch up"
        )
    groups = [name for generation in old for name in _groups(settings, generation).values()]
    for name in groups:
        if members := broker.members(name):
            raise ResetRefused(
                f"group {name} has {members} members: end the workers of the old generation first"
            )
    _check_caught_up(broker, settings, old[-1])
    there_too = set(broker.groups(settings.prefix))
    return Dropping(current, [name for n in old for name in there[n]], [g for g in groups if g in there_too])


def drop(broker: Broker, dropping: Dropping) -> None:
    """Delete what ``plan_dropping`` names: it may be done again where it was cut short. Raises BrokerError."""
    broker.delete_groups(dropping.groups)
    broker.delete_topics(dropping.topics)


def _check_caught_up(broker: Broker, settings: KafkaSettings, old: int) -> None:
    """Raise ResetRefused unless the current generation has taken in all that the ``old`` one had."""
    events = Topics(settings).events.name
    mine = broker.committed(_groups(settings, settings.generation)["workers"], events)
    missing = behind(broker, settings, to_be_reached(broker, settings, [old]), mine)
    if missing:
        raise ResetRefused(
            f"generation {settings.generation} has {missing:,} records of {events} still to take in, which generation "
            f"{old} had: wait until it has caught up (`shoal status`)"
        )


def to_be_reached(
    broker: Broker, settings: KafkaSettings, older: Sequence[int] | None = None
) -> dict[int, int]:
    """Positions, by partition of the events, of the newest of the ``older`` generations that has any.

    Without ``older`` these are all that there are before the one in ``settings``. Kafka forgets the offsets of a group
    that was idle for a week: then, as where there is none, the end is what has to be reached.
    """
    events = Topics(settings).events.name
    if older is None:
        older = [
            generation for generation in generations(broker, settings) if generation < settings.generation
        ]
    for generation in reversed(older):
        committed = broker.committed(_groups(settings, generation)["workers"], events)
        if committed:
            return dict(committed)
    return {partition: end for partition, (_, end) in broker.offsets(events).items()}


def behind(
    broker: Broker, settings: KafkaSettings, wanted: Mapping[int, int], mine: Mapping[int, int]
) -> int:
    """How many records lie between the positions ``mine`` and those ``wanted`` that the log still holds."""
    first = {
        partition: start for partition, (start, _) in broker.offsets(Topics(settings).events.name).items()
    }
    return sum(max(0, end - max(mine.get(p, 0), first.get(p, 0))) for p, end in wanted.items())


def _state_topics(settings: KafkaSettings, generation: int) -> list[str]:
    topics = Topics(settings.model_copy(update={"generation": generation}))
    return [topic.name for topic in topics.state()]


def _groups(settings: KafkaSettings, generation: int) -> dict[str, str]:
    topics = Topics(settings.model_copy(update={"generation": generation}))
    return {role: topics.group(role) for role in ROLES}
