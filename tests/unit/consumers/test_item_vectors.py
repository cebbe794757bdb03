"""Items on whose text the encoder raises: found, refused, and without a vector on every worker. In memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from consumers.worker import Worker
from producers.synthetic import SyntheticLog
from stream.encoder.hashing import HashingEncoder
from stream.errors import EncoderError, ProcessingFailed
from stream.events.dead_letters import DeadLetterRecord, parse_dead_letter
from stream.events.schema import EventRecord, ItemRecord
from tests.unit.consumers.cluster import Cluster, check_exactly_once, drain

BAD = [ItemRecord(item_id=f"bad-{n}", title=f"poison {n}") for n in range(3)]


class Choking:
    """Takes the place of ``HashingEncoder.encode``: raises on texts with poison in them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> None:
        self.encode, self.calls = HashingEncoder.encode, 0
        self.error = error or ZeroDivisionError("as a test wants it")
        self.failures = -1  # how many times it raises; below 0: always
        monkeypatch.setattr(HashingEncoder, "encode", lambda encoder, texts: self(encoder, texts))

    def __call__(self, encoder: HashingEncoder, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        self.calls += 1
        if self.failures and any("poison" in text for text in texts):
            self.failures -= 1
            raise self.error
        return self.encode(encoder, texts)


def letters(cluster: Cluster) -> list[DeadLetterRecord]:
    return [parse_dead_letter(v or b"") for v in cluster.read(cluster.topics.dead_letters.name).values]


def without_vector(worker: Worker) -> set[str]:
    catalogue = worker._processor.catalogue
    rows = np.flatnonzero(catalogue.known & ~catalogue.has_vector)
    return {item.item_id for row in rows.tolist() if (item := catalogue.item(row)) is not None}


def test_they_are_dead_letters_and_all_workers_go_on_without_their_vectors(
    cluster: Cluster, log: SyntheticLog, events: list[EventRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    choking = Choking(monkeypatch)
    cluster.load(BAD[:2])  # with 60 others before them: they are found when a worker starts
    one, two = cluster.worker("one"), cluster.worker("two")
    cluster.feed([*events[:200]])
    drain(one, two)
    more = [ItemRecord(item_id=f"good-{n}", title=f"fine {n}") for n in range(20)]
    cluster.load([*more[:10], BAD[2], *more[10:]])  # and this one while both run
    choking.calls = 0
    drain(one, two)
    # Each worker: all, halves of them down to one text, that once more, and the halves without it.
    assert 2 < choking.calls <= 2 * (2 + 2 * 5)
    liked = [
        EventRecord(user_id="u", action="purchase", item_id=BAD[0].item_id, timestamp=events[200].timestamp)
    ]
    cluster.feed([*events[200:400], *liked])
    drain(one, two)
    check_exactly_once(cluster, 401)
    assert without_vector(one) == without_vector(two) == {item.item_id for item in BAD}
    assert (
        one._processor.catalogue.has_vector.sum()
        == two._processor.catalogue.has_vector.sum()
        == len(log.items) + 20
    )
    found = letters(cluster)
    assert sorted(letter.value or b"" for letter in found) == [item.to_json() for item in BAD]
    assert {(letter.topic, letter.reason, letter.detail) for letter in found} == {
        (cluster.topics.items.name, "processing_failed", "ZeroDivisionError: as a test wants it")
    }
    assert {letter.offset for letter in found} == {len(log.items), len(log.items) + 1, len(log.items) + 12}


def test_an_item_whose_text_is_mended_gets_its_vector(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    Choking(monkeypatch)
    cluster.load(BAD[:1])
    worker = cluster.worker()
    cluster.load([ItemRecord(item_id=BAD[0].item_id, title=BAD[0].title, price=2.0)])
    drain(worker)
    assert without_vector(worker) == {BAD[0].item_id}  # the same text is not tried again
    cluster.load([ItemRecord(item_id=BAD[0].item_id, title="mended")])
    drain(worker)
    assert without_vector(worker) == set()


def test_a_failure_that_does_not_repeat_refuses_nothing(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    choking = Choking(monkeypatch)
    cluster.load(BAD[:1])
    choking.failures = 1
    worker = cluster.worker()
    drain(worker)
    assert without_vector(worker) == set()
    choking.failures = 1
    cluster.load(BAD[1:2])  # alone
    drain(worker)
    assert without_vector(worker) == set()
    assert not letters(cluster)


def test_too_many_of_them_stop_the_worker(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    Choking(monkeypatch)
    cluster.load(BAD)
    with pytest.raises(ProcessingFailed, match=r"3 records within 600 s.*shoal\.items.*max_poison"):
        cluster.worker(max_poison=2)
    # A human has looked, and lets them pass.
    worker = cluster.worker(max_poison=3)
    drain(worker)
    assert len(letters(cluster)) == 3


def test_what_no_item_is_to_blame_for_stops_the_worker(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    choking = Choking(monkeypatch, EncoderError("cannot be loaded"))
    worker = cluster.worker()
    choking.calls = 0
    cluster.load(BAD[:1])
    with pytest.raises(EncoderError, match="cannot be loaded"):
        drain(worker)
    assert choking.calls == 1


def test_the_letter_quotes_the_entry_that_is_in_force(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    Choking(monkeypatch)
    newer, older = (
        ItemRecord(item_id="a", title=f"poison {name}", updated_at=at)
        for name, at in (("newer", 2_000_000_000_000), ("older", 1_000_000_000_000))
    )
    monkeypatch.setattr("stream.broker.memory_reader.CHUNK", len(cluster.read(cluster.topics.items.name)) + 1)
    cluster.load([newer, older])  # so that they are read apart
    worker = cluster.worker()
    drain(worker)
    [letter] = letters(cluster)
    assert letter.value == newer.to_json()
