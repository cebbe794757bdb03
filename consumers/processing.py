"""What the processing thread owns: catalogue, model, profiles, and the pipeline that works on them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import structlog

from consumers.cataloguing import CatalogueFollower
from consumers.checking import check_events, check_rows, check_state
from consumers.committing import Batch, BatchTransaction, DecisionTransaction, Transaction
from consumers.deciding import Deciding
from consumers.following import EntryWriter, ModelFollower
from consumers.local_profiles import LocalProfiles
from consumers.model_lag import ModelLag
from consumers.poison import Poison, Rows, Sifter
from consumers.restoring import Restoration
from consumers.serialising import Serialiser
from consumers.snapshots import SnapshotWriter, load_newest
from consumers.taking_over import TakeOver
from stream.broker.interface import Broker
from stream.broker.topics import Topics
from stream.catalogue import Catalogue
from stream.clock import Clock
from stream.config import Settings
from stream.encoder import TextEncoder
from stream.errors import OffsetOutOfRange, TopicMismatch
from stream.events.batch import DeadLetter, Decoded
from stream.events.decode import decode
from stream.events.reasons import Reason
from stream.hashing import HashIndex
from stream.model import Model
from stream.pipeline import Outcome, Pipeline
from stream.profiles.layout import RowLayout
from stream.profiles.table import ProfileTable
from stream.snapshot import shape_of

log = structlog.get_logger()

# How long a worker waits to read its own delta before it makes the next lists without. It comes within
# milliseconds, unless another worker died in an open transaction and holds the log back.
OWN_DELTA_S = 1.0
NEVER = 2**63 - 1  # ms: no list is late enough


@dataclass(frozen=True, slots=True)
class Moves:
    """Partitions that went, and those that came, each with its epoch: in this order."""

    gone: Sequence[int]
    came: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Restored:
    """Partitions whose profiles are here now, with their epochs."""

    epochs: Mapping[int, int]


class Processor:
    """The state of a worker; each public method is a job for the processing thread.

    ``held`` says, to any thread, of which partitions of ``items`` this worker encodes the texts.
    After ``process`` the profiles are open until ``settle`` says what became of its transaction.
    """

    def __init__(
        self,
        settings: Settings,
        broker: Broker,
        topics: Topics,
        encoder: TextEncoder,
        clock: Clock,
        held: Callable[[], frozenset[int]],
    ) -> None:
        self.settings, self.broker, self.topics, self.clock = settings, broker, topics, clock
        self._encoder, self._held = encoder, held
        self.profiles = ProfileTable(
            RowLayout.of(
                settings.profiles,
                settings.recommending.k,
                encoder.dimensions,
                encoder.encoder_id,
                settings.kafka.generation,
            )
        )
        worker = settings.worker
        self._poison = Poison(worker.max_poison, worker.poison_window_ms / 1000, clock)
        self._sifter = Sifter(self._poison)
        self._entries = EntryWriter(f"{worker.instance}/{uuid.uuid4().hex[:12]}")
        self._events_topic = broker.identity(topics.events.name)
        self._serialiser = Serialiser(
            topics, self.profiles, self._entries, self._events_topic, settings.profiles.ttl_ms, clock
        )
        self._shape = shape_of(settings, encoder.encoder_id)
        self._snapshots = SnapshotWriter(broker, topics, settings.snapshots, self._shape, clock)
        self._local = LocalProfiles(broker, topics, self.profiles, settings.snapshots, worker.instance, clock)
        self._restorations: list[Restoration] = []
        self.model_lag = ModelLag(clock)
        self._here: set[int] = set()  # partitions whose profiles are here, or are being restored
        check_rows(broker, topics, self.profiles.layout)
        self._open_model()

    def _open_model(self) -> None:
        """Begin with the newest snapshot of the model; without one, with nothing."""
        self.model, self._model_log = self._load_model()
        settings, broker, topics, clock = self.settings, self.broker, self.topics, self.clock
        self.catalogue = Catalogue(self.model.index, self._encoder.dimensions)
        self.pipeline = Pipeline(settings, self._encoder, self.catalogue)
        patience_s = settings.encoder.patience_ms / 1000
        self._items = CatalogueFollower(
            broker, topics, self.catalogue, self._encoder, self._poison, self._held, patience_s, clock
        )
        self._take_over = TakeOver(broker, topics, settings.kafka, self.profiles.layout, clock)
        self._deciding = Deciding(settings, topics, self.catalogue, self._entries, clock, self._take_over)
        self._snapshots.note(self.model.version)
        self._own = -1  # number of the last entry of ours that stands in the model log

    def _load_model(self) -> tuple[Model, ModelFollower]:
        """The model of the newest snapshot and the log from there on; without one, a fresh model and all of the log."""
        while True:
            fresh = Model(self.settings, HashIndex(), self._encoder.dimensions)
            loaded = load_newest(self.broker, self.topics, self._shape, fresh)
            model = loaded.model if loaded else fresh
            try:
                return model, ModelFollower(self.broker, self.topics, model, loaded.start if loaded else 0)
            except OffsetOutOfRange as gone:
                # Newer snapshots were written while this one was read: there is one, or loading says so.
                say_trimmed(gone)

    def catch_up(self) -> None:
        """Read catalogue and model log to their ends; every text has its vector then."""
        started, before = self.clock.monotonic(), self.model.version
        self._items.catch_up()
        if self._read_model_log(self._catch_up_with_log):
            return  # it began again with a snapshot, and has caught up since
        check_state(self.broker, self.topics, self.model)
        log.info(
            "caught up",
            items=len(self.catalogue),
            encoded=self._items.encoded,
            snapshot_version=before,
            model_version=self.model.version,
            seconds=round(self.clock.monotonic() - started, 2),
        )

    def positions(self) -> dict[int, int]:
        """Per partition of the events the next one that no commit has taken in."""
        return dict(self.model.positions)

    def process(self, batch: Batch) -> BatchTransaction:
        """Run the pipeline on ``batch``, without records at fault, and serialise all that it leads to.

        Raises ProcessingFailed where too many are at fault, and whatever is no record's fault; profiles are as
        before then.
        """
        self._follow()

        def attempt(rows: Rows, refused: Mapping[int, str]) -> BatchTransaction:
            self.profiles.begin()
            try:
                outcome = self._run(batch, rows, refused)
                return self._serialiser.transaction(batch, outcome, self._here)
            except BaseException:
                self.profiles.rollback()
                raise

        return self._sifter.sift(batch.records, attempt, self.profiles.rollback)

    def settle(self, transaction: Transaction, committed: bool, decide: bool) -> Transaction | None:
        """Keep or undo what led to ``transaction``; then as ``attend``."""
        if isinstance(transaction, BatchTransaction):
            if committed:
                self.profiles.commit()
                self.profiles.forget(transaction.idle)
                self._local.committed(transaction.batch.epochs)
            else:
                self.profiles.rollback()
        elif isinstance(transaction, DecisionTransaction):
            self._deciding.settle(transaction, committed, self._items.dead_letters)
        if committed and transaction.entry.values:
            self._fold_own(transaction.sequence)
        return self.attend(decide)

    def attend(self, decide: bool) -> Transaction | None:
        """Follow the logs; where the learner's role is here, give the decision that is due."""
        self._follow()
        # A model without what was written last would lead to the same decision again.
        if not decide or not self._model_log.has(self._entries.sender, self._own):
            return None
        self._snapshots.attend(self.model, self._model_log.start())
        return self._deciding.next(self.model, self._items.dead_letters)

    def move(self, moves: Moves) -> Restored:
        """Forget the profiles of partitions that went, and begin to restore those that came."""
        for restoration in self._restorations:
            restoration.discard(moves.gone)
        self._local.leave(moves.gone)
        self.profiles.drop(moves.gone)
        self._here = (self._here - set(moves.gone)) | set(moves.came)
        if moves.came:
            self._check_events(max(moves.came))
            starts = self._local.load(moves.came)
            self._restorations.append(
                Restoration(self.broker, self.topics, self.profiles, moves.came, starts, self.clock)
            )
        return self.restore()

    def restore(self) -> Restored:
        """Go on restoring for a moment; what is done by then."""
        restored: dict[int, int] = {}
        for restoration in list(self._restorations):
            if restoration.step():
                restored.update(restoration.epochs)
                self._local.restored(restoration.positions())
                self._restorations.remove(restoration)
                restoration.close()
        return Restored(restored)

    def close(self) -> None:
        """Write the profiles to this machine and give connections back; to be called when no job runs."""
        self.profiles.settle()
        with ExitStack() as stack:  # closes the rest where one fails
            for part in (self._items, self._model_log, self._deciding, self._snapshots):
                stack.callback(part.close)
            for restoration in self._restorations:
                stack.callback(restoration.close)
            stack.callback(self._local.close)

    def _check_events(self, partition: int) -> None:
        """Raise where the events topic is not the one that there was at the start.

        TopicMismatch where it has grown, OffsetOutOfRange where it was made anew.
        """
        check_events(self.broker, self.topics, self._events_topic)
        topic = self.topics.profiles.name
        there = self.broker.partitions(topic)
        if partition >= there:
            raise TopicMismatch(
                f"{self.topics.events.name} has got partition {partition}, and {topic} has {there} partitions: start "
                "the worker again, which gives the topics that go with the events as many"
            )

    def _follow(self) -> None:
        self._items.poll()
        self._read_model_log(lambda: self._model_log.poll(0.0))
        self.model_lag.note(self._model_log.lag(), self.model.version)

    def _catch_up_with_log(self) -> bool:
        self._model_log.catch_up()
        return False

    def _read_model_log(self, read: Callable[[], bool]) -> bool:
        """Do ``read``; where the log was trimmed before this worker had read it, begin again with a snapshot."""
        try:
            return read()
        except OffsetOutOfRange as gone:
            say_trimmed(gone)
        for part in (self._items, self._model_log, self._deciding):
            part.close()
        self._open_model()
        self.catch_up()
        return True

    def _run(self, batch: Batch, rows: Rows, refused: Mapping[int, str]) -> Outcome:
        records = batch.records
        sound = decode(
            records.select(rows) if refused or len(rows) < len(records) else records,
            self.settings.events,
            batch.epochs,
        )
        dead = [DeadLetter(int(rows[letter.row]), letter.reason, letter.detail) for letter in sound.dead]
        dead += [DeadLetter(row, Reason.PROCESSING_FAILED, detail) for row, detail in refused.items()]
        dead.sort(key=lambda letter: letter.row)
        decoded = Decoded(records, sound.events, dead, sound.drops)
        publish = self.settings.publish
        not_before = self.clock.now_ms() - publish.catch_up_ms if publish.after_catch_up else None
        if self._take_over.awaited(self.model):
            not_before = NEVER
        return self.pipeline.take_in(decoded, self.profiles, self.model, not_before)

    def _fold_own(self, sequence: int) -> None:
        """Fold up to what was committed just now."""
        self._own, sender = sequence, self._entries.sender
        if not self._read_model_log(
            lambda: self._model_log.wait_for(sender, sequence, self.clock, OWN_DELTA_S)
        ):
            log.warning("own delta not read back yet; the model log is held back", version=self.model.version)


def say_trimmed(gone: OffsetOutOfRange) -> None:
    """Say that the model log was trimmed before it was read."""
    log.warning("the model log was trimmed; going on from a snapshot of the model", reason=str(gone))
