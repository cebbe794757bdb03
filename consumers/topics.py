"""How Shoal's topics stand on a broker."""

from __future__ import annotations

from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from stream.broker.interface import Broker, TopicSpec
from stream.broker.topics import Topics
from stream.config import KafkaSettings
from stream.errors import TopicMismatch


@dataclass(frozen=True, slots=True)
class TopicState:
    """One topic; ``partitions`` is None where it is missing, ``trouble`` says what does not fit."""

    name: str
    partitions: int | None
    offsets: int  # from the first to the last; compaction and transactions leave gaps
    compacted: bool
    trouble: str = ""


def look_at_topics(broker: Broker, settings: KafkaSettings) -> list[TopicState]:
    """Every topic as it is, judged as ``ensure_topics`` does. Raises BrokerUnavailable."""
    topics = Topics(settings)
    there = {topic.name: _partitions(broker, topic.name) for topic in topics}
    events = there[topics.events.name]
    like_events = {topic.name for topic in topics.like_events()}
    return [
        _look(broker, topic, there[topic.name], _wanted(topic, topics, like_events, events))
        for topic in topics
    ]


def topics_view(rows: list[TopicState]) -> Table:
    """Show them as a table."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name, justify in (("topic", "left"), ("partitions", "right"), ("offsets", "right")):
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    table.add_column("kind")
    table.add_column("state")
    for row in rows:
        state = Text(row.trouble, style="red") if row.trouble else Text("fits", style="green")
        partitions = "-" if row.partitions is None else str(row.partitions)
        kind = "compacted" if row.compacted else "log"
        table.add_row(row.name, partitions, f"{row.offsets:,}", kind, state)
    return table


def _look(broker: Broker, topic: TopicSpec, there: int | None, wanted: int | None) -> TopicState:
    if there is None:
        return TopicState(topic.name, None, 0, topic.compacted, "missing")
    trouble = f"must have {wanted} partitions" if wanted not in (None, there) else ""
    offsets = sum(end - first for first, end in broker.offsets(topic.name).values())
    return TopicState(topic.name, there, offsets, topic.compacted, trouble)


def _wanted(topic: TopicSpec, topics: Topics, like_events: set[str], events: int | None) -> int | None:
    """How many partitions it must have; None where any number will do."""
    if topic.name in like_events:
        return events
    return 1 if topic.name == topics.model_updates.name else None


def _partitions(broker: Broker, name: str) -> int | None:
    try:
        return broker.partitions(name)
    except TopicMismatch:
        return None
