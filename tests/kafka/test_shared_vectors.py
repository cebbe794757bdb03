"""Vectors shared by workers, on the real Kafka."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from producers.synthetic import SyntheticLog
from stream.events.schema import ItemRecord


def test_a_catalogue_is_encoded_once_and_a_killed_holder_is_followed(
    service: Callable[..., Any], log: SyntheticLog
) -> None:
    shoal = service()
    topic = shoal.topics.item_vectors.name
    shoal.load(log.items)
    one = shoal.process("one", shared=True)
    shoal.until(lambda: len(shoal.read(topic)) == len(log.items), "the vectors of the catalogue")
    two = shoal.thread("two", shared=True)
    items = two.worker._processor._items
    assert items.encoded == 0
    assert items.catalogue.has_vector.sum() == len(log.items)
    one.signal(signal.SIGKILL)
    one.wait()
    more = [ItemRecord(item_id=f"more-{n}", title=f"more of them {n}") for n in range(20)]
    shoal.load(more)
    shoal.until(lambda: items.encoded == len(more), "what came after the holder's death")
    shoal.until(lambda: len(shoal.read(topic)) == len(log.items) + len(more), "their vectors")
    two.stop()
