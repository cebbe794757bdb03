"""Why an item is listed: in words for each source, and which item of the user's own spoke for it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from stream.model import Model
from stream.recommending.exploring import EXPLORATION
from stream.recommending.meeting import numbered
from stream.recommending.pairs import EVIDENCE, EVIDENCE_NEXT, LAG_DECAY
from stream.recommending.proposing import KNN_DECAY
from stream.recommending.readers import Readers
from stream.recommending.sources import CATALOGUE
from stream.steps import WINDOW, WINDOW_STEPS

# What may be named in a reason: nothing, an item by how it was found, or the category of the listed item itself.
NOBODY, LAST, SECOND, THIRD, TOGETHER, NEXT, NEAR, EASE, ALIKE, CONTENT, CATEGORY = range(-1, 10)


class Reason(NamedTuple):
    """What is said of a source's items."""

    text: str  # where nothing can be named
    before: str = ""  # what stands before the name
    named: int = NOBODY


REASONS = {
    CATALOGUE: Reason("from the catalogue"),
    EXPLORATION: Reason("new here", "new in ", CATEGORY),
    "popular": Reason("popular with everybody"),
    "popular-new": Reason("many take it for the first time"),
    "session-start": Reason("what visits begin with"),
    "first-taken": Reason("what newcomers take"),
    "repeats": Reason("you have had it before"),
    "trending": Reason("popular in your cluster", "popular in "),  # and the cluster's label
    "content": Reason("like what you took", "like ", CONTENT),
    "together": Reason("taken together with what you took", "together with ", TOGETHER),
    "next": Reason("taken after what you took last", "after ", NEXT),
    "window": Reason("taken near what you took", "goes with ", NEAR),
    "contexts": Reason("follows what you did last", "after ", LAST),
    "ease": Reason("taken by those who took what you took", "from those who took ", EASE),
    "item-knn": Reason("taken by those who took the same", "from those who took ", ALIKE),
    "new": Reason("new here", "new in ", CATEGORY),
    "sequence": Reason("often comes after what you took", "after ", LAST),
}

Numbers = npt.NDArray[np.int64]


@njit(cache=True, inline="always")
def title_of(row):  # type: ignore[no-untyped-def]
    """Give the number of an item's title, among all that reasons may name; ``row`` is the item's.

    Examples
    --------
    >>> title_of(3), category_of(3)
    (6, 7)
    """
    return 2 * row


@njit(cache=True, inline="always")
def category_of(row):  # type: ignore[no-untyped-def]
    """Give the number of an item's category."""
    return 2 * row + 1


def name_reasons(
    item: npt.NDArray[np.int32],
    source: npt.NDArray[np.uint8],
    readers: Readers,
    model: Model,
    item_vectors: npt.NDArray[np.float32],
) -> Numbers:
    """What the reasons of m lists name, int64 (m, k): a number as ``title_of`` and ``category_of`` give it, -1 nothing.

    ``item`` (m, k) and ``source`` (m, k) are as in ``Lists``; ``item_vectors`` float32 (rows, d) are of all items.
    Counted contexts name the item touched last, or the one before it where its context is what counted. The other
    sources add up what each of the user's items says; the one that says most is named. No item is its own reason.
    """
    out = np.full(item.shape, -1, np.int64)
    pairs = model.items.pairs
    tables = tuple((t.ids, t.counts, t.totals) for t in (pairs.together, pairs.next, pairs.window))
    models = tuple((m.place, m.ids, m.scores) for m in (model.item_models[n] for n in ("ease", "item-knn")))
    evidence = np.array([EVIDENCE, EVIDENCE_NEXT, EVIDENCE], np.float32) * np.float32(model.items.now)
    history = readers.own, readers.lag, readers.touched
    _name(item, source, _named_by(model.sources), history, tables, evidence, models, item_vectors, out)
    return out


def _named_by(sources: tuple[str, ...]) -> npt.NDArray[np.int8]:
    """What each source names, by its number in ``Lists.source``."""
    named = np.array([REASONS[name].named for name in numbered(sources)], np.int8)
    contexts = len(sources) - 1 - sources[::-1].index("contexts")  # the last of these columns
    named[contexts - 1], named[contexts] = SECOND, THIRD
    return named


@njit(cache=True)
def _name(item, source, named_by, history, tables, evidence, models, item_vectors, out):  # type: ignore[no-untyped-def]
    own, lag, touched = history
    together, following, within = tables
    ease, alike = models
    for u in range(len(item)):
        for q in range(item.shape[1]):
            row = item[u, q]
            if row < 0:
                break
            by = named_by[source[u, q]]
            if by == NOBODY:
                continue
            if by == CATEGORY:
                out[u, q] = category_of(row)
                continue
            if by <= THIRD:
                spoke = touched[u, by]
            elif by == TOGETHER:
                spoke = _of_pairs(row, u, own, lag, WINDOW_STEPS, together, evidence[0])
            elif by == NEXT:
                spoke = _of_pairs(row, u, own, lag, 1, following, evidence[1])
            elif by == NEAR:
                spoke = _of_pairs(row, u, own, lag, WINDOW_STEPS, within, evidence[2])
            elif by == EASE:
                spoke = _of_model(row, u, own, lag, np.float32(1), ease)
            elif by == ALIKE:
                spoke = _of_model(row, u, own, lag, KNN_DECAY, alike)
            else:
                spoke = _of_texts(row, u, own, lag, item_vectors)
            if spoke >= 0 and spoke != row:
                out[u, q] = title_of(spoke)


@njit(cache=True, inline="always")
def _place_in(row, ids, r):  # type: ignore[no-untyped-def]
    """Where ``row`` stands in row ``r`` of ``ids`` int32 (rows, w), -1 for nowhere, which is the rule."""
    hits = np.int32(0)  # a loop with no way out becomes vector instructions: a quarter of the time
    for q in range(ids.shape[1]):
        hits += np.int32(ids[r, q] == row)
    if hits:
        for q in range(ids.shape[1]):
            if ids[r, q] == row:
                return q
    return -1


@njit(cache=True)
def _of_pairs(row, u, own, lag, most_lag, table, evidence):  # type: ignore[no-untyped-def]
    """Which of the items ``own[u]`` says most for ``row`` in a table of pairs, as ``Pairs.propose`` weighs them."""
    ids, counts, totals = table
    best, most = -1, np.float32(0)
    for h in range(min(own.shape[1], WINDOW)):
        if lag[u, h] == 0 or lag[u, h] > most_lag:
            break
        r = own[u, h]
        if r < 0 or r == row or r >= len(totals):
            continue
        at = _place_in(row, ids, r)
        if at < 0:
            continue
        share = counts[r, at] / (totals[r] + evidence) * LAG_DECAY ** np.float32(lag[u, h] - 1)
        if share > most:
            best, most = r, share
    return best


@njit(cache=True)
def _of_model(row, u, own, lag, decay, model):  # type: ignore[no-untyped-def]
    """Which of the items ``own[u]`` says most for ``row`` in an item model."""
    place, ids, scores = model
    best, most, weight = -1, np.float32(0), np.float32(1)
    for h in range(own.shape[1]):
        if lag[u, h] == 0:  # the history ends
            break
        r = own[u, h]
        if r >= 0 and r != row and r < len(place) and place[r] >= 0:
            at = _place_in(row, ids, place[r])
            if at >= 0 and weight * scores[place[r], at] > most:
                best, most = r, weight * scores[place[r], at]
        weight *= decay
    return best


@njit(cache=True, fastmath=True)
def _of_texts(row, u, own, lag, item_vectors):  # type: ignore[no-untyped-def]
    """Which of the items ``own[u]`` has the text most like that of ``row``."""
    best, most = -1, np.float32(0)
    for h in range(own.shape[1]):
        if lag[u, h] == 0:  # the history ends
            break
        r = own[u, h]
        if r < 0 or r == row:
            continue
        dot = np.float32(0)
        for j in range(item_vectors.shape[1]):
            dot += item_vectors[r, j] * item_vectors[row, j]
        if dot > most:
            best, most = r, dot
    return best
