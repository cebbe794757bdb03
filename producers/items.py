"""Loads a catalogue into the items topic."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from stream.broker.interface import Publisher
from stream.events.schema import ItemRecord

BATCH = 1_024  # items sent at once: enough to spread the cost of a call, few enough to show progress by
FLUSH_TIMEOUT = 60.0  # seconds that the broker has to store everything


def load_items(
    publisher: Publisher,
    topic: str,
    items: Iterable[ItemRecord],
    on_progress: Callable[[int], None] | None = None,
) -> int:
    """Send ``items``, keyed by item id, and return how many; all are stored then.

    ``on_progress`` hears the number of items sent. Loading again does no harm: the topic keeps the last of
    each id. Raises BrokerError.
    """
    remaining = iter(items)
    sent = 0
    while batch := list(islice(remaining, BATCH)):
        publisher.send(topic, [item.key() for item in batch], [item.to_json() for item in batch])
        sent += len(batch)
        if on_progress:
            on_progress(sent)
    publisher.flush(FLUSH_TIMEOUT)
    return sent


def remove_items(publisher: Publisher, topic: str, item_ids: Iterable[str]) -> int:
    """Send a tombstone for each id, and return how many; they are not listed any more. Raises BrokerError."""
    keys = [item_id.encode() for item_id in item_ids]
    publisher.send(topic, keys, [None] * len(keys))
    publisher.flush(FLUSH_TIMEOUT)
    return len(keys)
