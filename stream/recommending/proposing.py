"""What each source proposes to some users."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stream.model import Model
from stream.recommending.content import Content
from stream.recommending.contexts import InContext
from stream.recommending.neighbours import propose_neighbours
from stream.recommending.new_items import NewItems
from stream.recommending.readers import Readers
from stream.recommending.sequences import SequenceSource
from stream.recommending.sources import (
    CHANCE,
    CONTENT,
    CONTEXT,
    EASE,
    ITEM_KNN,
    NEW,
    NEXT,
    SEQUENCE,
    TOGETHER,
    TRENDING,
    WINDOW,
)
from stream.recommending.tables import Floats, Proposals
from stream.recommending.trending import places_of
from stream.steps import WINDOW as DEPTH

# What an own item says to item-kNN, against the one taken before it: the tenth last says a third. EASE, which explains
# items by each other, takes all alike.
KNN_DECAY = np.float32(0.9)


def propose_by_text(readers: Readers, content: Content, new_items: NewItems) -> list[Proposals]:
    """What is like the taste of m ``readers``, and of that what is new. Of many at once: clusters share shortlists."""
    return [source.propose(readers.cluster, readers.vectors) for source in (content, new_items)]


def propose(
    readers: Readers,
    model: Model,
    near: Sequence[Proposals],
    sequence: SequenceSource | None,
    place: npt.NDArray[np.int32],
) -> tuple[list[tuple[int, Proposals]], InContext, Floats]:
    """Proposals for m ``readers``, each with its first column; the contexts they are in; how much item models say.

    The last is float32 (m, 2): the scores of EASE and of item-kNN, summed. ``near`` is from
    ``propose_by_text``, ``place`` is ``Scratch.places``.
    """
    items, popular, own = model.items, model.columns.popular, readers.own
    history, lag = np.ascontiguousarray(own[:, :DEPTH]), np.ascontiguousarray(readers.lag[:, :DEPTH])
    together, following, within = items.pairs.propose(history, lag, items.now)
    context = items.contexts.propose(readers.keys, items.now, place)
    ease, sure = propose_neighbours(model.item_models["ease"], own, np.float32(1), place)
    alike, close = propose_neighbours(model.item_models["item-knn"], own, KNN_DECAY, place)
    proposals = [
        (TRENDING, _trending(readers, model)),
        (CONTENT, near[0]),
        (TOGETHER, together),
        (NEXT, following),
        (WINDOW, within),
        (CHANCE, context.chances),
        (CONTEXT, context.shares),
        (EASE, ease),
        (ITEM_KNN, alike),
        (NEW, near[1]),
    ]
    if sequence is not None:
        proposals.append((SEQUENCE, sequence.propose(readers)))
    enabled = model.mixture.enabled
    heard = [(popular + c, p if enabled[popular + c] else p.silenced()) for c, p in proposals]
    return heard, context, np.stack([sure, close], axis=1)


def _trending(readers: Readers, model: Model) -> Proposals:
    charts = model.items.charts
    if not len(charts.ids):
        return Proposals.blank(len(readers.cluster), 1, 1)
    at = places_of(charts.ids, readers.cluster)
    item, share = charts.item[at], charts.share[at]
    length = np.where(at >= 0, (item >= 0).sum(axis=1), 0).astype(np.int32)
    return Proposals(item[:, None], share[:, None], length[:, None])
