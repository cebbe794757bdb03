"""A text is encoded once for all workers, and whoever was to do it may go. In memory."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pytest

from consumers.shared_vectors import REFUSED_FOR_MS, SharedVectors
from consumers.worker import Worker
from producers.synthetic import SyntheticLog
from stream.broker.memory import MemoryBroker
from stream.broker.topics import Topics, ensure_topics
from stream.clock import ManualClock
from stream.config import KafkaSettings, Settings
from stream.encoder.cache import CachedEncoder
from stream.encoder.hashing import HashingEncoder
from stream.encoder.interface import Vectors, unit
from stream.encoder.shared_record import SharedRecord, encoder_key, parse_shared, write_shared
from stream.encoder.vector_store import MemoryStore
from stream.errors import FormatError, ProcessingFailed
from stream.events.dead_letters import parse_dead_letter
from stream.events.schema import EventRecord, ItemRecord
from stream.hashing import hash_texts
from tests.unit.consumers.cluster import Cluster, check_exactly_once, drain

D = 32
ALL = frozenset({0})


class Differing(HashingEncoder):
    """Its vectors differ a little from one encoder to another, as those of two machines do. Raises on poison."""

    def __init__(self, seed: int) -> None:
        super().__init__(D)
        self._rng = np.random.default_rng(seed)
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.asked += texts
        if any("poison" in text for text in texts):
            raise ZeroDivisionError("as a test wants it")
        return unit((super().encode(texts) + self._rng.normal(0, 1e-2, (len(texts), D))).astype(np.float32))


class Machine:
    """An encoder with a cache of its own."""

    def __init__(self, seed: int) -> None:
        self.inner = Differing(seed)
        self.encoder = CachedEncoder(self.inner, MemoryStore(1_000_000))

    @property
    def asked(self) -> list[str]:
        return self.inner.asked


@pytest.fixture
def machines() -> list[Machine]:
    return [Machine(seed) for seed in range(3)]


def more(n: int, name: str = "more") -> list[ItemRecord]:
    return [ItemRecord(item_id=f"{name}-{i}", title=f"{name} {i}") for i in range(n)]


def settle(*workers: Worker) -> None:
    """As ``drain``, and until all have read all items, and have their vectors."""
    drain(*workers)
    deadline = time.monotonic() + 10
    while any(w._processor._items._reader.lag() or w._processor._items._stood for w in workers):
        assert time.monotonic() < deadline
        drain(*workers)


def vectors(worker: Worker) -> dict[str, bytes]:
    """Of all items of its catalogue that have one."""
    catalogue = worker._processor.catalogue
    rows = np.flatnonzero(catalogue.has_vector).tolist()
    assert not len(catalogue.pending())
    return {item.item_id: catalogue.vectors[row].tobytes() for row in rows if (item := catalogue.item(row))}


def held(cluster: Cluster) -> dict[bytes, bytes | None]:
    """What compaction leaves of the topic."""
    records = cluster.read(cluster.topics.item_vectors.name)
    return {key or b"": value for key, value in zip(records.keys, records.values, strict=True)}


def test_a_catalogue_is_encoded_once_and_all_have_the_same_vectors(
    cluster: Cluster, log: SyntheticLog, events: list[EventRecord], machines: list[Machine]
) -> None:
    one = cluster.worker("one", machines[0].encoder)
    two = cluster.worker("two", machines[1].encoder)
    cluster.feed(events[:200])
    cluster.load(more(20))
    settle(one, two)
    cluster.feed(events[200:400])
    settle(one, two)
    assert one._processor._items.encoded == len(log.items) + 20
    assert two._processor._items.encoded == 0
    titles = {item.title for item in more(20)}
    assert titles <= set(machines[0].asked)
    assert not titles & set(machines[1].asked)  # what users search for is in no catalogue: each encodes that
    assert vectors(one) == vectors(two)
    assert len(vectors(one)) == len(held(cluster)) == len(log.items) + 20
    check_exactly_once(cluster, 400)


def test_who_follows_a_holder_encodes_what_comes_then(
    cluster: Cluster, log: SyntheticLog, machines: list[Machine]
) -> None:
    one = cluster.worker("one", machines[0].encoder)
    two = cluster.worker("two", machines[1].encoder)
    cluster.broker.expel(one._encoders.member)  # it is gone, as one that was killed is for its group
    cluster.load(more(20))
    settle(two)
    assert len(machines[1].asked) == 20
    assert len(vectors(two)) == len(held(cluster)) == len(log.items) + 20


def test_a_holder_that_stands_still_is_not_waited_for_for_ever(
    cluster: Cluster, log: SyntheticLog, machines: list[Machine]
) -> None:
    cluster.worker("one", machines[0].encoder)  # and never does anything from here on
    encoder = cluster.settings.encoder.model_copy(update={"patience_ms": 100})
    cluster.settings = cluster.settings.model_copy(update={"encoder": encoder})
    cluster.load(more(20))
    two = cluster.worker("two", machines[1].encoder)
    assert sorted(machines[1].asked) == sorted(item.title for item in more(20))
    assert len(vectors(two)) == len(held(cluster)) == len(log.items) + 20
    # And a third has not to wait again.
    three = cluster.worker("three", machines[2].encoder)
    assert not machines[2].asked
    assert vectors(three) == vectors(two)


def test_a_vector_of_an_old_text_is_not_used_and_a_removed_item_has_none(
    cluster: Cluster, machines: list[Machine]
) -> None:
    one = cluster.worker("one", machines[0].encoder)
    cluster.load([ItemRecord(item_id="a", title="before"), ItemRecord(item_id="b", title="goes")])
    settle(one)
    records = cluster.read(cluster.topics.item_vectors.name)
    cluster.load([ItemRecord(item_id="a", title="after")])
    cluster.broker.publisher().send(cluster.topics.items.name, [b"b"], [None])
    settle(one)
    # A worker that was slow writes the vector of the old text behind that of the new one.
    last = [i for i, key in enumerate(records.keys) if key and key.endswith(item_key("a"))]
    cluster.broker.publisher().send(
        records.topic, [records.keys[i] for i in last], [records.values[i] for i in last]
    )
    two = cluster.worker("two", machines[1].encoder)
    settle(one, two)
    assert vectors(one) == vectors(two)
    assert machines[1].asked == []
    assert machines[0].asked[-1] == "after"
    assert [value for key, value in held(cluster).items() if key.endswith(item_key("b"))] == [None]


def item_key(item_id: str) -> bytes:
    return int(hash_texts([item_id])[0]).to_bytes(8, "big")


def test_a_text_on_which_the_encoder_raises_is_tried_by_one_and_refused_by_all(
    cluster: Cluster, log: SyntheticLog, machines: list[Machine]
) -> None:
    cluster.load(bad := more(2, "poison"))
    one = cluster.worker("one", machines[0].encoder)
    two = cluster.worker("two", machines[1].encoder)
    settle(one, two)
    assert not machines[1].asked
    assert vectors(one) == vectors(two)
    assert len(vectors(one)) == len(log.items)
    letters = two._processor._items.dead_letters or one._processor._items.dead_letters
    written = cluster.read(cluster.topics.dead_letters.name).values
    assert len(written) == len(bad)
    for letter in [*written, *letters.values()]:
        assert parse_dead_letter(letter or b"").detail == "ZeroDivisionError: as a test wants it"
    # They count on each worker: it is for a human to say that they are the texts' fault.
    with pytest.raises(ProcessingFailed, match="max_poison"):
        cluster.worker("three", machines[2].encoder, max_poison=1)
    # A worker that could not start holds no role.
    cluster.load([ItemRecord(item_id=bad[0].item_id, title="mended")])
    settle(one, two)
    assert bad[0].item_id in vectors(two)


class Sharing:
    """One ``SharedVectors`` on a broker of its own."""

    def __init__(self, holding: frozenset[int] = ALL) -> None:
        self.clock = ManualClock(start_ms=10 * REFUSED_FOR_MS)
        self.broker = MemoryBroker(self.clock)
        settings = KafkaSettings()
        self.topics = Topics(settings)
        ensure_topics(self.broker, self.topics, settings)
        self.holding = holding

    def worker(self, machine: Machine) -> SharedVectors:
        shared = SharedVectors(self.broker, self.topics, machine.encoder, lambda: self.holding, self.clock)
        shared.catch_up()
        return shared

    def written(self) -> int:
        return self.broker.offsets(self.topics.item_vectors.name)[0][1]


def test_what_is_in_the_cache_and_not_in_the_topic_is_written_by_who_holds_it(
    machines: list[Machine],
) -> None:
    sharing, items, texts = Sharing(frozenset()), hash_texts(["a", "b"]), ["shoe", "hat"]
    machines[0].encoder.encode(texts)
    one = sharing.worker(machines[0])
    there, vectors, refusals = one.recall(items, texts)
    assert there.all()
    assert not refusals
    one.poll(0.0)
    assert sharing.written() == 0
    sharing.holding = ALL
    one.poll(0.0)
    one.poll(0.0)
    assert sharing.written() == 2
    two = sharing.worker(machines[1])
    np.testing.assert_array_equal(two.recall(items, texts)[1], vectors)
    two.poll(0.0)
    two.tell(items, texts)
    assert sharing.written() == 2  # the topic has them


def test_a_refusal_holds_for_a_day(machines: list[Machine]) -> None:
    sharing, items = Sharing(), hash_texts(["a"])
    sharing.worker(machines[0]).refuse(items[0], "poison", "it raised")
    assert sharing.worker(machines[1]).recall(items, ["poison"])[2] == ["it raised"]
    assert sharing.worker(machines[1]).recall(items, ["another"])[2] == [""]
    sharing.clock.sleep(REFUSED_FOR_MS / 1000 + 1)
    assert sharing.worker(machines[1]).recall(items, ["poison"])[2] == [""]


def test_what_is_damaged_or_of_another_encoder_is_left_aside(machines: list[Machine]) -> None:
    sharing, items = Sharing(), hash_texts(["a", "b", "c"])
    encoder = machines[0].encoder
    [text, _, _] = encoder.hashes(["shoe"]) * 3
    whole = write_shared(SharedRecord(text, bytes(2 * D)))
    other = CachedEncoder(HashingEncoder(D // 2), MemoryStore(1_000_000))
    prefix = encoder_key(encoder.encoder_id)
    keys = [prefix + b"a" * 8, prefix + b"b" * 8, prefix + b"c" * 8, encoder_key(other.encoder_id) + b"d" * 8]
    sharing.broker.publisher().send(
        sharing.topics.item_vectors.name, keys, [whole[:-2], b"\x09" + whole[1:], b"", whole]
    )
    assert not sharing.worker(machines[0]).recall(items, ["shoe"] * 3)[0].any()
    sharing.broker.publisher().send(sharing.topics.item_vectors.name, keys[:1], [whole])
    assert sharing.worker(machines[0]).recall(items, ["shoe"] * 3)[0].all()


NO_RECORDS = (b"", b"\x01", b"\x01\x00" + bytes(16), b"\x02\x00" + bytes(20), b"\x01\x07" + bytes(20))


@pytest.mark.parametrize("value", NO_RECORDS)
def test_only_whole_records_of_a_known_format_are_read(value: bytes) -> None:
    with pytest.raises(FormatError):
        parse_shared(value)


def test_an_encoder_without_a_cache_shares_nothing(small_settings: Settings, cluster: Cluster) -> None:
    drain(cluster.worker())
    assert not held(cluster)
