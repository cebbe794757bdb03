"""From what the pipeline has made of a batch to the transaction that is to be committed: bytes, all of it."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import structlog

from consumers.committing import Batch, BatchTransaction, Output
from consumers.following import EntryWriter
from stream.broker.topics import Topics
from stream.clock import Clock
from stream.events.dead_letters import coordinates, dead_letter_record
from stream.pipeline import Outcome
from stream.profiles.table import ProfileTable

log = structlog.get_logger()

# Idle profiles are looked for this often: a look reads the time of every row, and who is idle for a year can wait.
SWEEP_EVERY_S = 600.0


class Serialiser:
    """Makes transactions of batches, while the profiles are open.

    Parameters
    ----------
    events_topic
        Identity of the topic that the batches come from; deltas name it.
    ttl_ms
        Profiles that were idle for longer end, now and then, with a batch.
    """

    def __init__(
        self,
        topics: Topics,
        profiles: ProfileTable,
        entries: EntryWriter,
        events_topic: str,
        ttl_ms: int,
        clock: Clock,
    ) -> None:
        self._topics, self._profiles, self._entries = topics, profiles, entries
        self._events_topic, self._ttl_ms, self._clock = events_topic, ttl_ms, clock
        self._swept_at = clock.monotonic()

    def transaction(self, batch: Batch, outcome: Outcome, here: Set[int]) -> BatchTransaction:
        """Make the transaction of ``batch``; partitions ``here`` are those whose profiles are."""
        topics, touched, profiles, records = self._topics, outcome.touched, self._profiles, batch.records
        told, ids = outcome.published, outcome.events.user_id
        users: list[bytes | None] = [ids[i].encode() for i in touched.last_event[told]]
        idle = self._sweep(outcome)
        self._count(batch, outcome, here)
        dead_keys: list[bytes | None] = [coordinates(records, letter.row) for letter in outcome.dead]
        dead: list[bytes | None] = [dead_letter_record(records, letter) for letter in outcome.dead]
        rows, keys = profiles.serialise(touched.rows), profiles.keys(touched.rows)
        tombstones: list[bytes | None] = [None] * len(idle)
        outputs = [
            Output(topics.recommendations.name, touched.partition[told], users, list(outcome.lists)),
            Output(topics.profiles.name, touched.partition, keys, rows),
            Output(topics.profiles.name, profiles.partitions(idle), profiles.keys(idle), tombstones),
            Output(topics.dead_letters.name, 0, dead_keys, dead),
        ]
        parts = self._entries.parts(replace(outcome.delta, events_topic=self._events_topic))
        entry = Output(topics.model_updates.name, 0, [None] * len(parts), parts)
        return BatchTransaction(
            outputs, records.next_offsets(), entry, self._entries.sequence, batch, outcome, idle
        )

    def _count(self, batch: Batch, outcome: Outcome, here: Set[int]) -> None:
        """Count, beside what the pipeline does, what only a look at the log can tell."""
        counts = outcome.delta.counts
        if batch.skipped:
            counts["lost"] = batch.skipped
        split = self._profiles.split_users(outcome.touched.rows, here)
        if split:
            counts["split_users"] = split
            log.warning(
                "users whose events come in several partitions have a profile in each: let all producers of the events "
                "use one partitioner, with the user id as the key, and leave the number of partitions as it is",
                users=split,
            )

    def _sweep(self, outcome: Outcome) -> npt.NDArray[np.int64]:
        """Rows of users who have been idle for too long, now and then; tombstones end them in the changelog."""
        if self._clock.monotonic() - self._swept_at < SWEEP_EVERY_S:
            return np.empty(0, np.int64)
        self._swept_at = self._clock.monotonic()
        idle = np.setdiff1d(self._profiles.idle(self._ttl_ms), outcome.touched.rows)
        log.info("idle profiles forgotten", profiles=len(idle))
        return idle
