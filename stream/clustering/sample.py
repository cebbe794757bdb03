"""A sample of users whose profiles are kept: for seeding clusters and for judging them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.clustering.assign import Floats

Users = npt.NDArray[np.uint64]

# Share of the places that is left taken when there were too many users, and below which more are let in. Far apart,
# the sample is often small; close together, users come and go for the noise of their number.
FULL, THIN = 0.875, 0.75
# At a time the share of users grows by this factor at most: those let in are seen only when they come back.
GROWTH = 1.25
LOOKS = 8  # at whether users have left, within the horizon; a look costs some 20 microseconds


class SampledProfiles:
    """Profiles of at most ``size`` users who were active within the last ``horizon`` profile updates.

    The hash of the id decides who belongs to it, ``admits``: so busy users are in it as seldom as quiet ones, each
    as they were last, and ``share`` is the part of all users that it shows: 1.0 is everybody. Nothing but a function
    of what is folded. Vectors are float16, as deltas carry them.
    """

    def __init__(self, size: int, dimensions: int, horizon: float) -> None:
        self.share = 1.0
        self._horizon = horizon
        self._users = np.zeros(0, np.uint64)  # (n,) ascending
        self._rows = np.zeros(0, np.int64)  # (n,) of the arrays below
        self._vectors = np.zeros((size, dimensions), np.float16)
        self._updates = np.zeros(size, np.int64)  # the clock of updates when the user was last active
        self._looked_at = 0

    def __len__(self) -> int:
        return len(self._users)

    def admits(self, users: Users) -> npt.NDArray[np.bool_]:
        """Whether ``users`` (n,) belong to it, bool (n,)."""
        bound = self.share * 2.0**64
        return np.asarray((users.astype(np.float64) < bound) | (self.share >= 1))

    def vectors(self, since: float = 0.0) -> Floats:
        """Unit vectors of users who were active at ``since`` or later, in profile updates, float32 (n, D)."""
        return self._vectors[self._rows[self._updates[self._rows] >= since]].astype(np.float32)

    def fold(self, users: Users, vectors: npt.NDArray[np.float16], updates: int = 0) -> None:
        """Take in profiles (n, D) of ``users`` (n,) at the clock ``updates``; of one who comes twice the last."""
        if updates - self._looked_at >= self._horizon / LOOKS:
            self._look(updates)
        mine = np.flatnonzero(self.admits(users))[::-1]
        users, first = np.unique(users[mine], return_index=True)
        vectors = vectors[mine][first]
        new = ~np.isin(users, self._users)
        if len(self) + int(new.sum()) > len(self._vectors):
            self._narrow(users[new])
            stay = self.admits(users)
            users, vectors, new = users[stay], vectors[stay], new[stay]
        if new.any():
            self._let_in(users[new])
        rows = self._rows[np.searchsorted(self._users, users)]
        self._vectors[rows], self._updates[rows] = vectors, updates

    def _look(self, updates: int) -> None:
        """Forget who has left, and let more in where too few are left."""
        self._looked_at = updates
        self._keep(self._updates[self._rows] >= updates - self._horizon)
        size = len(self._vectors)
        if len(self) < THIN * size and self.share < 1:
            self.share = min(1.0, self.share * min(GROWTH, FULL * size / max(len(self), 1)))

    def _narrow(self, new: Users) -> None:
        """Show a smaller share of the users, so that there is room for those ``new`` ones who are still of it."""
        everybody = np.sort(np.concatenate([self._users, new]))
        self.share = float(everybody[int(FULL * len(self._vectors))]) / 2.0**64
        self._keep(self.admits(self._users))

    def _keep(self, which: npt.NDArray[np.bool_]) -> None:
        self._users, self._rows = self._users[which], self._rows[which]

    def _let_in(self, new: Users) -> None:
        free = np.ones(len(self._vectors), np.bool_)
        free[self._rows] = False
        users = np.concatenate([self._users, new])
        rows = np.concatenate([self._rows, np.flatnonzero(free)[: len(new)]])
        order = np.argsort(users)
        self._users, self._rows = users[order], rows[order]
