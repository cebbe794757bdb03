"""What the in-memory broker has beyond the contract: determinism, its clock, its tools for tests, threads."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.broker.interface import Records, TopicSpec
from stream.broker.memory import MemoryBroker
from stream.broker.memory_group import balance
from stream.broker.memory_log import PartitionLog
from stream.clock import ManualClock
from stream.errors import TransactionAborted


def broker_with(partitions: int = 1, clock: ManualClock | None = None) -> MemoryBroker:
    broker = MemoryBroker(clock)
    broker.create_topics([TopicSpec("t", partitions)])
    return broker


def test_records_carry_the_clocks_time() -> None:
    clock = ManualClock(start_ms=5_000)
    broker = broker_with(clock=clock)
    broker.publisher().send("t", [b"k"], [b"1"])
    clock.sleep(1.5)
    broker.publisher().send("t", [b"k"], [b"2"])
    assert broker.reader("t", "earliest").read(10, 0).timestamp.tolist() == [5_000, 6_500]


def test_a_commit_can_be_refused() -> None:
    broker = broker_with()
    producer = broker.transactional_producer("p")
    broker.refuse_commits = 1
    for value in (b"refused", b"taken"):
        producer.begin()
        producer.send("t", 0, [None], [value])
        if value == b"refused":
            with pytest.raises(TransactionAborted):
                producer.commit()
        else:
            producer.commit()
    assert broker.reader("t", "earliest").read(10, 0).values == [b"taken"]


def test_a_new_member_waits_for_offsets_of_an_open_transaction() -> None:
    broker = broker_with()
    broker.publisher().send("t", [None] * 3, [b"0", b"1", b"2"])
    first = broker.subscribe("t", "g")
    assert len(first.poll(10, 0)) == 3
    producer = broker.transactional_producer("p")
    producer.begin()
    producer.send_offsets(first, {0: 2})
    first.close()
    second = broker.subscribe("t", "g")
    assert len(second.poll(10, 0)) == 0
    assert second.assignment() == frozenset()
    producer.commit()
    assert second.poll(10, 0).values == [b"2"]


def test_a_poll_is_woken_by_another_thread() -> None:
    broker = broker_with()
    consumer = broker.subscribe("t", "g")
    got: list[Records] = []
    waiting = threading.Thread(target=lambda: got.append(consumer.poll(10, 20.0)))
    waiting.start()
    producer = broker.transactional_producer("p")
    producer.begin()
    producer.send("t", 0, [None], [b"x"])
    producer.commit()
    waiting.join(10.0)
    assert [r.values for r in got] == [[b"x"]]


def test_many_threads_lose_and_double_nothing() -> None:
    broker = broker_with(partitions=3)

    def write(name: str) -> None:
        producer = broker.transactional_producer(name)
        for i in range(50):
            producer.begin()
            producer.send("t", i % 3, [None], [f"{name}-{i}".encode()])
            (producer.commit if i % 2 else producer.abort)()

    threads = [threading.Thread(target=write, args=(f"p{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    got: list[bytes | None] = []
    consumer = broker.subscribe("t", "g")
    while len(got) < 100:
        records = consumer.poll(7, 5.0)
        assert len(records), "nothing came for five seconds"
        got += records.values
    for thread in threads:
        thread.join()
    assert sorted(got) == sorted(f"p{n}-{i}".encode() for n in range(4) for i in range(1, 50, 2))  # type: ignore[type-var]
    assert len(consumer.poll(10, 0)) == 0


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["write", "commit", "abort"])), max_size=40)
)
def test_a_log_shows_exactly_what_was_committed_before_the_first_open_record(
    steps: list[tuple[str, str]],
) -> None:
    log = PartitionLog()
    model: list[tuple[str | None, str]] = []  # (transaction, state) of each offset; None: the end of one
    for i, (transaction, step) in enumerate(steps):
        if step == "write":
            log.append(None, str(i).encode(), i, transaction)
            model.append((transaction, "open"))
        else:
            if (transaction, "open") in model:
                state = "committed" if step == "commit" else "aborted"
                model = [(t, state if (t, s) == (transaction, "open") else s) for t, s in model]
                model.append((None, "end"))
            log.finish(transaction, step == "commit", i)
    states = [s for _, s in model]
    stable = states.index("open") if "open" in states else len(states)
    assert (log.end, log.stable_end) == (len(states), stable)
    for limit in (1, 3, 100):
        found, position = [], 0
        while position < stable:
            offsets, position = log.fetch(position, limit)
            assert len(offsets) <= limit
            found += offsets
        assert found == [i for i, s in enumerate(states[:stable]) if s == "committed"]


@given(
    st.dictionaries(st.integers(0, 11), st.sampled_from("abcde")),
    st.lists(st.sampled_from("abcde"), unique=True, min_size=1),
    st.integers(1, 12),
)
def test_balance_is_fair_and_moves_no_more_than_it_must(
    owners: dict[int, str], members: list[str], partitions: int
) -> None:
    target = balance(owners, members, partitions)
    assert sorted(target) == list(range(partitions))
    loads = [list(target.values()).count(m) for m in members]
    assert max(loads) - min(loads) <= 1
    kept = sum(owners.get(p) == m for p, m in target.items())
    held = sorted((sum(owners.get(p) == m for p in range(partitions)) for m in members), reverse=True)
    assert kept == sum(min(h, load) for h, load in zip(held, sorted(loads, reverse=True), strict=True))
