"""What the model log says of the service: counts, positions, labels. Folded without the model itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from stream.broker.interface import Broker
from stream.broker.topics import Topics
from stream.entries import Delta, Entry, Labelled, Seeded, decode_entry
from stream.wire import Assembler

READ_RECORDS = 500  # at a time; a record is at most 512 KiB
SILENCE_S = 30.0  # without a record of a log that must have some, its broker is taken to be away


@dataclass(slots=True)
class Tally:
    """Sums over the model log up to ``version``."""

    version: int = -1
    counts: Counter[str] = field(default_factory=Counter)  # see stream.contributing.count_outcome
    positions: dict[int, int] = field(default_factory=dict)  # per partition of events the next one to be read
    clusters: int = 0
    labels: dict[int, str] = field(default_factory=dict)
    decisions: Counter[str] = field(default_factory=Counter)

    def fold(self, offset: int, entry: Entry) -> None:
        """Take in the entry that stands at ``offset`` of the log."""
        self.version = offset
        if isinstance(entry, Delta):
            self.counts.update(entry.counts)
            self.positions.update({partition: last + 1 for partition, (_, last) in entry.offsets.items()})
        elif entry.sequence == self.decisions.total():
            self.decisions[type(entry).__name__.lower()] += 1
            if isinstance(entry, Seeded):
                self.clusters = len(entry.centres)
            elif isinstance(entry, Labelled):
                # A labelling names all clusters there are, so those that retired go.
                self.labels = dict(zip(entry.named.ids.tolist(), entry.named.labels, strict=True))
                self.clusters = len(self.labels)


class TallyReader:
    """Keeps a tally as the model log has it."""

    def __init__(self, broker: Broker, topics: Topics) -> None:
        self.tally = Tally()
        self._reader = broker.reader(topics.model_updates.name, "earliest")
        self._assembler = Assembler()

    def catch_up(self) -> Tally:
        """Fold all that stands in the log now. Raises BrokerUnavailable, FormatError."""
        for records in self._reader.read_to_end(SILENCE_S):
            self._fold(records.offset.tolist(), records.values)
        return self.tally

    def poll(self, timeout: float) -> None:
        """Fold what has come, waiting up to ``timeout`` seconds for it."""
        records = self._reader.read(READ_RECORDS, timeout)
        self._fold(records.offset.tolist(), records.values)

    def close(self) -> None:
        """Give connections back."""
        self._reader.close()

    def _fold(self, offsets: list[int], values: list[bytes | None]) -> None:
        for offset, value in zip(offsets, values, strict=True):
            whole = self._assembler.add(value or b"")
            if whole is not None:
                self.tally.fold(offset, decode_entry(whole.data))


def lag(ends: Mapping[int, tuple[int, int]], positions: Mapping[int, int]) -> int:
    """Events that no worker has taken in yet; ``ends`` are first offsets and ends by partition.

    Examples
    --------
    >>> lag({0: (0, 10), 1: (5, 9)}, {0: 8})
    6
    """
    return sum(end - max(positions.get(partition, first), first) for partition, (first, end) in ends.items())


def parts_of(counts: Mapping[str, float], prefix: str) -> dict[str, int]:
    """Counts by reason, such as those of ``dropped.``, most first.

    Examples
    --------
    >>> parts_of({"dead.bad_json": 1, "dead.no_time": 2, "events": 7}, "dead.")
    {'no_time': 2, 'bad_json': 1}
    """
    found = {name.removeprefix(prefix): int(n) for name, n in counts.items() if name.startswith(prefix)}
    return dict(sorted(found.items(), key=lambda part: (-part[1], part[0])))


def unaccounted(counts: Mapping[str, float]) -> int:
    """Records that are neither events nor dropped nor dead letters: 0, or something is lost."""
    parts = sum(n for name, n in counts.items() if name.startswith(("dropped.", "dead.")))
    return int(counts.get("records", 0) - counts.get("events", 0) - parts)


def rates(counts: Mapping[str, float], prefix: str = "") -> tuple[float, float] | None:
    """Hit rates of lists and of popularity; None while nothing was scored. ``new.`` counts new items only.

    Examples
    --------
    >>> rates({"scored": 10, "hits": 4, "popular_hits": 1})
    (0.4, 0.1)
    """
    scored = counts.get(prefix + "scored", 0)
    if not scored:
        return None
    return counts.get(prefix + "hits", 0) / scored, counts.get(prefix + "popular_hits", 0) / scored
