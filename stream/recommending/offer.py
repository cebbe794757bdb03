"""Which items may be listed: what is available, on offer by now, and not blocked."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.catalogue import Catalogue
from stream.hashing import HashIndex
from stream.recommending.rules import Rules

Mask = npt.NDArray[np.bool_]


class Offer:
    """Looks through all items only when the catalogue has changed, or the time has come for some of them."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._allowed: Mask = np.empty(0, np.bool_)
        self._state: tuple[int, int] | None = (
            None  # version of the catalogue, and items, that ``_allowed`` is of
        )
        self._from, self._until = 0.0, 0.0  # ms: between these it holds

    def at(self, now: int, rules: Rules, index: HashIndex) -> Mask:
        """Which items (n,) may be listed at ``now``, in ms, by these ``rules``."""
        catalogue = self._catalogue
        available = catalogue.available
        state = (catalogue.version, len(available))
        if state != self._state or not self._from <= now < self._until:
            begins = catalogue.available_from
            there = begins <= now
            self._allowed = rules.allow(available & there, index, catalogue.category)
            self._from = float(begins[there].max(initial=0)) if now >= 0 else -np.inf
            self._until = float(begins[~there].min()) if not there.all() else np.inf
            self._state = state
        return self._allowed
