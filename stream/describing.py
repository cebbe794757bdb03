"""What an event is about, as a vector: its item's, its own text's, or both."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.catalogue import Catalogue
from stream.encoder import TextEncoder
from stream.events.batch import EventBatch, InlineItem
from stream.hashing import distinct


def describe(
    events: EventBatch, catalogue: Catalogue, encoder: TextEncoder
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Which row of which vectors describes each of n events: int64 (n,), -1 for none, and float32 (v, D).

    An item of the catalogue has a vector already. Free text, and the item fields that an event of an unknown
    item brings along, are encoded now. An event with an item and a text is about the mean of both.
    """
    item_row = catalogue.rows(events.item)
    known = item_row >= 0
    known[known] = catalogue.has_vector[item_row[known]]
    codes, place = distinct(item_row[known].astype(np.uint64))
    used = codes.astype(np.int64)
    vector_row = np.full(len(events), -1, np.int64)
    vector_row[known] = place
    vectors = catalogue.vectors[used]

    if events.text.count(None) == events.inline.count(None) == len(events):  # as nearly always
        return vector_row, vectors
    candidates = [
        (i, _text(text, None if known[i] else inline))
        for i, (text, inline) in enumerate(zip(events.text, events.inline, strict=True))
        if text is not None or inline is not None
    ]
    speaking = np.array([i for i, text in candidates if text], np.int64)
    if not len(speaking):
        return vector_row, vectors
    spoken = encoder.encode([text for _, text in candidates if text])
    both = known[speaking]
    mean = spoken[both] + vectors[vector_row[speaking[both]]]
    spoken[both] = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-6)
    vector_row[speaking] = len(vectors) + np.arange(len(speaking))
    return vector_row, np.concatenate([vectors, spoken])


def _text(text: str | None, inline: InlineItem | None) -> str:
    parts = [text or ""]
    if inline is not None:
        parts += [inline.title, inline.category, inline.brand, inline.description]
    return ". ".join(part for part in parts if part)
