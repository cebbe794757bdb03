"""The worker on the real Kafka: what goes in comes out, once, and in agreement with the evaluation."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from producers.synthetic import SyntheticLog
from stream.background import AtOnce
from stream.encoder import make_encoder
from stream.encoder.hashing import HashingEncoder
from stream.errors import Fenced
from stream.evaluation.prequential import Evaluation
from stream.events.schema import EventRecord
from stream.model import Model
from stream.pipeline import Outcome

# What no decoder takes, and the reasons that are given.
POISON = {
    b"{": "bad_json",
    bytes(range(256)): "bad_json",
    b'{"user_id": "u", "action": "view", "timestamp": 1736150400000}': "no_item_or_text",
    b'{"user_id": "u", "item_id": "i", "timestamp": 1736150400000}': "no_action",
    b'{"user_id": "u", "action": "view", "item_id": "i", "timestamp": 99999999999999}': "future",
}
NOBODY = b'{"action": "view", "item_id": "i", "timestamp": 1736150400000}'


def test_what_goes_in_comes_out(
    service: Callable[..., Any], log: SyntheticLog, events: list[EventRecord]
) -> None:
    shoal = service(partitions=3)
    shoal.load(log.items)
    shoal.feed([*events[:700], *events[690:700], NOBODY, None, *POISON, *events[700:1_000]])
    worker = shoal.worker()
    shoal.settle(worker)
    shoal.check_exactly_once()
    lists = shoal.lists()
    assert {made["user_id"] for _, made in lists} == {event.user_id for event in events[:1_000]}
    assert shoal.table(worker) == shoal.profiles()
    assert worker.lag() == 0
    counts = worker.model.counts
    assert counts == shoal.counts()
    assert (counts["dropped.duplicate"], counts["dropped.no_identity"], counts["dropped.tombstone"]) == (
        10,
        1,
        1,
    )
    last = {made["user_id"]: made for _, made in lists}
    rows = shoal.rows(list(shoal.profiles().values()))
    assert sorted(rows["user_seq"].tolist()) == sorted(made["user_seq"] for made in last.values())


def test_poison_passes_to_dead_letters_and_the_partition_goes_on(
    service: Callable[..., Any], log: SyntheticLog, events: list[EventRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = HashingEncoder.encode

    def choking(encoder: HashingEncoder, texts: Sequence[str]) -> Any:
        if "poison" in texts:
            raise ZeroDivisionError("as a test wants it")
        return encode(encoder, texts)

    monkeypatch.setattr(HashingEncoder, "encode", choking)
    shoal = service(partitions=1)
    shoal.load(log.items)
    shoal.publish_item(b"broken", b"{")
    shoal.publish_item(b"bad", b'{"title": "poison"}')
    shoal.feed([*events[:50], *POISON, *events[50:100]])
    shoal.settle(shoal.worker())
    shoal.check_exactly_once()
    letters = shoal.dead_letters()
    assert len(letters) == len(POISON) + 2
    for offset, (value, reason) in enumerate(POISON.items(), start=50):
        letter = letters[f"{shoal.topics.events.name}/0/{offset}".encode()]
        assert (letter.topic, letter.partition, letter.offset) == (shoal.topics.events.name, 0, offset)
        assert (letter.value, letter.reason) == (value, reason)
        assert letter.detail
        assert letter.timestamp > 0
    item = letters[f"{shoal.topics.items.name}/0/{len(log.items)}".encode()]
    assert (item.key, item.value, item.reason) == (b"broken", b"{", "bad_json")
    bad = letters[f"{shoal.topics.items.name}/0/{len(log.items) + 1}".encode()]
    assert (bad.key, bad.value, bad.reason) == (b"bad", b'{"title": "poison"}', "processing_failed")
    assert bad.detail == "ZeroDivisionError: as a test wants it"


def test_the_learner_writes_an_item_that_cannot_be_read_also_while_nothing_else_happens(
    service: Callable[..., Any], log: SyntheticLog
) -> None:
    shoal = service()
    one, two = shoal.thread("one"), shoal.thread("two")
    shoal.publish_item(b"broken", b"{")
    shoal.publish_item(b"later", b"[]")
    shoal.until(lambda: len(shoal.dead_letters()) == 2, "both dead letters")
    one.stop()
    two.stop()
    # Whoever takes the role over has seen them as well; by their keys they stay two.
    three = shoal.worker("three")
    shoal.until(lambda: three.step() or three._learner.is_here(), "the role")
    three.step()
    assert {letter.key for letter in shoal.dead_letters().values()} == {b"broken", b"later"}


def same(made: Sequence[bytes]) -> list[Any]:
    """Lists without what depends on where the logs lie.

    ``ingest_time`` is when the log took the event in, which files do not know. ``model_version`` is an offset in
    the model log, where a transaction's end and each further part of an entry take one too; in memory an entry
    takes one.
    """
    lists = [json.loads(one) for one in made]
    return [{k: v for k, v in one.items() if k not in ("ingest_time", "model_version")} for one in lists]


class Here(AtOnce[Any]):
    """What a service does in the background, done at once, as an evaluation does."""

    def __init__(self, *_: object) -> None:
        super().__init__()

    def close(self) -> None:
        """Nothing is under way."""


def test_worker_and_evaluation_agree(
    service: Callable[..., Any], log: SyntheticLog, events: list[EventRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.deciding.InThread", Here)
    monkeypatch.setattr("consumers.deciding.REST", 0.0)
    # Batches are full, as all is there already and the linger time long; the last one closes after it.
    shoal = service(partitions=1, worker={"micro_batch": 250, "linger_ms": 1_500})
    shoal.load(log.items)
    shoal.feed(events)
    outcomes: list[Outcome] = []
    worker = shoal.worker(on_commit=outcomes.append)
    shoal.settle(worker)
    offline: list[Outcome] = []
    evaluation = Evaluation(
        shoal.settings, make_encoder(shoal.settings.encoder), log.items, on_outcome=offline.append
    )
    evaluation.run(events, batching="count")

    assert [len(o.events) for o in outcomes] == [len(o.events) for o in offline] == [250] * 12
    for live, filed in zip(outcomes, offline, strict=True):
        assert same(live.lists) == same(filed.lists)
        # All the other bytes are equal as well.
        for one, other in zip(live.lists, filed.lists, strict=True):
            assert without_numbers(one) == without_numbers(other)
    assert worker.model.counts == evaluation.model.counts
    assert worker.model.decisions == evaluation.model.decisions > 3
    assert worker.model.clusters.labels == evaluation.model.clusters.labels != {}
    rows = [table.rows[: len(table)].copy() for table in (worker.profiles, evaluation.profiles)]
    for one in rows:
        one["list_time"] = 0  # the log's, which files do not know
    assert rows[0].tobytes() == rows[1].tobytes()


def without_numbers(made: bytes) -> bytes:
    """The bytes of a list with the two numbers that may differ written as 0."""
    one = json.loads(made)
    for name in ("ingest_time", "model_version"):
        old = b'"%b":%d' % (name.encode(), one[name])
        assert made.count(old) == 1
        made = made.replace(old, b'"%b":0' % name.encode())
    return made


def test_sigterm_ends_a_worker_with_nothing_lost(
    service: Callable[..., Any], log: SyntheticLog, events: list[EventRecord]
) -> None:
    shoal = service()
    shoal.load(log.items)
    shoal.feed(events[:1_500])
    first = shoal.process()
    shoal.until(lambda: first.said().count("committed") > 3, "some commits")
    first.signal(signal.SIGTERM)
    assert first.wait() == 0, first.said()
    taken = shoal.counts()["records"]
    assert 0 < taken < 1_500
    # It has left its groups: the next one need not wait until its sessions are over.
    second = shoal.process("w", kafka={"librdkafka": {"session.timeout.ms": "30000"}})
    shoal.wait(patience=10)
    second.signal(signal.SIGTERM)
    assert second.wait() == 0, second.said()
    shoal.check_exactly_once()


def test_a_worker_of_the_same_name_fences_the_one_before(
    service: Callable[..., Any], log: SyntheticLog, events: list[EventRecord]
) -> None:
    shoal = service()
    shoal.load(log.items)
    shoal.feed(events[:300])
    first = shoal.worker("same")
    shoal.settle(first)
    shoal.feed(events[300:600])
    second = shoal.thread("same")
    with pytest.raises(Fenced, match=r"same kafka\.prefix and worker\.instance"):
        first.run(threading.Event(), idle_s=30.0)
    first.close()
    shoal.wait()
    second.stop()
    shoal.check_exactly_once()
    assert second.commits > 0


def test_output_of_a_fenced_worker_is_never_seen(
    service: Callable[..., Any], log: SyntheticLog, events: list[EventRecord]
) -> None:
    shoal = service(partitions=1)
    shoal.load(log.items)
    shoal.feed(events[:300])
    first = shoal.worker("same", worker={"micro_batch": 500})
    commit = first._producer.commit

    def fenced_just_before() -> None:
        shoal.thread("same")
        commit()

    first._producer.commit = fenced_just_before  # type: ignore[method-assign]
    with pytest.raises(Fenced):
        shoal.settle(first)
    assert not first.profiles._open
    assert len(first.profiles) == 0
    first.close()
    shoal.wait()
    shoal.check_exactly_once()


def model_state(model: Model) -> tuple[Any, ...]:
    clusters = model.clusters
    arrays = clusters.ids.tolist(), clusters.centres.tobytes(), model.ranker.linear.tobytes()
    return model.version, model.decisions, dict(model.counts), dict(clusters.labels), *arrays


def test_models_of_two_workers_are_equal(
    service: Callable[..., Any], log: SyntheticLog, events: list[EventRecord]
) -> None:
    shoal = service(partitions=4)
    shoal.load(log.items)
    one, two = shoal.thread("one"), shoal.thread("two")
    shoal.until(lambda: one.partitions() and two.partitions(), "both to have partitions")
    for start in range(0, 2_000, 500):
        shoal.feed(events[start : start + 500])
        shoal.wait()
    first, second = one.worker.model, two.worker.model
    # Both go on while they are looked at: a decision may just be on its way from one to the other.
    shoal.until(
        lambda: first.clusters.labels and model_state(first) == model_state(second), "the models to be equal"
    )
    assert first.counts == shoal.counts()
    one.stop()
    assert one.commits > 0
    assert two.commits > 0

    # The other takes over, with the profiles.
    shoal.until(lambda: two.partitions() == {0, 1, 2, 3}, "all partitions")
    shoal.feed(events[2_000:])
    shoal.wait()
    two.stop()
    shoal.check_exactly_once()
    assert two.table == shoal.profiles()


def test_a_record_as_large_as_kafka_takes_is_a_dead_letter(service: Callable[..., Any]) -> None:
    shoal = service(partitions=1)
    poison = b"{" + b"z" * 1_000_000
    shoal.feed([poison])
    shoal.settle(shoal.worker())
    assert [letter.value for letter in shoal.dead_letters().values()] == [poison]
