"""Real logs, from their files through Kafka and a worker to lists: the sums add up, and nobody is left out."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from itertools import chain, islice
from pathlib import Path

import pytest

from consumers.worker import Worker
from producers.items import load_items
from producers.replay import replay
from stream.broker.embedded import EmbeddedKafka
from stream.broker.kafka import KafkaBroker
from stream.broker.topics import Topics, ensure_topics
from stream.clock import SystemClock
from stream.config import KafkaSettings, Settings
from stream.encoder import make_encoder
from stream.events.files import read_events, read_items
from stream.events.mapping import load_mapping
from stream.events.schema import EventRecord

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE = 60.0
IDLE_S = 2.0  # without an event for so long, the worker has read all


class Run:
    """A log, or its beginning, replayed at full speed, and worked off."""

    def __init__(
        self,
        kafka: EmbeddedKafka,
        settings: KafkaSettings,
        name: str,
        log: Path,
        items: Path,
        most: int | None = None,
    ) -> None:
        self._settings = Settings.model_validate(
            {"encoder": {"model": "hashing"}, "kafka": settings, "snapshots": {"directory": ""}}
        )
        self._broker = KafkaBroker(settings, kafka.bootstrap_servers)
        self._topics = Topics(settings)
        ensure_topics(self._broker, self._topics, settings)
        mapping = load_mapping(REPOSITORY / "examples" / f"{name}.toml")
        self.skipped: Counter[str] = Counter()
        self.users: set[str] = set()
        publisher = self._broker.publisher()
        load_items(publisher, self._topics.items.name, read_items(items, mapping))
        events = islice(chain.from_iterable(read_events(log, mapping, self.skipped)), most)
        self.sent = replay(publisher, self._topics.events.name, self._noted(events), clock=SystemClock())
        publisher.close()
        self.counts = self._work()

    def _noted(self, events: islice[EventRecord]) -> list[list[EventRecord]]:
        chunk = list(events)
        self.users = {event.user_id for event in chunk if event.user_id}
        return [chunk]

    def _work(self) -> Counter[str]:
        encoder = make_encoder(self._settings.encoder)
        worker = Worker(self._settings, self._broker, encoder, SystemClock())
        try:
            worker.run(threading.Event(), idle_s=IDLE_S)
            assert worker.lag() == 0
            return Counter(worker.model.counts)
        finally:
            worker.close()

    def check(self) -> None:
        """Every record is an event, a counted drop or a dead letter, and everybody has a list."""
        counts = self.counts
        dropped = sum(n for name, n in counts.items() if name.startswith("dropped."))
        dead = sum(n for name, n in counts.items() if name.startswith("dead."))
        stored = sum(end for _, end in self._broker.offsets(self._topics.events.name).values())
        assert stored == self.sent == counts["records"] == counts["events"] + dropped + dead
        lists, letters = (
            self._keys(t.name) for t in (self._topics.recommendations, self._topics.dead_letters)
        )
        assert lists.total() == counts["lists"]
        assert letters.total() == dead
        assert lists.keys() == self.users

    def _keys(self, topic: str) -> Counter[str]:
        reader = self._broker.reader(topic, "earliest")
        found: Counter[str] = Counter()
        for records in reader.read_to_end(PATIENCE):
            found.update((key or b"").decode() for key in records.keys)
        reader.close()
        return found


@pytest.fixture
def run(kafka: EmbeddedKafka, broker_settings: Callable[..., KafkaSettings]) -> Callable[..., Run]:
    return lambda *args, **kwargs: Run(kafka, broker_settings(partitions=4), *args, **kwargs)


def test_online_retail(shared_data: Path, run: Callable[..., Run]) -> None:
    log = shared_data / "online_retail" / "online_retail.csv.gz"
    retail = run("online_retail", log, log)
    retail.check()
    assert retail.sent == 541_909  # lines of the file, without its header
    assert retail.counts["events"] == 406_829
    assert retail.counts["dropped.no_identity"] == 135_080
    assert len(retail.users) == 4_372


def test_the_beginning_of_movietweetings(shared_data: Path, run: Callable[..., Run]) -> None:
    folder = shared_data / "movietweetings"
    movies = run("movietweetings", folder / "ratings.dat.gz", folder / "movies.dat", most=30_000)
    movies.check()
    assert movies.counts["events"] == movies.sent == 30_000


def test_the_beginning_of_entree(shared_data: Path, run: Callable[..., Run]) -> None:
    log = shared_data / "entree" / "entree_chicago.tar.xz"
    entree = run("entree", log, log, most=40_000)
    entree.check()
    assert entree.counts["events"] == entree.sent == 40_000
    assert entree.skipped["no_match"] == 6_092  # visits whose end is not known
