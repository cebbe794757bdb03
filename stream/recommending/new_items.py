"""New items: what was taken for the first time a moment ago, and what nobody has taken yet, by its text."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.catalogue import Catalogue
from stream.model import Model
from stream.recommending.content import Content, nearest_in
from stream.recommending.counts import DEBUTS
from stream.recommending.exploring import KNOWN_TAKINGS
from stream.recommending.tables import Floats, Proposals, heaviest

# Items per cluster that nobody has taken yet, the nearest to its centre; more cost a cosine each, and are hardly taken.
UNTAKEN = 32
# Drawn up for each cluster, to have UNTAKEN still when some have been taken; when not, they are drawn up anew.
RESERVE = 4 * UNTAKEN
# Of these and of the debuts, so many are proposed, the nearest to the user's own vector.
NEAREST = 24


class NewItems:
    """For each cluster, and for users of none, the items that hardly anybody has taken; derived, as ``Content`` is."""

    def __init__(self, catalogue: Catalogue, content: Content) -> None:
        self._catalogue, self._content = catalogue, content
        self._shortlists = np.full((1, DEBUTS + UNTAKEN), -1, np.int32)  # (cluster ids + 1, ...) item rows
        self._reserve = np.full((0, RESERVE), -1, np.int32)  # (cluster ids, RESERVE), the nearest first
        self._drawn_up: tuple[int, int] | None = None

    def refresh(self, model: Model) -> None:
        """Draw up the shortlists: at each moment they are what model and catalogue say, however old this object is."""
        self._content.vectors(len(model.index))  # has room for all from now on: zeros where there is none
        state = (self._catalogue.version, model.clusters.version)
        untaken = self._still_untaken(model)
        few = (self._reserve[:, -1] >= 0) & (untaken[:, -1] < 0) if state == self._drawn_up else np.True_
        if np.any(few) and model.clusters.projection is not None:
            self._reserve, self._drawn_up = self._nearest_untaken(model), state
            untaken = self._still_untaken(model)
        debuts = self._debuts(model)
        self._shortlists = np.full((len(untaken) + 1, DEBUTS + UNTAKEN), -1, np.int32)
        self._shortlists[:, : len(debuts)] = debuts
        self._shortlists[:-1, len(debuts) : len(debuts) + UNTAKEN] = untaken

    def propose(self, cluster: npt.NDArray[np.int64], vectors: Floats) -> Proposals:
        """What is new and like the taste of m users of these clusters, -1 none, and ``vectors`` (m, d)."""
        proposals = Proposals.blank(len(cluster), 1, NEAREST)
        nowhere = len(self._shortlists) - 1
        theirs = np.where((cluster >= 0) & (cluster < nowhere), cluster, nowhere)
        nearest_in(self._shortlists, self._content, theirs, vectors, proposals)
        return proposals

    def _debuts(self, model: Model) -> npt.NDArray[np.int32]:
        """The last items that were taken for the first time, newest first, save those that many have taken since."""
        lives, known = model.items.lives, self._catalogue.has_vector
        rows = lives.debuts[lives.debuts >= 0]
        rows = rows[rows < min(len(known), len(self._content.vectors(0)))]
        return rows[(lives.taken[rows] < KNOWN_TAKINGS) & known[rows]]

    def _still_untaken(self, model: Model) -> npt.NDArray[np.int32]:
        """The nearest of the reserve that nobody has taken yet, item rows (cluster ids, UNTAKEN), -1 for no more."""
        left = (self._reserve >= 0) & ~model.items.lives.has_taken(self._reserve)
        first = np.argsort(~left, axis=1, kind="stable")[:, :UNTAKEN]
        cluster = np.arange(len(left))[:, None]
        return np.where(left[cluster, first], self._reserve[cluster, first], np.int32(-1))

    def _nearest_untaken(self, model: Model) -> npt.NDArray[np.int32]:
        """Item rows (cluster ids, RESERVE) nearest to each cluster's centre, -1 where there are no more."""
        ids, centres = model.clusters.reference
        vectors, catalogue = self._content.vectors(0), self._catalogue
        rows = np.flatnonzero((catalogue.has_vector & catalogue.available)[: len(vectors)])
        rows = rows[~model.items.lives.has_taken(rows)]
        near = centres @ vectors[rows].T + np.float32(2)
        untaken = np.full((int(ids.max(initial=-1)) + 1, RESERVE), -1, np.int32)
        for cluster, nearness in zip(ids.tolist(), near, strict=True):
            top = rows[heaviest(nearness, RESERVE, model.index.keys[rows])]
            untaken[cluster, : len(top)] = top
        return untaken
