"""What users took in which order, and the source that says what comes next: an option, off by default.

A small causal transformer in the manner of SASRec (Kang and McAuley, 2018), trained with softmax cross-entropy
(Klenitskiy and Vasilev, 2023). Torch is needed for it, and imported only where it is switched on: ``transformer.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from numba import njit

from stream.config import Settings
from stream.config_lists import SequenceSettings
from stream.hashing import HashIndex
from stream.recommending.readers import Readers
from stream.recommending.tables import Proposals
from stream.recommending.takings import Taken

if TYPE_CHECKING:
    from stream.recommending.transformer import Scorer

FORMAT = 1  # of the weights; a change of what they mean is a new number
# An item that fewer users took has no place: of a single one nothing can be learnt.
LEAST_TAKEN = 2
# Items proposed to a user, the likeliest: what lies behind them holds next to nothing.
BEST = 64

Places = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class SequenceModel:
    """A transformer of n items and d dimensions, as it stands in a decision."""

    clock: int  # the model's, up to which events went in
    items: npt.NDArray[np.uint64]  # (n,) hashes, ascending; none where there was too little to learn from
    vectors: npt.NDArray[np.float16]  # (n, d) of the items, in and out
    network: npt.NDArray[np.float16]  # (p,) all else that is learnt, in the order of ``Transformer``
    layers: int
    length: int  # items of a user that it looks back on
    format: int = FORMAT

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError(f"weights of a sequence model have format {self.format}, not {FORMAT}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Dimensions, layers and length: weights of one shape say nothing in another."""
        return self.vectors.shape[1], self.layers, self.length


@dataclass(frozen=True, slots=True)
class Sequences:
    """c pieces of what users took, each of L + 1 items at most."""

    items: npt.NDArray[np.uint64]  # (n,) hashes, ascending
    places: Places  # (c, L + 1) of the items, oldest first, -1 behind the last
    fresh: npt.NDArray[np.bool_]  # (c,) whether the last of them was taken since the model was trained before


def sequences_of(taken: Taken, since: int, settings: SequenceSettings) -> Sequences:
    """Cut what each user took into pieces, and keep the latest; ``since``: clock from which on they are fresh.

    Only the most frequent items have places. A piece begins with the item that the one before it ends with, so that
    each item but a user's first is to be foretold once.
    """
    items, code, count = np.unique(taken.item, return_inverse=True, return_counts=True)
    known = np.flatnonzero(count >= LEAST_TAKEN)
    # Ties go by hash, for items are sorted by it.
    known = np.sort(known[np.argsort(-count[known], kind="stable")[: settings.items]])
    place = np.full(len(items), -1, np.int32)
    place[known] = np.arange(len(known))
    order = np.argsort(taken.user, kind="stable")
    order = order[place[code[order]] >= 0]
    _, first = np.unique(taken.user[order], return_index=True)
    first = np.append(first, len(order))
    most = int((np.maximum(np.diff(first) - 1, 0) // settings.length + 1).sum())
    pieces, last = np.full((most, settings.length + 1), -1, np.int32), np.zeros(most, np.int64)
    n = _cut(first, place[code[order]], pieces, last)
    clock = taken.clock[order[last[:n]]] if n else np.empty(0, np.int64)
    latest = np.sort(np.argsort(-clock, kind="stable")[: settings.sequences])
    return Sequences(items[known], pieces[latest], clock[latest] >= since)


@njit(cache=True, nogil=True)
def _cut(first, place, pieces, last):  # type: ignore[no-untyped-def]
    """Write into ``pieces`` what user u took, ``place[first[u]:first[u + 1]]``, and into ``last`` where each ends."""
    n = 0
    for u in range(len(first) - 1):
        end = first[u + 1]
        while end - first[u] > 1:
            start = max(first[u], end - pieces.shape[1])
            pieces[n, : end - start] = place[start:end]
            last[n] = end - 1
            n += 1
            end = start + 1
    return n


class SequenceSource:
    """Proposes what is likely to be taken next for the first time; derived from the model's ``sequence``."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._drawn_up: SequenceModel | None = None
        self._scorer: Scorer | None = None
        self._rows = np.empty(0, np.int32)  # of the items
        self._place = np.empty(0, np.int32)  # by row, -1 none

    @classmethod
    def of(cls, settings: Settings) -> SequenceSource | None:
        """Give the source that the settings ask for, if they do."""
        return cls(settings.encoder.device) if settings.sequence.enabled else None

    def refresh(self, model: SequenceModel | None, index: HashIndex) -> None:
        """Draw up the transformer where ``model`` is another."""
        if model is None or model is self._drawn_up:
            return
        from stream.recommending.transformer import Scorer  # torch takes seconds to import

        self._drawn_up = model
        self._scorer = Scorer(model, self._device) if len(model.items) else None
        self._rows = index.find(model.items).astype(np.int32)
        self._place = np.full(len(index), -1, np.int32)
        self._place[self._rows] = np.arange(len(self._rows))

    def propose(self, readers: Readers) -> Proposals:
        """What m ``readers`` may take next; shares are probabilities among all items that they have not had."""
        proposals = Proposals.blank(len(readers.own), 1, BEST)
        if self._scorer is None:
            return proposals
        own = np.full(readers.own.shape, -1, np.int32)
        _find(readers.own, self._place, own)
        some = np.flatnonzero((own >= 0).any(axis=1))
        if not len(some):
            return proposals
        own = own[some]
        history = np.full((len(some), self._scorer.length), -1, np.int32)
        _look_back(own, history)
        places, shares = self._scorer.likeliest(history, own, BEST)
        width = places.shape[1]
        proposals.item[some, 0, :width] = self._rows[places]
        proposals.share[some, 0, :width] = shares
        proposals.length[some, 0] = (shares > 0).sum(axis=1)
        return proposals


@njit(cache=True)
def _find(rows, place, out):  # type: ignore[no-untyped-def]
    """Write the places of item ``rows`` (m, H) into ``out``; those that have none stay."""
    for u in range(len(rows)):
        for h in range(rows.shape[1]):
            if 0 <= rows[u, h] < len(place):
                out[u, h] = place[rows[u, h]]


@njit(cache=True)
def _look_back(own, history):  # type: ignore[no-untyped-def]
    """Write of ``own`` (m, H), newest first, -1 none, the newest into ``history`` (m, L), oldest first."""
    for u in range(len(own)):
        n = min((own[u] >= 0).sum(), history.shape[1])
        for h in range(own.shape[1]):
            if own[u, h] >= 0 and n > 0:
                n -= 1
                history[u, n] = own[u, h]
