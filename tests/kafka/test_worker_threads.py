"""The two threads of a worker on the real Kafka: it polls whatever processing does."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from producers.synthetic import SyntheticLog
from stream.encoder.hashing import HashingEncoder
from stream.events.schema import EventRecord
from stream.pipeline import Pipeline

# Seconds that the encoder stands still, and of max.poll.interval.ms; as the issue has it: SHOAL_TESTS_STALL=60,10
STALL_S, POLL_S = (float(s) for s in os.environ.get("SHOAL_TESTS_STALL", "5,3").split(","))


def test_an_encoder_that_stands_still_costs_no_partition(
    service: Callable[..., Any], log: SyntheticLog, events: list[EventRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = {"heartbeat.interval.ms": "200", "session.timeout.ms": "2000"}
    limit = {"max.poll.interval.ms": str(int(POLL_S * 1000))}
    shoal = service(worker={"micro_batch": 50}, kafka={"librdkafka": client | limit})
    shoal.load(log.items)
    worker = shoal.thread("one")
    shoal.feed(events[:200])
    shoal.wait()
    encode, stalls = HashingEncoder.encode, []

    def stall(encoder: HashingEncoder, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        if "stand still" in texts:
            stalls.append(time.monotonic())
            time.sleep(STALL_S)
        return encode(encoder, texts)

    monkeypatch.setattr(HashingEncoder, "encode", stall)
    last = events[200]
    shoal.feed([EventRecord(user_id="u", action="search", text="stand still", timestamp=last.timestamp)])
    shoal.feed(events[200:800])
    shoal.until(lambda: stalls, "the stall")
    time.sleep(STALL_S / 2)
    assert len(worker.worker._collector) <= 2 * 50 + 50  # it is bounded, and there was more to read
    assert worker.worker._held == {0, 1}
    shoal.wait(patience=STALL_S + 30)
    assert worker.worker._epoch == 1, "partitions were assigned anew"
    assert time.monotonic() - stalls[0] >= STALL_S
    worker.stop()
    shoal.check_exactly_once()


def test_an_event_after_a_silence_is_answered_at_once(
    service: Callable[..., Any], log: SyntheticLog, events: list[EventRecord]
) -> None:
    # Whoever waited for the batch to close would take this long.
    linger_s = 3.0
    shoal = service(partitions=1, worker={"linger_ms": int(linger_s * 1000)})
    shoal.load(log.items)
    shoal.feed(events[:50])
    worker = shoal.thread("one")
    shoal.wait()
    reader = shoal.broker.reader(shoal.topics.recommendations.name, "latest")
    for event in events[50:52]:
        time.sleep(linger_s)
        sent = time.monotonic()
        shoal.feed([event])
        assert len(reader.read(10, linger_s))
        assert time.monotonic() - sent < linger_s / 2
    reader.close()
    worker.stop()


def test_records_that_make_processing_fail_are_dead_letters(
    service: Callable[..., Any], log: SyntheticLog, events: list[EventRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    take_in = Pipeline.take_in

    def failing(pipeline: Pipeline, decoded: Any, *args: Any) -> Any:
        outcome = take_in(pipeline, decoded, *args)  # profiles have changed by now
        if "poison" in decoded.events.user_id:
            raise IndexError("as a test wants it")
        return outcome

    monkeypatch.setattr(Pipeline, "take_in", failing)
    bad = EventRecord(user_id="poison", action="view", item_id="i", timestamp=events[0].timestamp).to_json()
    shoal = service(partitions=2)
    shoal.load(log.items)
    shoal.feed([*events[:150], bad, *events[150:300], bad])
    worker = shoal.worker()
    shoal.settle(worker)
    letters = list(shoal.dead_letters().values())
    assert [letter.value for letter in letters] == [bad, bad]
    assert {(one.reason, one.detail) for one in letters} == {
        ("processing_failed", "IndexError: as a test wants it")
    }
    assert shoal.table(worker) == shoal.profiles()
    assert worker.model.counts == shoal.counts()
    assert not any(made["user_id"] == "poison" for _, made in shoal.lists())
