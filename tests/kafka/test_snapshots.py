"""Learners that are killed, with snapshots and a trimmed model log, on the real Kafka."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from consumers.snapshots import manifests
from producers.synthetic import SyntheticLog
from stream.entries import decode_entry
from stream.events.schema import EventRecord
from stream.wire import Assembler

ROUNDS = 3


def decision_numbers(shoal: Any) -> list[int]:
    """Of the decisions that the model log still holds."""
    log = shoal.topics.model_updates.name
    assembler, records = Assembler(settled=shoal.broker.offsets(log)[0][0]), shoal.read(log)
    wholes = [
        assembler.add(v or b"", o) for v, o in zip(records.values, records.offset.tolist(), strict=True)
    ]
    entries = [decode_entry(whole.data) for whole in wholes if whole is not None]
    return [entry.sequence for entry in entries if hasattr(entry, "sequence")]


def test_a_killed_learner_is_followed_by_one_that_goes_on_from_its_snapshot(
    service: Callable[..., Any], log: SyntheticLog, events: list[EventRecord], tmp_path: Path
) -> None:
    shoal = service(partitions=2, snapshots={"entries": 8, "every_ms": 1_000_000})
    shoal.load(log.items)
    model_log, share = shoal.topics.model_updates.name, len(events) // ROUNDS
    numbers: set[int] = set()
    for n in range(ROUNDS):
        before = [m.version for m in manifests(shoal.broker, shoal.topics)]
        doomed = shoal.process(f"w{n}")
        shoal.feed(events[n * share : (n + 1) * share])
        shoal.until(
            lambda old=before: [m.version for m in manifests(shoal.broker, shoal.topics)] != old, "a snapshot"
        )
        doomed.signal(signal.SIGKILL)
        assert doomed.wait() == -signal.SIGKILL
        numbers.update(decision_numbers(shoal))
    assert shoal.broker.offsets(model_log)[0][0] > 0  # trimmed
    newest = manifests(shoal.broker, shoal.topics)[0]
    last = shoal.worker("last")
    assert last.model.version >= newest.version
    shoal.feed(events[ROUNDS * share :])
    shoal.settle(last)

    found = decision_numbers(shoal)
    assert found == list(range(found[0], last.model.decisions))  # none twice, none left out
    assert numbers | set(found) == set(range(last.model.decisions))
    taken: Counter[tuple[int, int]] = Counter()
    for partition, made in shoal.lists():
        taken.update((partition, offset) for offset in made["source"]["offsets"])
    taken.update(shoal._dropped())
    assert taken == shoal._all_offsets()
    assert last.model.counts["records"] == shoal.fed()

    undisturbed = shoal.worker("undisturbed", kafka={"generation": 2})
    shoal.settle(undisturbed)
    shoal.check_profiles_equal(shoal.profiles(), shoal.profiles(generation=2))
    last.close()
    # Whoever comes next reads little of the changelog, and has what it says.
    assert len(list((tmp_path / "snapshots").iterdir())) >= 2
    again = shoal.worker("again")
    shoal.settle(again)
    while again._epochs.keys() != again._restored or not again._restored:
        again.step()
    assert shoal.table(again) == shoal.profiles()
