"""How events meet the lists that were published for their users, as counts that add up over all workers.

Two ways. Whatever a user takes next is looked for in the list last published, beside the list of what is popular: all
users are measured. And events may name the list that they answer: what was shown, and what came of it, is counted by
place, source and variant.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.events.batch import EventBatch
from stream.hashing import action_code
from stream.profiles.layout import Rows
from stream.recommending.answers import Answers
from stream.recommending.exploring import EXPLORATION, VARIANTS
from stream.recommending.sources import CATALOGUE
from stream.steps import SESSION_GAP_MS

IMPRESSION = action_code("impression")  # says that a place of a list was shown
MEASURES = ("scored", "hits", "gain", "popular_hits", "popular_gain")
# Events by whose: all; those with an item that was new to the user; of users in their first session, and later.
AMONG = ("", "new.", "first_session.", "returning.")

Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]


def numbered(sources: Sequence[str]) -> tuple[str, ...]:
    """Names of all that may stand in ``Lists.source``, by number."""
    return (*sources, CATALOGUE, EXPLORATION)


def measure(
    events: EventBatch, before: Rows, of: Places, new: Mask, answers: Answers, sources: Sequence[str]
) -> dict[str, float]:
    """Count how n ``events`` met the lists last published.

    Parameters
    ----------
    events
        (n,) taken in.
    before
        (m,) profiles of their users before them; ``of`` (n,) says whose each event is.
    new
        (n,) whether the event's item was new to its user.
    answers
        Where its item stood in the list last published, and in one of popular ones.
    sources
        Names by number; see ``numbered``.

    Returns
    -------
    dict
        Under each prefix of ``AMONG`` the ``MEASURES``: events ``scored``; of these ``hits``, and their ``gain``, which
        is 1 / log2(2 + place): over ``scored`` it is NDCG, an event having one target. The same of popular ones.
        Under ``hits.`` the hits by source. What is 0 is left out.
    """
    met = np.stack([answers.rank > -2, *_hits(answers.rank), *_hits(answers.popular_rank)], axis=1)
    first = _in_first_session(events.time, before, of)
    among = np.stack([np.ones_like(new), new, first, ~first]).astype(np.float64)
    counts = {
        prefix + name: float(value)
        for prefix, values in zip(AMONG, among @ met, strict=True)
        for name, value in zip(MEASURES, values, strict=True)
        if value
    }
    hit = np.flatnonzero(answers.rank >= 0)
    return counts | _by_name("hits.", before["list_source"][of[hit], answers.rank[hit]], sources)


def count_places(
    item: npt.NDArray[np.uint64], source: npt.NDArray[np.uint8], sources: Sequence[str]
) -> dict[str, float]:
    """Count, under ``places.``, by source, the places of lists just published: items (p, k), 0 none, and ``source``."""
    return _by_name("places.", source[item != 0], sources)


def attribute(events: EventBatch, before: Rows, of: Places, sources: Sequence[str]) -> dict[str, float]:
    """Count what was shown, and clicked, of lists that events name.

    Arguments as in ``measure``. ``impressions`` and ``clicks`` (events with a positive weight) are of the list last
    published: by ``.place.`` from 0, ``.source.`` and ``.variant.``. Those of one of the few lists before stand under
    ``.earlier_list``, and by ``.variant.``, which is all that is known of it; those that name any other list under
    ``.other_list``; those with an item that is not at their place of the last list, or nowhere in it, under
    ``.not_listed``.
    """
    naming = np.flatnonzero((events.list_id != 0) & (events.item != 0))
    counts: dict[str, float] = {}
    if not len(naming):
        return counts
    shown = events.action[naming] == IMPRESSION
    for kind, chosen in (("impressions", shown), ("clicks", ~shown & (events.weight[naming] > 0))):
        at = naming[chosen]
        user = of[at]
        last = before["list_id"][user] == events.list_id[at]
        earlier = _earlier_variants(events.list_id[at[~last]], before[user[~last]])
        other = int((~last).sum()) - len(earlier)
        at, user = at[last], user[last]
        place = _place(events.item[at], events.position[at], before["list_item"][user])
        listed = place >= 0
        user, place = user[listed], place[listed]
        found = {
            "": len(place),
            ".earlier_list": len(earlier),
            ".other_list": other,
            ".not_listed": int((~listed).sum()),
        }
        counts |= {kind + name: float(n) for name, n in found.items() if n}
        counts |= _by_name(f"{kind}.place.", place, [str(p) for p in range(before["list_item"].shape[1])])
        counts |= _by_name(f"{kind}.source.", before["list_source"][user, place], sources)
        variant = np.concatenate([before["list_variant"][user], earlier])
        counts |= _by_name(f"{kind}.variant.", variant, VARIANTS)
    return counts


def _hits(rank: npt.NDArray[np.int16]) -> tuple[Mask, npt.NDArray[np.float64]]:
    """Which of the places ``rank`` (n,) are hits, and the gain of each."""
    hit = rank >= 0
    return hit, np.where(hit, 1 / np.log2(2.0 + np.maximum(rank, 0)), 0.0)


def _in_first_session(time: npt.NDArray[np.int64], before: Rows, of: Places) -> Mask:
    """Which events, at ``time`` (n,) in ms, are part of the first session of their user."""
    never_paused = before["session_steps"] == before["steps"]
    in_first: Mask = never_paused[of] & (time - before["step_time"][of] <= SESSION_GAP_MS)
    return in_first


def _place(
    item: npt.NDArray[np.uint64], position: npt.NDArray[np.int16], listed: npt.NDArray[np.uint64]
) -> Places:
    """Places (n,) of each ``item`` in its list, a row of ``listed`` (n, k): the ``position`` if that is so; else -1."""
    there = listed == item[:, None]
    claimed = position >= 0
    there &= ~claimed[:, None] | (np.arange(listed.shape[1]) == position[:, None])
    return np.where(there.any(axis=1), there.argmax(axis=1), -1)


def _earlier_variants(list_id: npt.NDArray[np.uint64], before: Rows) -> npt.NDArray[np.uint8]:
    """Variants of those of the lists ``list_id`` (n,) that the profiles ``before`` (n,) know from before the last."""
    half = list_id.astype(np.uint32)[:, None]  # keeps the lower half
    there = (before["earlier_list"] == half) & (half != 0)
    known = there.any(axis=1)
    variants: npt.NDArray[np.uint8] = before["earlier_variant"][known, there[known].argmax(axis=1)]
    return variants


def _by_name(
    prefix: str,
    numbers: npt.NDArray[np.integer[Any]],
    names: Iterable[str],
) -> dict[str, float]:
    """Count ``numbers`` under ``prefix`` and their names; several numbers may have one name."""
    counts: defaultdict[str, float] = defaultdict(float)
    for name, n in zip(names, np.bincount(numbers).tolist(), strict=False):
        if n:
            counts[prefix + name] += n
    return dict(counts)
