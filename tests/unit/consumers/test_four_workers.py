"""Four workers that share a log have one set of clusters, as good as one worker's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from consumers.worker import Worker
from producers.synthetic import SyntheticLog, SyntheticSettings
from stream.broker.memory import MemoryBroker
from stream.broker.topics import Topics, ensure_topics
from stream.clock import SystemClock
from stream.clustering.quality import batch_centres, quantisation_error
from stream.config import Settings
from stream.encoder.hashing import HashingEncoder
from stream.events.schema import EventRecord
from stream.placing import place_users

PARTITIONS = 8
DIMENSIONS = 64
AT_ONCE = 1_000  # events that come before each round of the workers


@pytest.fixture(scope="module")
def settings(small_settings: Settings) -> Settings:
    kafka = small_settings.kafka.model_copy(update={"partitions": PARTITIONS})
    clustering = small_settings.clustering.model_copy(update={"k": 8})
    worker = small_settings.worker.model_copy(update={"learn_every": 2_000, "micro_batch": 512})
    return small_settings.model_copy(update={"kafka": kafka, "clustering": clustering, "worker": worker})


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for events that are not coming."""
    monkeypatch.setattr("consumers.worker.IDLE_S", 0.002)
    monkeypatch.setattr("consumers.deciding.REST", 0.0)


def run(settings: Settings, workers: int, log: SyntheticLog) -> list[Worker]:
    """The log as it comes, worked off by so many workers in turns."""
    events: list[EventRecord] = list(log.events())
    broker, topics = MemoryBroker(), Topics(settings.kafka)
    ensure_topics(broker, topics, settings.kafka)
    publisher = broker.publisher()
    publisher.send(topics.items.name, [i.key() for i in log.items], [i.to_json() for i in log.items])
    made = []
    for n in range(workers):
        instance = settings.worker.model_copy(update={"instance": f"worker-{n}"})
        own = settings.model_copy(update={"worker": instance})
        made.append(Worker(own, broker, HashingEncoder(DIMENSIONS), SystemClock()))
    drain(made)
    for start in range(0, len(events), AT_ONCE):
        part = events[start : start + AT_ONCE]
        publisher.send(topics.events.name, [e.key() for e in part], [e.to_json() for e in part])
        drain(made)
    for worker in made:
        worker._processor.catch_up()
    return made


def drain(workers: Sequence[Worker]) -> None:
    idle = 0
    while idle < 2 * len(workers):
        for worker in workers:
            idle = 0 if worker.step() else idle + 1


def error(workers: Sequence[Worker]) -> float:
    """Quantisation error of all users, wherever their profiles are, in units of batch k-means on the same.

    Each model has a space of its own, so that errors alone cannot be compared.
    """
    vectors = []
    for worker in workers:
        placed = place_users(worker.profiles.rows[: len(worker.profiles)], worker.model)
        vectors.append(placed.vectors[placed.known])
    every, centres = np.concatenate(vectors), workers[0].model.clusters.centres
    return quantisation_error(every, centres) / quantisation_error(every, batch_centres(every, len(centres)))


def test_four_workers_have_the_same_clusters_as_good_as_one_workers(settings: Settings) -> None:
    ratios = []
    for seed in range(4, 8):
        log = SyntheticLog(SyntheticSettings(users=600, items=120, events=12_000, seed=seed))
        four, one = run(settings, 4, log), run(settings, 1, log)
        assert all(len(worker.profiles) > 50 for worker in four)  # all took part
        check_the_same(four)
        ratios.append(error(four) / error(one))
        for worker in [*four, *one]:
            worker.close()
    # Which of several good places k-means finds on one log is chance, for four as for one.
    assert np.mean(ratios) <= 1.02


def check_the_same(workers: Sequence[Worker]) -> None:
    first = workers[0].model
    assert len(first.clusters.ids) == 8
    for model in (worker.model for worker in workers[1:]):
        assert model.version == first.version
        np.testing.assert_array_equal(model.clusters.ids, first.clusters.ids)
        np.testing.assert_allclose(model.clusters.centres, first.clusters.centres, atol=1e-4)
        assert model.clusters.labels == first.clusters.labels
        assert model.clusters.born == first.clusters.born
