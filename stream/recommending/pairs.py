"""Which items go with which: taken together, next, and within a user's last steps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from stream.recommending.tables import NeighbourTable, Proposals, add_pair
from stream.steps import WINDOW_STEPS, Steps

# Of a basket, so many items are paired with each other: pairs grow with its square.
LONGEST_BASKET = 60
# What an item of some steps ago says, against one of a step later.
LAG_DECAY = np.float32(0.8)
FADES = LAG_DECAY ** (np.arange(256, dtype=np.float32) - 1)  # by how many steps ago
# What was touched after another item also says something of the reverse, but less.
BACKWARDS = np.float32(0.5)
# Counts that an item must have seen beside it before half of what it says is believed: fewer, and a single event
# outweighs all that is popular; more, and rare items never speak. Of the last step alone there is less to count.
EVIDENCE = np.float32(5.0)
EVIDENCE_NEXT = np.float32(1.0)


class Pairs:
    """Neighbours of every item, in three senses; at most ``width`` each."""

    def __init__(self, width: int) -> None:
        self.together, self.next, self.window = (NeighbourTable(width) for _ in range(3))

    def reserve(self, rows: int) -> None:
        """Have room for ``rows`` items."""
        for table in (self.together, self.next, self.window):
            table.reserve(rows)

    def scale(self, factor: float) -> None:
        """Multiply all counts."""
        for table in (self.together, self.next, self.window):
            table.scale(factor)

    def count(
        self, steps: Steps, items: npt.NDArray[np.int64], window: npt.NDArray[np.int64], now: float
    ) -> None:
        """Count the ``items`` (e,) of ``steps`` with each other and with those of ``window`` (w,); rows of items."""
        tables = tuple((t.ids, t.counts, t.totals) for t in (self.together, self.next, self.window))
        _count(tables, steps.size, items, steps.window_size, window, steps.lag, np.float32(now))

    def propose(
        self, history: npt.NDArray[np.int32], lag: npt.NDArray[np.uint8], now: float
    ) -> list[Proposals]:
        """What goes with the ``history`` (m, R) of m users, touched ``lag`` (m, R) steps ago; -1 none."""
        senses = (
            (self.together, WINDOW_STEPS, EVIDENCE),
            (self.next, 1, EVIDENCE_NEXT),
            (self.window, WINDOW_STEPS, EVIDENCE),
        )
        return [t.propose(history, lag, most, FADES, np.float32(e * now)) for t, most, e in senses]


@njit(cache=True)
def _count(tables, size, items, window_size, window, lag, now):  # type: ignore[no-untyped-def]
    together, following, within = tables
    start, before = 0, 0
    for s in range(len(size)):
        end = start + min(size[s], LONGEST_BASKET)
        past = before + window_size[s]
        weight = now / np.float32(np.sqrt(end - start))
        last = 0
        for w in range(before, past):
            last += lag[w] == 1
        for e in range(start, end):
            for f in range(start, end):
                if items[e] != items[f]:
                    add_pair(together, items[e], items[f], weight)
            for w in range(before, past):
                if lag[w] == 1:
                    add_pair(following, window[w], items[e], now / last)
                faded = now * LAG_DECAY ** (lag[w] - np.float32(1))
                add_pair(within, window[w], items[e], faded)
                if window[w] != items[e]:
                    add_pair(within, items[e], window[w], faded * BACKWARDS)
        start += size[s]
        before = past
