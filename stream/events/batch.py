"""A batch of events as columns: what travels through the pipeline."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.broker.interface import Records


@dataclass(frozen=True, slots=True)
class InlineItem:
    """Catalogue fields that an event brings along; they describe this event, not the catalogue's item."""

    title: str = ""
    category: str = ""
    description: str = ""
    brand: str = ""


@dataclass(frozen=True, slots=True)
class EventBatch:
    """n events in the order in which they were read.

    Ids are 64-bit hashes (``stream.hashing``), 0 where there is none. Their texts are kept beside the hashes
    because what is published carries them.
    """

    partition: npt.NDArray[np.int32]  # (n,)
    offset: npt.NDArray[np.int64]  # (n,)
    ingest_time: npt.NDArray[np.int64]  # (n,) ms, append time of the log
    epoch: npt.NDArray[
        np.int32
    ]  # (n,) assignment epoch of the partition; a result of an older epoch is stale
    time: npt.NDArray[np.int64]  # (n,) ms, event time
    user: npt.NDArray[np.uint64]  # (n,)
    item: npt.NDArray[np.uint64]  # (n,)
    action: npt.NDArray[np.uint16]  # (n,) stable code of the action's name
    weight: npt.NDArray[np.float32]  # (n,) what the action says of the user's taste; negative takes away
    event_id: npt.NDArray[np.uint64]  # (n,)
    session: npt.NDArray[np.uint64]  # (n,)
    value: npt.NDArray[np.float32]  # (n,) NaN where there is none
    list_id: npt.NDArray[np.uint64]  # (n,) the list this event answers
    position: npt.NDArray[np.int16]  # (n,) place in that list from 0, -1 where there is none
    user_id: list[str]
    item_id: list[str | None]
    text: list[str | None]  # free text of the event, such as a search query
    inline: list[InlineItem | None]

    def __len__(self) -> int:
        return len(self.user_id)

    def select(self, keep: npt.NDArray[np.bool_]) -> EventBatch:
        """Take the events at the mask ``keep`` (n,)."""
        if keep.all():
            return self
        index = np.flatnonzero(keep)
        chosen: dict[str, Any] = {}
        for f in fields(self):
            column = getattr(self, f.name)
            chosen[f.name] = [column[i] for i in index] if isinstance(column, list) else column[index]
        return replace(self, **chosen)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be taken in: its row in what was decoded, reason code, what was wrong."""

    row: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """What became of some records: every one is an event, a dead letter or a counted drop."""

    records: Records
    events: EventBatch
    dead: list[DeadLetter]
    drops: Counter[str]  # reason code -> how many
