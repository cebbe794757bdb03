"""Steps: what a user did at one time, and what had gone before; carried by deltas, counted by the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

# Keys of a context, from short to long memory: see ``context_keys``. The first CHAIN back off into each other.
CONTEXTS = 12
CHAIN = 6
# Of a user's last actions, repetitions included: what the longest context looks back on.
RECENT = 6
# Items from before a step that it is counted against, at most, and from how many steps.
WINDOW = 32
WINDOW_STEPS = 10
# A silence that ends a session, in ms: half an hour, as web analytics has it.
SESSION_GAP_MS = 1_800_000

STARTS_SESSION, FIRST_OF_USER = 1, 2  # flags of a step


@dataclass(frozen=True, slots=True)
class Steps:
    """s steps: what is needed to count the e events of a delta in their context; items are places in its dictionary."""

    size: npt.NDArray[np.int32]  # (s,) events of each, which lie one step after the other
    time: npt.NDArray[np.int64]  # (s,) ms
    flags: npt.NDArray[np.uint8]  # (s,) STARTS_SESSION, FIRST_OF_USER
    gap: npt.NDArray[np.float32]  # (s,) s since the user's step before, 0 for the first
    cluster: npt.NDArray[np.int32]  # (s,) the user's, -1 for none
    keys: npt.NDArray[np.uint64]  # (s, CONTEXTS) of the contexts they were made in, 0 for none
    window_size: npt.NDArray[np.uint8]  # (s,) items from before
    window: npt.NDArray[np.int32]  # (w,) these, newest first, one step's after the other's
    lag: npt.NDArray[np.uint8]  # (w,) how many steps ago each was touched last, from 1

    @classmethod
    def none(cls) -> Steps:
        """No steps."""
        return cls(
            size=np.empty(0, np.int32),
            time=np.empty(0, np.int64),
            flags=np.empty(0, np.uint8),
            gap=np.empty(0, np.float32),
            cluster=np.empty(0, np.int32),
            keys=np.empty((0, CONTEXTS), np.uint64),
            window_size=np.empty(0, np.uint8),
            window=np.empty(0, np.int32),
            lag=np.empty(0, np.uint8),
        )

    def __len__(self) -> int:
        return len(self.size)


@njit(cache=True, inline="always")
def _chain(h, x):  # type: ignore[no-untyped-def]
    """Hash ``x`` onto ``h``: SplitMix64's finaliser (Steele et al., 2014)."""
    h = (h ^ x) + np.uint64(0x9E3779B97F4A7C15)
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(31))


@njit(cache=True)
def context_keys(item, action, skip, user, session_item, session_steps, pause, out):  # type: ignore[no-untyped-def]
    """Write the keys of a user's contexts into ``out`` uint64 (CONTEXTS,), 0 where the past is too short.

    ``item`` uint64 (RECENT,) and ``action`` uint16 (RECENT,): what was touched last, newest first, from ``skip``
    on; ``pause``: whether a session has ended since. With i1 the last item, a1 its action, i2 the one before: the
    first CHAIN are i1; i1 a1; i1 a1 i2; i1 a1 i2 a2 i3; those with a3 i4; those with i5 i6. Then: what the session
    began with and i1 a1; the same and how many steps ago that was; the user and i1; i1 and i3; i2; i3.
    """
    out[:] = 0
    n = 0
    while skip + n < len(item) and item[skip + n] != 0:
        n += 1
    if n == 0:
        return
    gap = np.uint64(pause)
    i1, a1 = item[skip], np.uint64(action[skip])
    out[0] = h = _chain(_chain(np.uint64(1), gap), i1)
    out[1] = h = _chain(h, a1)
    one = h
    first = _chain(np.uint64(2), session_item)
    out[6] = _chain(first, one)
    out[7] = _chain(_chain(first, np.uint64(session_steps)), gap)
    out[8] = _chain(_chain(np.uint64(3), user), out[0])
    if n > 1:
        i2, a2 = item[skip + 1], np.uint64(action[skip + 1])
        out[2] = h = _chain(h, i2)
        out[10] = _chain(np.uint64(4), i2)
        if n > 2:
            i3, a3 = item[skip + 2], np.uint64(action[skip + 2])
            out[3] = h = _chain(_chain(h, a2), i3)
            out[9] = _chain(_chain(np.uint64(5), out[0]), i3)
            out[11] = _chain(np.uint64(6), i3)
            if n > 3:
                out[4] = h = _chain(_chain(h, a3), item[skip + 3])
                if n > 5:
                    out[5] = _chain(_chain(h, item[skip + 4]), item[skip + 5])
