"""How good the clusters are over a log: on their own, against batch k-means, against the truth where it is known."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.clustering.assign import assign
from stream.clustering.quality import (
    adjusted_rand,
    batch_centres,
    churn,
    davies_bouldin,
    normalised_mutual_information,
    quantisation_error,
    silhouette,
)
from stream.config import DAY_MS
from stream.hashing import hash_texts
from stream.model import Model
from stream.placing import place_users
from stream.profiles.layout import Rows
from stream.profiles.table import ProfileTable

# Of batch k-means with hindsight, which the error is held against: its best run of ten is hardly beaten by
# more.
RESTARTS = 10

# What users really are: user -> (from when in ms, persona), in order of time.
Truth = Mapping[str, Sequence[tuple[int, str]]]


class ClusterWatch:
    """Looks at the clusters now and then.

    ``half_life`` is the clusters', in profile updates: users who were last active longer ago are not judged,
    for the clusters are not meant to remember them.
    """

    def __init__(self, half_life: float, seed: int, truth: Truth | None = None) -> None:
        self.history: list[dict[str, Any]] = []
        self._half_life, self._seed = half_life, seed
        self._truth = (
            {} if truth is None else dict(zip(hash_texts(truth).tolist(), truth.values(), strict=True))
        )
        self._updates = 0
        # (updates, event time) at the ends of batches within the half-life, and of the last one before it
        self._times: deque[tuple[int, int]] = deque([(0, 0)])
        self._last: dict[int, tuple[int, int]] = {}  # user -> (events, cluster) at the look before
        self._looked_at = 0  # event time of that look, in ms

    def note(self, users: int, now: int) -> None:
        """A batch touched ``users`` profiles; its newest event is of time ``now``, in ms."""
        self._updates += users
        self._times.append((self._updates, now))
        while len(self._times) > 1 and self._times[1][0] <= self._updates - self._half_life:
            self._times.popleft()

    def look(self, profiles: ProfileTable, model: Model) -> None:
        """Add an entry to ``history``, if there are clusters."""
        if not len(model.clusters.ids):
            return
        rows = profiles.rows[: len(profiles)]
        placed = place_users(rows, model)
        active = placed.known & (rows["time"] >= self._times[0][1])
        if not active.any():
            return
        vectors, cluster = placed.vectors[active], placed.cluster[active]
        k = len(model.clusters.ids)
        error = quantisation_error(vectors, model.clusters.centres)
        batch = batch_centres(vectors, k, self._seed, RESTARTS)
        hindsight = quantisation_error(vectors, batch)
        now = self._times[-1][1]
        moved = self._churn(rows, placed.cluster)
        days = (now - self._looked_at) / DAY_MS if self.history else 0.0
        entry: dict[str, Any] = {
            "time": now,
            "events": model.clock,
            "clusters": k,
            "users": len(vectors),
            "empty": k - len(np.unique(cluster)),
            "silhouette": silhouette(vectors, cluster, self._seed),
            "davies_bouldin": davies_bouldin(vectors, cluster),
            "quantisation_error": error,
            "against_batch": error / hindsight if hindsight > 0 else 1.0,
            "churn": moved,
            "churn_per_day": moved / days if days > 0 else 0.0,
        }
        self._looked_at = now
        if self._truth:
            entry |= self._against_truth(rows["user"][active], cluster, assign(vectors, batch)[0], now)
        self.history.append(entry)

    def _churn(self, rows: Rows, cluster: npt.NDArray[np.int64]) -> float:
        """Share of those who did nothing since the look before, and would now be put elsewhere."""
        users, events = rows["user"].tolist(), rows["events"].tolist()
        before = [self._last.get(user, (-1, -1)) for user in users]
        idle = [count == then for count, (then, _) in zip(events, before, strict=True)]
        self._last = dict(zip(users, zip(events, cluster.tolist(), strict=True), strict=True))
        return churn([was for _, was in before], cluster, ~np.array(idle))

    def _against_truth(
        self,
        users: npt.NDArray[np.uint64],
        cluster: npt.NDArray[np.int64],
        batch: npt.NDArray[np.int64],
        now: int,
    ) -> dict[str, float]:
        persona = [self._persona(user, now) for user in users.tolist()]
        judged = np.array([p is not None for p in persona])
        truth = np.array([p or "" for p in persona])[judged]
        return {
            "adjusted_rand": adjusted_rand(truth, cluster[judged]),
            "adjusted_rand_batch": adjusted_rand(truth, batch[judged]),
            "normalised_mutual_information": normalised_mutual_information(truth, cluster[judged]),
        }

    def _persona(self, user: int, now: int) -> str | None:
        return next((p for start, p in reversed(self._truth.get(user, ())) if start <= now), None)
