"""How good the clusters are over a log: on their own, against batch k-means, against the truth where it is known."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

# Of batch k-means with hindsight, which the error is held against: its best run of ten is hardly beaten by
# more.
RESTARTS = 10

# What users really are: user -> (from when in ms, persona), in order of time.
Truth = Mapping[str, Sequence[tuple[int, str]]]


@dataclass(frozen=True, slots=True)
class Standing:
    """n users who were active within the clusters' half-life, at ``time``, in ms."""

    time: int
    users: npt.NDArray[np.uint64]  # (n,)
    profiles: Floats  # (n, D) unit profile vectors
    vectors: Floats  # (n, d) the same in the clusters' space
    cluster: Ids  # (n,)


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
        if len(model.clusters.ids) and len((active := self.active(profiles, model)).users):
            batch = batch_centres(active.vectors, len(model.clusters.ids), self._seed, RESTARTS)
            self.history.append(
                self._measured(active, batch, model)
                | self.moved(profiles, model)
                | self.against_truth(active, assign(active.vectors, batch)[0])
            )

    def active(self, profiles: ProfileTable, model: Model) -> Standing:
        """Who is judged, where they stand now, by the model's clusters as they are."""
        rows = profiles.rows[: len(profiles)]
        placed = place_users(rows, model)
        active = placed.known & (rows["time"] >= self._times[0][1])
        return Standing(
            self._times[-1][1],
            rows["user"][active],
            placed.profiles[active],
            placed.vectors[active],
            placed.cluster[active],
        )

    def _measured(self, active: Standing, batch: Floats, model: Model) -> dict[str, Any]:
        vectors, k = active.vectors, len(model.clusters.ids)
        error = quantisation_error(vectors, model.clusters.centres)
        hindsight = quantisation_error(vectors, batch)
        return {
            "time": active.time,
            "events": model.clock,
            "clusters": k,
            "users": len(vectors),
            "empty": k - len(np.unique(active.cluster)),
            "silhouette": silhouette(vectors, active.cluster, self._seed),
            "davies_bouldin": davies_bouldin(vectors, active.cluster),
            "quantisation_error": error,
            "against_batch": error / hindsight if hindsight > 0 else 1.0,
        }

    def moved(self, profiles: ProfileTable, model: Model) -> dict[str, float]:
        """Share of those who did nothing since this was asked last, and would now be put elsewhere; also per day."""
        rows, now = profiles.rows[: len(profiles)], self._times[-1][1]
        first = not self._last
        moved = self._churn(rows, place_users(rows, model).cluster)
        days = 0.0 if first else (now - self._looked_at) / DAY_MS
        self._looked_at = now
        return {"churn": moved, "churn_per_day": moved / days if days > 0 else 0.0}

    def _churn(self, rows: Rows, cluster: Ids) -> float:
        users, events = rows["user"].tolist(), rows["events"].tolist()
        before = [self._last.get(user, (-1, -1)) for user in users]
        idle = [count == then for count, (then, _) in zip(events, before, strict=True)]
        self._last = dict(zip(users, zip(events, cluster.tolist(), strict=True), strict=True))
        return churn([was for _, was in before], cluster, ~np.array(idle))

    def against_truth(self, active: Standing, batch: Ids) -> dict[str, float]:
        """How well the clusters, and those of ``batch`` (n,), tell personas apart; {} where the truth is not known."""
        if not self._truth:
            return {}
        persona = [self._persona(user, active.time) for user in active.users.tolist()]
        judged = np.array([p is not None for p in persona])
        truth, cluster = np.array([p or "" for p in persona])[judged], active.cluster[judged]
        return {
            "adjusted_rand": adjusted_rand(truth, cluster),
            "adjusted_rand_batch": adjusted_rand(truth, batch[judged]),
            "normalised_mutual_information": normalised_mutual_information(truth, cluster),
        }

    def _persona(self, user: int, now: int) -> str | None:
        return next((p for start, p in reversed(self._truth.get(user, ())) if start <= now), None)
