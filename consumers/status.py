"""What the model log says of the service: counts, positions, labels. Folded without the model itself."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from consumers.following import EntryReader, Logged
from consumers.snapshots import manifests
from stream.broker.interface import Broker
from stream.broker.topics import Topics
from stream.entries import Delta, Labelled, Seeded
from stream.recommending.quality import Lately
from stream.snapshot import Manifest

# Of so many last entries of the model log it is known where they stand: who has written none of them is not working.
RECENT = 1_000


@dataclass(slots=True)
class Tally:
    """Sums over the model log up to ``version``."""

    version: int = -1
    counts: Counter[str] = field(default_factory=Counter)  # see stream.contributing.count_outcome
    lately: Lately = field(default_factory=Lately)
    positions: dict[int, int] = field(default_factory=dict)  # per partition of events the next one to be read
    clusters: int = 0
    labels: dict[int, str] = field(default_factory=dict)
    decisions: Counter[str] = field(default_factory=Counter)
    recent: list[int] = field(default_factory=list)  # offsets of the last entries, RECENT to twice as many
    # Per worker, the offset of its last delta, and how many entries before that its lists were made without.
    behind: dict[str, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, manifest: Manifest) -> Tally:
        """Give the tally as the model of a snapshot has it."""
        return cls(
            manifest.version,
            Counter(manifest.counts),
            Lately.from_state(manifest.lately),
            dict(manifest.positions),
            len(manifest.labels),
            dict(manifest.labels),
            Counter(manifest.decided),
        )

    def fold(self, logged: Logged) -> None:
        """Take in the next entry of the log."""
        entry, self.version = logged.entry, logged.offset
        if isinstance(entry, Delta):
            missed = len(self.recent) - bisect_right(self.recent, entry.base_version)
            self.behind[logged.instance] = logged.offset, missed
            self.counts.update(entry.counts)
            self.lately.fold(entry.counts, entry.listed, entry.events)
            self.positions.update({partition: last + 1 for partition, (_, last) in entry.offsets.items()})
        elif entry.sequence == self.decisions.total():
            self.decisions[type(entry).__name__.lower()] += 1
            if isinstance(entry, Seeded):
                self.clusters = len(entry.centres)
            elif isinstance(entry, Labelled):
                # A labelling names all clusters there are, so those that retired go.
                self.labels = dict(zip(entry.named.ids.tolist(), entry.named.labels, strict=True))
                self.clusters = len(self.labels)
        self.recent.append(logged.offset)
        if len(self.recent) > 2 * RECENT:
            del self.recent[:RECENT]

    def model_lags(self) -> dict[str, int]:
        """Entries of the log that each worker's last lists were made without; of workers heard of lately."""
        since = self.recent[-RECENT:][:1]
        return {who: missed for who, (offset, missed) in sorted(self.behind.items()) if [offset] >= since}


class TallyReader:
    """Keeps a tally as the model log has it; what was trimmed of it is known from the snapshot of that."""

    def __init__(self, broker: Broker, topics: Topics) -> None:
        first = broker.offsets(topics.model_updates.name)[0][0]
        self.tally, start = Tally(), first
        if first > 0:
            identity = broker.identity(topics.model_updates.name)
            found = [m for m in manifests(broker, topics) if m.log == identity and m.start >= first]
            if found:
                self.tally, start = Tally.of(found[0]), found[0].start
        self._entries = EntryReader(broker, topics, start, max(self.tally.version, first - 1))

    def catch_up(self) -> Tally:
        """Fold all that stands in the log now. Raises BrokerUnavailable, FormatError."""
        for logged in self._entries.read_to_end():
            self.tally.fold(logged)
        return self.tally

    def poll(self, timeout: float) -> None:
        """Fold what has come, waiting up to ``timeout`` seconds for it."""
        for logged in self._entries.read(timeout)[1]:
            self.tally.fold(logged)

    def close(self) -> None:
        """Give connections back."""
        self._entries.close()


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
