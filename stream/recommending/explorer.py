"""Where exploration meets lists: the last place of some goes to a new item, and what came of it is noted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.catalogue import Catalogue
from stream.events.batch import EventBatch
from stream.model import Model
from stream.recommending.answers import Answers
from stream.recommending.exploring import KNOWN_TAKINGS, Arms, Trials, arms_among, draw
from stream.recommending.readers import Readers
from stream.recommending.recommender import Lists
from stream.recommending.rules import Rules

# Arms are chosen anew after so many events: it takes 5 ms.
CHOOSE_EVERY = 256


@dataclass(frozen=True, slots=True)
class Explored:
    """m lists, and what they try."""

    lists: Lists
    explores: npt.NDArray[np.bool_]  # (m,) whether the list was drawn to try something
    propensity: npt.NDArray[np.float64]  # (m,) with which its last item came to be tried, 0 where it was not
    tried: npt.NDArray[np.uint64]  # (m,) hash of that item, 0 for none


class Explorer:
    """Gives a share of lists something new to try; holds the arms of late, and nothing that would be missed."""

    def __init__(self, rules: Rules, catalogue: Catalogue, seed: int) -> None:
        self._share = rules.settings.explore
        self._rules = rules
        self._catalogue = catalogue
        self._seed = seed
        self._arms = Arms(np.empty(0, np.int32), np.empty(0))
        self._chosen_for: tuple[int, int] | None = None

    def explore(
        self,
        lists: Lists,
        readers: Readers,
        user: npt.NDArray[np.uint64],
        offset: npt.NDArray[np.int64],
        model: Model,
        now: int,
    ) -> Explored:
        """``lists`` for m ``readers``, whose hashes are ``user`` (m,), after their events at ``offset`` (m,)."""
        m = len(user)
        if not self._share:
            return Explored(lists, np.zeros(m, np.bool_), np.zeros(m), np.zeros(m, np.uint64))
        arms = self._current(model, now)
        had = np.concatenate([lists.item, readers.own], axis=1)
        drawn = draw(arms, self._share, user, offset, had, self._seed)
        tries = np.flatnonzero(drawn.arm >= 0)
        item, score, source = lists.item.copy(), lists.score.copy(), lists.source.copy()
        last = np.minimum((item[tries] >= 0).sum(axis=1), item.shape[1] - 1)
        arm = drawn.arm[tries]
        # A list that is short gets one more; the score puts it where it stands.
        score[tries, last] = np.where(item[tries, last] >= 0, score[tries, last], score[tries, last - 1])
        item[tries, last], source[tries, last] = arms.row[arm], exploration_source(model)
        propensity = np.zeros(m)
        propensity[tries] = self._share * arms.chance[arm]
        tried = np.zeros(m, np.uint64)
        tried[tries] = model.index.keys[arms.row[arm]]
        return Explored(Lists(item, score, source), drawn.explores, propensity, tried)

    def _current(self, model: Model, now: int) -> Arms:
        catalogue = self._catalogue
        state = (model.clock // CHOOSE_EVERY, catalogue.version)
        if state != self._chosen_for:
            on_offer = catalogue.available & (catalogue.available_from <= now)
            allowed = self._rules.allow(on_offer, model.index, catalogue.category)
            new = allowed & catalogue.known
            taken = model.items.lives.taken[: len(new)]  # of later rows nothing is counted yet
            new[: len(taken)] &= taken < KNOWN_TAKINGS
            self._arms = arms_among(
                np.flatnonzero(new), model.index.keys, model.trials, self._seed + state[0]
            )
            self._chosen_for = state
        return self._arms


def exploration_source(model: Model) -> int:
    """Stands in ``Lists.source`` for an item that is tried: behind all sources, and what fills a list."""
    return len(model.sources) + 1


def answered(
    events: EventBatch,
    answers: Answers,
    list_source: npt.NDArray[np.uint8],
    tried: npt.NDArray[np.uint64],
    model: Model,
) -> Trials:
    """What is tried now, and which of ``events`` (n,) took what had been.

    ``list_source`` (n, k) is of the lists that their users had before; ``tried`` are hashes, 0 for none.
    """
    at = np.maximum(answers.rank, 0).astype(np.int64)
    was_tried = list_source[np.arange(len(at)), at] == exploration_source(model)
    taken = (answers.rank >= 0) & (events.weight > 0) & was_tried
    if not taken.any():
        return Trials(tried[tried != 0], events.item[:0])
    once = np.unique(np.stack([events.user[taken], events.item[taken]]), axis=1)
    return Trials(tried[tried != 0], once[1])
