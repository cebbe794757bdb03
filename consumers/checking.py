"""What a worker looks at before it starts: state topics that do not hold what was written to them."""

from __future__ import annotations

from stream.broker.interface import Broker
from stream.broker.topics import Topics
from stream.errors import StateLost
from stream.model import Model

ANEW = (
    "bring the topic back as it was, or begin a new generation with `shoal reset`, which reads all events again that "
    "the log still holds"
)


def check_state(broker: Broker, topics: Topics, model: Model) -> None:
    """Raise StateLost where the model log or the changelog of the profiles was deleted or truncated.

    A commit writes the delta, the rows and the offsets of the group together: where one of them is there, the others
    were. ``model`` is as its log has it.
    """
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
