"""What a worker looks at before it starts: state topics that do not hold what was written to them."""

from __future__ import annotations

from contextlib import closing

from stream.broker.interface import Broker
from stream.broker.topics import Topics
from stream.errors import OffsetOutOfRange, StateLost
from stream.model import Model
from stream.profiles.layout import RowLayout

# How long a start waits for a row of the changelog: there may be none, of transactions that were aborted.
ROW_S = 1.0

ANEW = (
    "bring the topic back as it was, or begin a new generation with `shoal reset`, which reads all events again that "
    "the log still holds"
)


def check_state(broker: Broker, topics: Topics, model: Model) -> None:
    """Raise where topics do not hold what ``model``, which is as its log has it, was made of.

    StateLost where the model log or the changelog of the profiles was deleted or truncated, OffsetOutOfRange where the
    events topic was made anew.

    A commit writes the delta, the rows and the offsets of the group together: where one of them is there, the others
    were.
    """
    if model.events_topic:
        check_events(broker, topics, model.events_topic)
    changelog = broker.offsets(topics.profiles.name)
    # Only then is the group asked for: a Kafka that has just been set up is still making room for groups' offsets, and
    # librdkafka crashes at times when it is asked for them.
    if model.version < 0 and any(end for _, end in changelog.values()):
        committed = broker.committed(topics.group("workers"), topics.events.name)
        if any(committed.values()):
            raise StateLost(
                f"{topics.model_updates.name} is empty, though {sum(committed.values())} events were committed: {ANEW}"
            )
    if model.counts["events"] and not any(end for _, end in changelog.values()):
        raise StateLost(
            f"{topics.profiles.name} is empty, though {model.counts['events']:,.0f} events were taken in: {ANEW}"
        )
    truncated = {partition: first for partition, (first, _) in changelog.items() if first}
    if truncated:
        raise StateLost(
            f"{topics.profiles.name} begins at offsets {truncated} (by partition), so that profiles are missing; it is "
            f"compacted and must never be cut: {ANEW}"
        )


def check_rows(broker: Broker, topics: Topics, layout: RowLayout) -> None:
    """Raise FormatError where the changelog was written with another encoder, or with rows of another layout.

    A look at one row, before anything is mixed: a restore looks at all.
    """
    topic = topics.profiles.name
    if all(first == end for first, end in broker.offsets(topic).values()):
        return
    with closing(broker.reader(topic, "earliest")) as reader:
        layout.decode([value for value in reader.read(1, ROW_S).values if value is not None])


def check_events(broker: Broker, topics: Topics, identity: str) -> None:
    """Raise OffsetOutOfRange where the events topic is not the one of that ``identity``, though it has its name.

    Offsets alone do not tell: the new one may have grown beyond them.
    """
    if broker.identity(topics.events.name) != identity:
        raise OffsetOutOfRange(
            f"{topics.events.name} is another topic than the one that was read before: it was deleted and made anew. "
            "What was made of the old one stands in the state topics: begin a new generation with `shoal reset`, which "
            "reads what is there"
        )
