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
# Of these and of the debuts, so many are proposed, the nearest to the user's own vector.
NEAREST = 24


class NewItems:
    """For each cluster, and for users of none, the items that hardly anybody has taken; derived, as ``Content`` is."""

    def __init__(self, catalogue: Catalogue, content: Content) -> None:
        self._catalogue, self._content = catalogue, content
        self._shortlists = np.full((1, DEBUTS + UNTAKEN), -1, np.int32)  # (cluster ids + 1, ...) item rows
        self._untaken = np.full((0, UNTAKEN), -1, np.int32)  # (cluster ids, UNTAKEN)
        self._drawn_up: tuple[int, int] | None = None

    def refresh(self, model: Model) -> None:
        """Draw up the shortlists: from the debuts as they are, and from the rest where the catalogue has moved on."""
        state = (self._catalogue.version, model.clusters.version)
        if state != self._drawn_up and model.clusters.projection is not None:
            self._untaken = self._nearest_untaken(model)
            self._drawn_up = state
        debuts = self._debuts(model)
        self._shortlists = np.full((len(self._untaken) + 1, DEBUTS + UNTAKEN), -1, np.int32)
        self._shortlists[:, : len(debuts)] = debuts
        self._shortlists[:-1, len(debuts) : len(debuts) + UNTAKEN] = self._untaken

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

    def _nearest_untaken(self, model: Model) -> npt.NDArray[np.int32]:
        """Item rows (cluster ids, UNTAKEN), -1 where there are no more."""
        ids, centres = model.clusters.reference
        vectors, catalogue, taken = self._content.vectors(0), self._catalogue, model.items.lives.taken
        rows = np.flatnonzero((catalogue.has_vector & catalogue.available)[: len(vectors)])
        rows = (
            rows[(rows >= len(taken)) | (taken[np.minimum(rows, len(taken) - 1)] == 0)]
            if len(taken)
            else rows
        )
        near = centres @ vectors[rows].T + np.float32(2)
        untaken = np.full((int(ids.max(initial=-1)) + 1, UNTAKEN), -1, np.int32)
        for cluster, nearness in zip(ids.tolist(), near, strict=True):
            top = rows[heaviest(nearness, UNTAKEN, model.index.keys[rows])]
            untaken[cluster, : len(top)] = top
        return untaken
