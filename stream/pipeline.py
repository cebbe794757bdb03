"""The one page: what happens to a batch of events, in order.

A function of (records, profiles, model) giving what is to be published and the delta. It knows no Kafka,
reads no clock and draws no unseeded random number; the service, the replay, the evaluation and the tests run
this same code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.broker.interface import Records
from stream.catalogue import Catalogue
from stream.config import Settings
from stream.contributing import contribute, count_outcome
from stream.describing import describe
from stream.encoder import TextEncoder
from stream.entries import Delta
from stream.events.batch import DeadLetter, Decoded, EventBatch
from stream.events.decode import decode
from stream.model import Model
from stream.placing import distances_of_taken, place_users
from stream.profiles.table import ProfileTable
from stream.profiles.update import Touched, drop_duplicates, find_users, learn_history, learn_vectors
from stream.recommending.answers import Answers
from stream.recommending.distinct import sketch_of
from stream.recommending.explorer import Explorer, answered
from stream.recommending.fragments import ItemFragments
from stream.recommending.lessons import choose_lessons
from stream.recommending.meeting import attribute, count_places, measure, numbered
from stream.recommending.publish import publish_lists
from stream.recommending.readers import expected_return, read_profiles
from stream.recommending.recommender import Recommender
from stream.recommending.rules import Rules
from stream.recommending.sequences import SequenceSource


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of some records; every one of them is in a list, dropped for a counted reason, or a dead letter."""

    events: EventBatch  # n, those taken in
    touched: Touched  # m users; their rows are to be written to the changelog
    lists: list[bytes]  # p records for the recommendations topic
    published: npt.NDArray[np.intp]  # (p,) whose, as places among the m users
    dead: list[DeadLetter]
    delta: Delta
    answers: Answers  # how the events met the lists last published
    new: npt.NDArray[np.bool_]  # (n,) whether the event's item was new to its user


class Pipeline:
    """Runs batches; holds what all of them use, and no state that a restart would miss."""

    def __init__(self, settings: Settings, encoder: TextEncoder, catalogue: Catalogue) -> None:
        self.settings = settings
        self.encoder = encoder
        self.catalogue = catalogue
        rules = Rules(settings.rules)
        self.recommender = Recommender(settings.recommending, catalogue, rules, SequenceSource.of(settings))
        self.explorer = Explorer(rules, catalogue, settings.clustering.seed)
        self.fragments = ItemFragments(catalogue)

    def encode_catalogue(self) -> int:
        """Encode the items whose text is new; how many these were."""
        rows = self.catalogue.pending()
        if len(rows):
            self.catalogue.set_vectors(rows, self.encoder.encode(self.catalogue.texts(rows)))
        return len(rows)

    def __call__(
        self, records: Records, epochs: Mapping[int, int], profiles: ProfileTable, model: Model
    ) -> Outcome:
        """Take in ``records``. Called between ``profiles.begin`` and its commit or rollback."""
        return self.take_in(decode(records, self.settings.events, epochs), profiles, model)

    def take_in(
        self, decoded: Decoded, profiles: ProfileTable, model: Model, not_before: int | None = None
    ) -> Outcome:
        """Take in records that are decoded already.

        Lists for what the log took in before ``not_before``, in ms, are made and held back.
        """
        recommender, table, index = self.recommender, profiles, model.index
        recommending = self.settings.recommending

        touched = find_users(decoded.events, table)
        events, touched, duplicates = drop_duplicates(decoded.events, touched, table)
        users, of_event = touched.rows, touched.slot

        recommender.refresh(model)
        rows_before = table.rows[users]
        before = place_users(rows_before, model)
        answers = recommender.score_published(events, users[of_event], table.rows, model)

        vector_row, vectors = describe(events, self.catalogue, self.encoder)
        watched = distances_of_taken(events, touched, before, vector_row, vectors, model)
        learn_vectors(events, touched, table, vector_row, vectors, self.settings.profiles)
        history = learn_history(events, touched, table, recommending.windows)

        rows = table.rows[users]
        after = place_users(rows, model)
        table.rows["cluster"][users] = after.cluster
        table.rows["updates"][users] = model.updates
        now = int(events.time.max(initial=0))
        times = expected_return(rows, model.items.habits)
        readers = read_profiles(rows, after.cluster, after.vectors, index, recommending, times)
        lists = recommender.recommend(readers, model, now)
        last = touched.last_event
        explored = self.explorer.explore(lists, readers, events.user[last], events.offset[last], model, now)
        encoder_id, provenance = self.encoder.encoder_id, self.settings.worker.provenance
        fragments, publish = self.fragments, self.settings.publish
        named = recommender.name_reasons(explored.lists, readers, model) if publish.reasons else None
        published, chosen = publish_lists(
            explored,
            named,
            events,
            touched,
            table,
            model,
            fragments,
            encoder_id,
            provenance,
            publish,
            not_before,
        )

        lessons = choose_lessons(events, touched, history, index)
        u = lessons.users
        then = read_profiles(
            rows_before[u], before.cluster[u], before.vectors[u], index, recommending, lessons.time
        )
        taught = recommender.sample(lessons, then, model, now)
        source = rows_before["list_source"][of_event]
        trials = answered(events, answers, source, explored.tried[chosen], model)
        names, told = numbered(model.sources), users[chosen]
        item, by = table.rows["list_item"][told], table.rows["list_source"][told]
        counts = count_outcome(decoded, duplicates, events, len(published)) | count_places(item, by, names)
        counts |= measure(events, rows_before, of_event, history.new, answers, names)
        counts |= attribute(events, rows_before, of_event, names)
        delta = contribute(
            decoded, events, touched, after, watched, history, taught, trials, sketch_of(item), counts, model
        )
        return Outcome(events, touched, published, chosen, decoded.dead, delta, answers, history.new)
