"""How long what a user did keeps an item out of their lists: two bytes per item of a history.

A shop may sell the same again after a month, a video site never. So each action has its own window
(``recommending.exclude_seen``), which begins when the action is taken in; of several actions the last window to end
counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
from numba import njit

from stream.hashing import action_code

Windows = Mapping[str, int | Literal["forever"]]  # in ms, by name of the action
NO_WINDOWS: Windows = {}
FOREVER = 65_535
# Codes to each doubling of a time: rounding is then 0.02%, and 68 years still fit.
STEPS = 2_048.0


@njit(cache=True)
def hold_code(seconds):  # type: ignore[no-untyped-def]
    """Write how long an item is held back, in two bytes; 0: not at all.

    >>> int(hold_code(0)), int(hold_code(3_600)), round(hold_seconds(hold_code(3_600)))
    (0, 24195, 3599)
    """
    if seconds <= 0:
        return np.uint16(0)
    return np.uint16(max(1, min(FOREVER - 1, int(np.rint(STEPS * np.log2(1.0 + seconds))))))


@njit(cache=True)
def hold_seconds(code):  # type: ignore[no-untyped-def]
    """Read what ``hold_code`` has written."""
    return np.inf if code == FOREVER else 2.0 ** (code / STEPS) - 1


@njit(cache=True)
def hold_left(code, elapsed):  # type: ignore[no-untyped-def]
    """What is left of a hold after so many s."""
    return np.uint16(FOREVER) if code == FOREVER else hold_code(hold_seconds(code) - elapsed)


def holds_of(action: npt.NDArray[np.uint16], windows: Windows) -> npt.NDArray[np.uint16]:
    """Holds of events by their ``action`` (n,) codes.

    Examples
    --------
    >>> bought, viewed = action_code("purchase"), action_code("view")
    >>> holds_of(np.array([bought, viewed], np.uint16), {"purchase": "forever"}).tolist()
    [65535, 0]
    """
    holds = np.zeros(len(action), np.uint16)
    for name, window in windows.items():
        code = FOREVER if window == "forever" else hold_code(window / 1000)
        holds[action == action_code(name)] = code
    return holds


@njit(cache=True)
def held(items, times, holds, now):  # type: ignore[no-untyped-def]
    """Which items of histories are held back at ``now`` int64 (m,), in ms: bool (m, H).

    ``items`` uint64, ``times`` uint32 s and ``holds`` uint16 (m, H) are columns of profiles.
    """
    out = np.zeros(items.shape, np.bool_)
    for u in range(len(items)):
        second = now[u] // 1000
        for h in range(items.shape[1]):
            if items[u, h] == 0:
                break
            out[u, h] = holds[u, h] > 0 and second - np.int64(times[u, h]) < hold_seconds(holds[u, h])
    return out
