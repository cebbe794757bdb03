"""Learners that are killed, with snapshots and a trimmed model log, on the real Kafka."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from consumers.following import EntryReader
from consumers.snapshots import manifests
from producers.synthetic import SyntheticLog
from stream.entries import Delta
from stream.events.schema import EventRecord

ROUNDS = 3


class Watcher:
    """Reads the model log as it grows, before it is trimmed, and keeps the numbers of decisions in it."""

    def __init__(self, shoal: Any) -> None:
        self._shoal = shoal
        self._entries = EntryReader(shoal.broker, shoal.topics)
        self.numbers: list[int] = []

    def read(self) -> None:
        _, logged = self._entries.read(0.0)
        self.numbers += [one.entry.sequence for one in logged if not isinstance(one.entry, Delta)]

    def snapshots(self) -> list[int]:
        """Their versions."""
        self.read()
        return [manifest.version for manifest in manifests(self._shoal.broker, self._shoal.topics)]

    def finish(self) -> list[int]:
        for logged in self._entries.read_to_end():
            if not isinstance(logged.entry, Delta):
                self.numbers.append(logged.entry.sequence)
        self._entries.close()
        return self.numbers


def test_a_killed_learner_is_followed_by_one_that_goes_on_from_its_snapshot(
    service: Callable[..., Any], log: SyntheticLog, events: list[EventRecord], tmp_path: Path
) -> None:
    shoal = service(partitions=2, snapshots={"entries": 8, "every_ms": 1_000_000})
    shoal.load(log.items)
    # One share is left for the last: whoever has nothing to do may be through before it has partitions.
    model_log, share = shoal.topics.model_updates.name, len(events) // (ROUNDS + 1)
    watcher = Watcher(shoal)
    for n in range(ROUNDS):
        before = watcher.snapshots()
        doomed = shoal.process(f"w{n}")
        shoal.feed(events[n * share : (n + 1) * share])
        shoal.until(lambda old=before: watcher.snapshots() != old, "a snapshot")
        doomed.signal(signal.SIGKILL)
        assert doomed.wait() == -signal.SIGKILL
    assert shoal.broker.offsets(model_log)[0][0] > 0  # trimmed
    newest = manifests(shoal.broker, shoal.topics)[0]
    last = shoal.worker("last")
    assert last.model.version >= newest.version
    shoal.feed(events[ROUNDS * share :])
    shoal.settle(last)

    assert watcher.finish() == list(range(last.model.decisions))  # none twice, none left out
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
