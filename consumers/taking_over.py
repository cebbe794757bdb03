"""How a generation takes over from an older one: nothing of it is published before it has caught up.

Then the learner compares who is in which cluster: of the older generation as subscribers have it, in the lists, and of
this one in its profiles. What comes of it is a decision, so that all workers publish under the same ids, from one
offset of the model log on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import structlog

from consumers.clusters import read_clusters
from consumers.lists import parse_list
from consumers.resetting import behind, to_be_reached
from stream.background import InThread
from stream.broker.interface import Broker, Records
from stream.broker.topics import Topics
from stream.clock import Clock
from stream.clustering.numbering import match_clusters
from stream.config import KafkaSettings
from stream.entries import TookOver
from stream.errors import BrokerUnavailable
from stream.hashing import hash_text
from stream.model import Model
from stream.profiles.layout import RowLayout

log = structlog.get_logger()

Ids = npt.NDArray[np.int64]

# Between two looks at how far this generation is. It has caught up when it has all that the older one had a look ago:
# less than what a batch takes, and a busy log is never caught up with.
LOOK_S = 2.0
SAY_EVERY_S = 30.0  # how far it is
# Newest lists, and newest rows of profiles, that are compared, of all partitions together: of fewer small clusters show
# too few users, and more take more than the second or two, and the 50 MB, that these do.
COMPARED = 20_000
SILENCE_S = 60.0  # without a record that must be there, the broker is taken to be away


@dataclass(frozen=True, slots=True)
class Survey:
    """Who is in which cluster: of n users both generations say it."""

    ours: Ids  # (n,) ids of this generation's model
    theirs: Ids  # (n,) as the older one published them
    known: Ids  # (l,) published clusters that live, ascending
    largest: int  # id ever published, -1 for none


class TakeOver:
    """Decides when, and as whom. Belongs to the processing thread; looks and reads in a thread of its own."""

    def __init__(
        self, broker: Broker, topics: Topics, settings: KafkaSettings, layout: RowLayout, clock: Clock
    ) -> None:
        self._broker, self._topics, self._settings = broker, topics, settings
        self._layout, self._clock = layout, clock
        self._background: InThread[Survey | None] = InThread(clock, "taking over")
        self._wanted: Mapping[int, int] | None = None  # positions that have to be reached
        self._looks_at = self._says_at = clock.monotonic()

    def awaited(self, model: Model) -> bool:
        """Whether nothing is to be published yet."""
        return self._settings.generation > 1 and not model.took_over

    def next(self, model: Model) -> TookOver | None:
        """The decision, if it is time."""
        if not self.awaited(model):
            return None
        try:
            survey = self._background.result()
        except BrokerUnavailable as error:
            log.warning("looked in vain whether to take over; the next look will do", reason=str(error))
            return None
        if survey is not None:
            return self._decide(survey, model)
        now = self._clock.monotonic()
        if self._background.ready and now >= self._looks_at:
            self._looks_at = now + LOOK_S
            positions = dict(model.positions)
            self._background.start(lambda: self._look(positions))
        return None

    def close(self) -> None:
        """End what is under way."""
        self._background.close()

    def _decide(self, survey: Survey, model: Model) -> TookOver:
        ours, living = model.clusters.lineage.resolve(survey.ours), model.clusters.ids
        found = match_clusters(ours, survey.theirs, living, survey.known, survey.largest)
        log.info(
            "taking over",
            users=len(ours),
            clusters=len(living),
            kept=len(found.ours),
            gone=len(found.gone),
            version=model.version,
        )
        return TookOver(model.decisions, found)

    def _look(self, positions: Mapping[int, int]) -> Survey | None:
        """Survey if ``positions`` have reached what was wanted at the last look; set what is wanted now."""
        wanted = self._wanted
        self._wanted = to_be_reached(self._broker, self._settings)
        if wanted is None:
            return None
        missing = behind(self._broker, self._settings, wanted, positions)
        if missing:
            now = self._clock.monotonic()
            if now >= self._says_at:
                self._says_at = now + SAY_EVERY_S
                log.info("nothing is published before this generation has caught up", behind=missing)
            return None
        return self._survey()

    def _survey(self) -> Survey:
        theirs = self._published()
        ours = self._own(set(theirs))
        users = sorted(theirs.keys() & ours.keys())
        clusters = read_clusters(self._broker, self._topics, living=False)
        ids = [cluster.cluster_id for cluster in clusters]
        living = {cluster.cluster_id for cluster in clusters if cluster.status == "living"}
        return Survey(
            np.array([ours[user] for user in users], np.int64),
            np.array([theirs[user] for user in users], np.int64),
            np.array(sorted(living | set(theirs.values())), np.int64),
            max([-1, *ids, *theirs.values()]),
        )

    def _published(self) -> dict[int, int]:
        """Published clusters by hash of the user, from the newest lists of older generations."""
        found: dict[int, int] = {}
        for records in self._tail(self._topics.recommendations.name):
            for value in records.values:
                if value is None:
                    continue
                made = parse_list(value)
                generation = made.list_id.removeprefix("g").partition("-")[0]
                older = generation.isdecimal() and int(generation) < self._settings.generation
                if made.cluster is not None and older:
                    found[hash_text(made.user_id)] = made.cluster.id
        return found

    def _own(self, users: set[int]) -> dict[int, int]:
        """Clusters of ``users`` in this generation's model, by hash of the user, from the newest rows."""
        found: dict[int, int] = {}
        for records in self._tail(self._topics.profiles.name):
            rows = self._layout.decode([value for value in records.values if value is not None])
            pairs = zip(rows["user"].tolist(), rows["cluster"].tolist(), strict=True)
            found |= {user: cluster for user, cluster in pairs if user in users and cluster >= 0}
        return found

    def _tail(self, topic: str) -> Iterator[Records]:
        offsets = self._broker.offsets(topic)
        each = COMPARED // max(len(offsets), 1)
        starts = {partition: max(first, end - each) for partition, (first, end) in offsets.items()}
        with closing(self._broker.reader(topic, starts)) as reader:
            yield from reader.read_to_end(SILENCE_S)
