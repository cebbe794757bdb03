"""What the learner decides, as transactions to be committed."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import asdict

import structlog

from consumers.cluster_records import DRIFT, cluster_records, drift_record, given_up
from consumers.committing import DecisionTransaction, Output
from consumers.following import EntryWriter
from consumers.taking_over import TakeOver
from stream.background import REST, InThread
from stream.broker.topics import Topics
from stream.catalogue import Catalogue
from stream.clock import Clock
from stream.config import Settings
from stream.entries import Decision, Labelled, Paced, TookOver
from stream.learner import Learner
from stream.model import Model
from stream.recommending.item_models import ItemModels
from stream.recommending.quality import LiveQuality
from stream.recommending.sequences import SequenceModel

log = structlog.get_logger()


class Deciding:
    """Decides on the folded model, and brings dead letters of items along. Belongs to the processing thread.

    Two who hold the learner's role for a moment, across a rebalance, do no harm: the transaction of the older is
    refused, and a decision out of sequence is folded to nothing.
    """

    def __init__(
        self,
        settings: Settings,
        topics: Topics,
        catalogue: Catalogue,
        entries: EntryWriter,
        clock: Clock,
        take_over: TakeOver | None = None,
    ) -> None:
        self._topics = topics
        self._catalogue = catalogue
        self._entries = entries
        self._clock = clock
        self._take_over = take_over
        self._wakes = 0.0  # the next decision is not made before
        self._background: InThread[ItemModels] = InThread(clock, "item models")
        self._school: InThread[SequenceModel] = InThread(clock, "sequence model")
        self._learner = Learner(settings, catalogue, self._background, self._school)
        self._undone: Decision | None = None  # was made, but its transaction was aborted

    def next(self, model: Model, dead_letters: Mapping[bytes, bytes]) -> DecisionTransaction | None:
        """The decision that is due, and the ``dead_letters`` of items, if there is anything of these."""
        decision = self._next(model)
        if decision is None and not dead_letters:
            return None
        topics = self._topics
        outputs = [Output(topics.dead_letters.name, 0, list(dead_letters), list(dead_letters.values()))]
        parts: list[bytes | None] = []
        if decision is not None:
            outputs += self._announcements(decision, model)
            parts = self._entries.parts(decision)
            log.info("decided", what=type(decision).__name__, version=model.version)
        entry = Output(topics.model_updates.name, 0, [None] * len(parts), parts)
        return DecisionTransaction(
            outputs, {0: model.version + 1}, entry, self._entries.sequence, decision, list(dead_letters)
        )

    def settle(
        self, transaction: DecisionTransaction, committed: bool, dead_letters: MutableMapping[bytes, bytes]
    ) -> None:
        """Remember a decision that was not committed; take out of ``dead_letters`` what was."""
        if not committed:
            self._undone = transaction.decision
            return
        for key in transaction.letters:
            dead_letters.pop(key, None)

    def close(self) -> None:
        """End what is under way."""
        self._background.close()
        if self._take_over is not None:
            self._take_over.close()
        self._school.close()

    def _next(self, model: Model) -> Decision | None:
        undone, self._undone = self._undone, None
        # Not made anew: what led to it may be behind the learner, as a drift that was noticed once.
        if undone is not None and undone.sequence == model.decisions:
            return undone
        decision = self._due(model)
        if (
            decision is None and self._take_over is not None
        ):  # last, so that there are clusters, and names of them
            return self._take_over.next(model)
        return decision

    def _due(self, model: Model) -> Decision | None:
        began = self._clock.monotonic()
        # The more events, the more is due: it may take a tenth of this thread's time, and what is due waits then.
        # Not before clusters have names, as lists show these.
        if model.clusters.labels and began < self._wakes:
            return None
        decision = self._learner.decide(model)
        now = self._clock.monotonic()
        self._wakes = now + REST * (now - began)
        return decision

    def _say_quality(self, model: Model) -> None:
        """Log how good the lists of late were, of all workers."""
        rates = LiveQuality.of(model.lately.counts).among.get("all")
        if rates is not None:
            figures = {name: round(value, 4) for name, value in asdict(rates).items()}
            coverage = model.lately.listed / max(int(self._catalogue.available.sum()), 1)
            log.info("quality of lists", **figures, coverage=round(min(coverage, 1.0), 4))

    def _announcements(self, decision: Decision, model: Model) -> list[Output]:
        topic = self._topics.clusters.name
        if isinstance(decision, TookOver):
            records = given_up(decision.clusters, model)
            return [Output(topic, 0, list(records), list(records.values()))]
        if self._take_over is not None and self._take_over.awaited(model):
            return []  # the topic is still the older generation's
        if isinstance(decision, Labelled):
            records = cluster_records(decision.named, model, self._catalogue)
            self._say_quality(model)
            return [Output(topic, 0, list(records), list(records.values()))]
        if isinstance(decision, Paced):
            return [Output(topic, 0, [DRIFT], [drift_record(decision.drift, model)])]
        return []
