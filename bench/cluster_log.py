"""Logs and a learner for ``bench.cluster``: users' profiles over a log, and clusters kept alive along it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from producers.synthetic import SyntheticLog, SyntheticSettings
from stream.clustering import StreamingKMeans, fit_projection, seed_centres
from stream.clustering.assign import unit_rows
from stream.clustering.drift import DriftDetector
from stream.clustering.lifecycle import apply, propose
from stream.clustering.lineage import Lineage
from stream.config import EncoderSettings
from stream.encoder import make_encoder

PROFILE_HALF_LIFE_MS = 30 * 86_400_000
BATCH = 1_024


@dataclass
class Log:
    """Events as rows of users and items, and the vectors of the items."""

    name: str
    users: np.ndarray
    items: np.ndarray
    times: np.ndarray
    vectors: np.ndarray
    user_ids: list[str]
    truth: Callable[[str, int], str] | None = None

    @classmethod
    def of(cls, name: str, events: list[dict], items: list[dict], truth: Any = None) -> Log:
        known = {item["item_id"]: row for row, item in enumerate(items)}
        events = [e for e in events if e.get("item_id") in known and e.get("user_id")]
        ids = sorted({e["user_id"] for e in events})
        rows = {user: row for row, user in enumerate(ids)}
        encoder = make_encoder(EncoderSettings(cache=None))
        vectors = encoder.encode([f"{i.get('title', '')}. {i.get('category') or ''}" for i in items])
        return cls(
            name,
            np.array([rows[e["user_id"]] for e in events]),
            np.array([known[e["item_id"]] for e in events]),
            np.array([e["timestamp"] for e in events]),
            vectors,
            ids,
            truth,
        )

    @classmethod
    def generated(cls, **settings: Any) -> Log:
        log = SyntheticLog(SyntheticSettings(**settings))
        events = [
            {"user_id": e.user_id, "item_id": e.item_id, "timestamp": e.timestamp} for e in log.events()
        ]
        items = [{"item_id": i.item_id, "title": i.title, "category": i.category} for i in log.items]
        return cls.of("generated", events, items, log.persona_of)

    @classmethod
    def read(cls, directory: Path) -> Log:
        events, items = (
            [json.loads(line) for line in (directory / f"{what}.jsonl").read_text().splitlines()]
            for what in ("events", "items")
        )
        return cls.of(directory.name, events, items)

    def batches(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Users touched by each batch of events, and their profiles after it."""
        sums = np.zeros((len(self.user_ids), self.vectors.shape[1]), np.float32)
        last = np.zeros(len(self.user_ids))
        for start in range(0, len(self.users), BATCH):
            part = slice(start, start + BATCH)
            users, rows = np.unique(self.users[part], return_inverse=True)
            now = last[users].copy()
            np.maximum.at(now, rows, self.times[part])
            sums[users] *= (0.5 ** ((now - last[users]) / PROFILE_HALF_LIFE_MS))[:, None]
            late = 0.5 ** ((now[rows] - self.times[part]) / PROFILE_HALF_LIFE_MS)
            np.add.at(
                sums, self.users[part], self.vectors[self.items[part]] * late[:, None].astype(np.float32)
            )
            last[users] = now
            yield users, sums[users]


@dataclass
class Learner:
    """All that keeps clusters alive, in one process: what the worker and the learner do between them."""

    k: int
    half_life: float
    spherical: bool = False
    dimensions: int = 64
    lively: bool = True
    model: StreamingKMeans | None = None
    lineage: Lineage = field(default_factory=Lineage)
    events: list[Any] = field(default_factory=list)
    drifts: list[Any] = field(default_factory=list)

    def run(self, log: Log, seen: Callable[[int, Learner], None] | None = None) -> None:
        self.profiles = np.zeros((len(log.user_ids), log.vectors.shape[1]), np.float32)
        self.touched, self.detector = np.full(len(log.user_ids), -1), DriftDetector()
        for n, (users, profiles) in enumerate(log.batches()):
            self.profiles[users], self.touched[users] = profiles, n
            if self.model is None:
                self._seed()
            else:
                self._learn(n, self.project(users))
            if seen:
                seen(n, self)

    def recent(self, most: int = 2_048) -> np.ndarray:
        """Users touched last, within the half-life."""
        first = max(0, self.touched.max() - int(self.half_life / BATCH))
        return np.argsort(-self.touched, kind="stable")[: min(most, int((self.touched >= first).sum()))]

    def project(self, users: np.ndarray) -> np.ndarray:
        return self.projection.apply(unit_rows(self.profiles[users]))

    def _seed(self) -> None:
        users = self.recent()
        if len(users) >= 8 * self.k:
            self.projection = fit_projection(unit_rows(self.profiles[users]), self.dimensions)
            centres = seed_centres(self.project(users), self.k, 0, spherical=self.spherical)
            self.model = StreamingKMeans(self.k, half_life=self.half_life, spherical=self.spherical, seed=0)
            self.model.seed_with(centres)
            self.model.learn_many(self.project(users))

    def _learn(self, n: int, X: np.ndarray) -> None:
        assert self.model is not None
        stats = self.model.accumulate(X)
        self.model.fold(stats, self.lineage)
        event = self.detector.update(stats.mean_error) if self.lively else None
        if event:
            self.drifts.append((n, event.kind))
            self.model.weighted.pace = event.pace
        if self.lively and n % 5 == 4:
            users, active = self.recent(), self.recent(len(self.touched))
            share = len(users) / len(active)
            decision = propose(self.model, self.project(users), self.k, seed=n, share=share)
            happened = apply(self.model, decision) if decision else []
            self.lineage.fold(happened)
            self.events += happened
