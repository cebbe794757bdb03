"""Names and specifications of Shoal's topics and groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import structlog

from stream.broker.interface import Broker, TopicSpec
from stream.config import DAY_MS, HOUR_MS, KafkaSettings
from stream.errors import TopicMismatch

log = structlog.get_logger()

MIB = 1024 * 1024
FOREVER = {"retention.ms": "-1", "retention.bytes": "-1"}

# Deltas and parts of snapshots are at most 512 KiB; Kafka's own limit of 1 MiB, said here so that a broker
# with a lower default does not refuse them.
STATE_RECORD_BYTES = str(MIB)

# The active segment is never compacted, so what is written often has to roll often, or a restore reads every
# version of every row. Smaller segments mean more open files, larger ones longer restores.
STATE_LOG = {
    "segment.bytes": str(64 * MIB),
    "segment.ms": str(HOUR_MS),
    "min.cleanable.dirty.ratio": "0.2",  # of the log; below that the cleaner copies much to gain little
    # A restoring reader has so long to reach the end before deletions vanish from under it, and so old may be the
    # profiles that a machine keeps on its disk. Deletions are few, and 8 bytes each.
    "delete.retention.ms": str(7 * DAY_MS),
    "max.message.bytes": STATE_RECORD_BYTES,
}


class Topics:
    """Every topic, group and transactional id by its role.

    What belongs to one reading of the log (state topics, groups, transactional ids) carries the generation in
    its name; input and output topics do not, since others read and write them.

    Examples
    --------
    >>> topics = Topics(KafkaSettings(partitions=8))
    >>> topics.events.name, topics.profiles.name, topics.profiles.partitions
    ('shoal.events', 'shoal.g1.profiles', 8)
    >>> topics.group("workers"), topics.transactional_id("worker-1")
    ('shoal.g1.workers', 'shoal.g1.worker-1')
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._state_prefix = f"{settings.prefix}g{settings.generation}."
        n = settings.partitions
        # Append time says when an event arrived, whatever its producer's clock says; lateness is measured
        # against it.
        self.events = self._plain(settings, "events", n, {"message.timestamp.type": "LogAppendTime"})
        self.items = self._plain(settings, "items", 1, compacted=True)
        self.recommendations = self._plain(settings, "recommendations", n, compacted=True)
        self.clusters = self._plain(settings, "clusters", 1, compacted=True)
        # They wait for a human or a worker that was down, and are few. Dead letters are keyed by where the refused
        # record stood, so that writing one again leaves one.
        # Base64 makes a dead letter half as long again as what was refused, which may have filled its topic's limit.
        room = {"max.message.bytes": str(2 * MIB)}
        self.dead_letters = self._plain(settings, "dead-letters", 1, room, compacted=True)
        self.erasures = self._plain(settings, "erasures", 1, FOREVER)
        # Vectors depend on the encoder alone, which their records name; a new generation reuses them.
        self.item_vectors = self._plain(settings, "item-vectors", 1, STATE_LOG, compacted=True)
        self.profiles = self._state("profiles", n, STATE_LOG, compacted=True)
        # Order is what makes it a replicated state machine, so one partition; snapshots name offsets in it,
        # so nothing of it may expire before them.
        self.model_updates = self._state(
            "model-updates", 1, FOREVER | {"max.message.bytes": STATE_RECORD_BYTES}
        )
        self.model = self._state("model", 1, STATE_LOG, compacted=True)

    @staticmethod
    def _plain(
        settings: KafkaSettings,
        name: str,
        partitions: int,
        topic_settings: dict[str, str] | None = None,
        compacted: bool = False,
    ) -> TopicSpec:
        return TopicSpec(settings.prefix + name, partitions, compacted, topic_settings or {})

    def _state(
        self, name: str, partitions: int, topic_settings: dict[str, str], compacted: bool = False
    ) -> TopicSpec:
        return TopicSpec(self._state_prefix + name, partitions, compacted, topic_settings)

    def __iter__(self) -> Iterator[TopicSpec]:
        return (topic for topic in vars(self).values() if isinstance(topic, TopicSpec))

    def like_events(self) -> tuple[TopicSpec, TopicSpec]:
        """Those with as many partitions as ``events``: a row goes to its event's partition by number."""
        return self.profiles, self.recommendations

    def state(self) -> tuple[TopicSpec, ...]:
        """Those that belong to this generation alone; ``shoal reset`` leaves them behind."""
        return self.profiles, self.model_updates, self.model

    def group(self, role: str) -> str:
        """The consumer group of ``role`` in this generation."""
        return self._state_prefix + role

    def transactional_id(self, instance: str) -> str:
        """The transactional id of a worker's instance in this generation."""
        return self._state_prefix + instance


def ensure_topics(broker: Broker, topics: Topics, settings: KafkaSettings) -> int:
    """Create what is missing; an ``events`` topic that exists decides how many partitions go with it.

    Where it has grown, so do those that go with it.

    Returns
    -------
    int
        The number of partitions of ``events``, ``profiles`` and ``recommendations``.

    Raises
    ------
    TopicMismatch
        Where one of the others exists with a larger number, or a one-partition topic has several.
    """
    n = _existing_partitions(broker, topics.events.name) or settings.partitions
    followers = topics.like_events()
    for topic in followers:
        there = _existing_partitions(broker, topic.name)
        if there is not None and there < n:
            log.warning(
                "the events topic has more partitions than before, and this topic is given as many; users whose key "
                "goes to another partition now begin a new profile there",
                topic=topic.name,
                partitions=n,
            )
            broker.grow(topic.name, n)
        elif there not in (None, n):
            raise TopicMismatch(
                f"topic {topic.name} has {there} partitions and {topics.events.name} has {n}, which must be "
                f"equal: delete {topic.name} and let Shoal create it anew, or start a new generation "
                "(kafka.generation) where it is a state topic"
            )
    for topic in (topics.model_updates, topics.model):
        _check_single(broker, topic)
    sized = {topics.events.name, *(t.name for t in followers)}
    _create_missing(broker, [replace(t, partitions=n) if t.name in sized else t for t in topics])
    return n


def _existing_partitions(broker: Broker, name: str) -> int | None:
    try:
        return broker.partitions(name)
    except TopicMismatch:
        return None


def _check_single(broker: Broker, topic: TopicSpec) -> None:
    there = _existing_partitions(broker, topic.name)
    if there not in (None, 1):
        raise TopicMismatch(
            f"topic {topic.name} has {there} partitions and must have 1, since its order is what counts: "
            "delete it and let Shoal create it, or start a new generation (kafka.generation)"
        )


def _create_missing(broker: Broker, topics: list[TopicSpec]) -> None:
    # Topics that others own (items, dead letters) may have another number of partitions: that is fine.
    broker.create_topics([t for t in topics if _existing_partitions(broker, t.name) is None])
