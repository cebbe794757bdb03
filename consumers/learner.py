"""The learner's role inside a worker: the group ``learner`` gives the model log's one partition to one of them."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from consumers.cluster_records import DRIFT, cluster_records, drift_record
from consumers.following import CatalogueFollower, EntryWriter
from stream.background import InThread
from stream.broker.interface import Broker, TransactionalProducer
from stream.broker.topics import Topics
from stream.catalogue import Catalogue
from stream.clock import Clock
from stream.config import Settings
from stream.entries import Decision, Labelled, Paced
from stream.errors import TransactionAborted
from stream.learner import Learner
from stream.model import Model
from stream.recommending.item_models import ItemModels

log = structlog.get_logger()


class LearnerRole:
    """Holds the role when the group gives it; decides on the folded model and writes the decision into the log.

    Two who hold it for a moment, across a rebalance, do no harm: the transaction of the older is refused, and
    a decision out of sequence is folded to nothing.
    """

    def __init__(
        self,
        settings: Settings,
        broker: Broker,
        topics: Topics,
        catalogue: Catalogue,
        entries: EntryWriter,
        clock: Clock,
    ) -> None:
        self._topics = topics
        self._catalogue = catalogue
        self._entries = entries
        self._background: InThread[ItemModels] = InThread(clock, "item models")
        self._learner = Learner(settings, catalogue, self._background)
        self._undone: Decision | None = None  # was made, but its transaction was aborted
        # Only the membership is of use; the worker folds the log with a reader of its own.
        self._member = broker.subscribe(topics.model_updates.name, topics.group("learner"), self)

    def assigned(self, partitions: Sequence[int]) -> None:
        """Take the role."""
        self._member.pause(list(partitions))
        log.info("learner's role taken")

    def revoked(self, partitions: Sequence[int]) -> None:
        """Give the role up."""
        self._undone = None
        log.info("learner's role given up", partitions=list(partitions))

    def lost(self, partitions: Sequence[int]) -> None:
        """As ``revoked``."""
        self.revoked(partitions)

    def is_here(self) -> bool:
        """Whether the role is here. To be asked in every round: in this call it comes and goes."""
        self._member.poll(1, 0.0)
        return bool(self._member.assignment())

    def act(self, producer: TransactionalProducer, model: Model, items: CatalogueFollower) -> bool:
        """Write the decision that is due, and the dead letters of items; whether there was a decision.

        False too where the transaction was aborted: all of it is done again at the next call. Raises
        BrokerError.
        """
        dead = items.dead_letters
        decision = self._next(model)
        if decision is None and not dead:
            return False
        producer.begin()
        try:
            producer.send(self._topics.dead_letters.name, 0, list(dead), list(dead.values()))
            if decision is not None:
                self._write(producer, decision, model)
            producer.send_offsets(self._member, {0: model.version + 1})
            producer.commit()
        except TransactionAborted as aborted:
            self._undone = decision
            log.warning("decision aborted; it will be written again", reason=str(aborted))
            return False
        dead.clear()
        return decision is not None

    def close(self) -> None:
        """Leave the group."""
        self._member.close()
        self._background.close()

    def _next(self, model: Model) -> Decision | None:
        undone, self._undone = self._undone, None
        # Not made anew: what led to it may be behind the learner, as a drift that was noticed once.
        if undone is not None and undone.sequence == model.decisions:
            return undone
        return self._learner.decide(model)

    def _write(self, producer: TransactionalProducer, decision: Decision, model: Model) -> None:
        if isinstance(decision, Labelled):
            records = cluster_records(decision.named, model, self._catalogue)
            producer.send(self._topics.clusters.name, 0, list(records), list(records.values()))
        elif isinstance(decision, Paced):
            producer.send(self._topics.clusters.name, 0, [DRIFT], [drift_record(decision.drift, model)])
        parts = self._entries.parts(decision)
        producer.send(self._topics.model_updates.name, 0, [None] * len(parts), parts)
        log.info("decided", what=type(decision).__name__, version=model.version)
