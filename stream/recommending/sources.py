"""The sources of candidates: their names in the output, and the columns in which their shares stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stream.steps import CONTEXTS

# Columns behind those of popularity, one for each sense in which a source speaks.
REPEATS, TRENDING, CONTENT, TOGETHER, NEXT, WINDOW, CHANCE = range(7)
CONTEXT = 7  # and CONTEXTS - 1 more
EASE = CONTEXT + CONTEXTS
ITEM_KNN = EASE + 1
NEW = ITEM_KNN + 1
COLUMNS = NEW + 1
SEQUENCE = COLUMNS  # behind all others, and only where it is switched on: else it costs nothing

NAMES = (
    "repeats", "trending", "content", "together", "next", "window", *["contexts"] * (CONTEXTS + 1), "ease", "item-knn",
    "new",
)  # fmt: skip
POPULAR = ("popular", "popular-new", "session-start", "first-taken")
CATALOGUE = "catalogue"  # no source of candidates, but what fills a list when there are too few
# All that can be switched on and off.
OPTION = "sequence"
SOURCES = (*POPULAR, *dict.fromkeys(NAMES), OPTION)
# How far each is trusted before anything is learnt. Popularity is never absurd, and who comes back comes for more.
PRIOR = {
    "popular": 0.3, "popular-new": 0.02, "session-start": 0.01, "first-taken": 0.01, "repeats": 0.25, "trending": 0.05,
    "content": 0.02, "together": 0.05, "next": 0.06, "window": 0.05, "contexts": 0.09, "ease": 0.05, "item-knn": 0.03,
    "new": 0.01, "sequence": 0.03,
}  # fmt: skip
# Added to a share before its logarithm is taken: what a source that is silent is thought to mean. Charts speak of every
# item; where counts are few, a small share is noise.
LEAST_POPULAR, LEAST, LEAST_CONTEXT = 1e-6, 1e-5, 1e-4


@dataclass(frozen=True, slots=True)
class Columns:
    """All columns of shares: first the ``popular`` ones, one per half-life, then those above."""

    names: tuple[str, ...]  # of the source in each
    popular: int

    @classmethod
    def of(cls, popular: Sequence[str], sequence: bool = False) -> Columns:
        """Give the columns for these names of popularity's, and whether there is ``sequence``."""
        return cls((*popular, *NAMES, *([OPTION] if sequence else [])), len(popular))

    @property
    def least(self) -> list[float]:
        """What is added to each share before the logarithm."""
        rest = [LEAST_CONTEXT if name == "contexts" else LEAST for name in self.names[self.popular :]]
        return [LEAST_POPULAR] * self.popular + rest
