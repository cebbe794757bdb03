"""What the demonstration knows while it runs: nothing but what a subscriber could know."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from consumers.lists import UserList
from consumers.status import Tally

# Seconds over which rates are taken: shorter ones jump with every batch, longer ones lag.
RATE_WINDOW_S = 4.0
KEPT = 12  # of the latest lists and moves


class Rate:
    """How many a second, over the last seconds.

    Examples
    --------
    >>> rate = Rate()
    >>> for second in range(4):
    ...     rate.note(float(second), 100 * second)
    >>> rate.per_second
    100.0
    """

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque()

    def note(self, now: float, total: int) -> None:
        """Hear the total as it is at ``now``, in seconds that never run backwards."""
        self._points.append((now, total))
        while len(self._points) > 2 and now - self._points[1][0] > RATE_WINDOW_S:
            self._points.popleft()

    @property
    def per_second(self) -> float:
        """The rate now."""
        if len(self._points) < 2:
            return 0.0
        (start, before), (end, after) = self._points[0], self._points[-1]
        return (after - before) / max(end - start, 1e-9)


@dataclass(frozen=True, slots=True)
class Move:
    """A user has gone from one cluster to another."""

    user_id: str
    before: int
    after: int


@dataclass
class DemoState:
    """The lists read so far, the model log's sums, and how far the feed is."""

    total: int | None  # events to be fed; None: without end
    tally: Tally = field(default_factory=Tally)
    activity: str = ""  # what is going on, in words
    sent: int = 0  # records, broken ones included
    attach: str = ""  # how one subscribes
    k: int = 20
    elapsed: float = 0.0  # seconds
    first_list: float | None = None  # seconds after the feed began
    lists: int = 0
    moved: int = 0
    cluster_of: dict[str, int] = field(default_factory=dict)
    sizes: Counter[int] = field(default_factory=Counter)  # users by cluster
    latest: deque[UserList] = field(default_factory=lambda: deque(maxlen=KEPT))
    moves: deque[Move] = field(default_factory=lambda: deque(maxlen=KEPT))
    events_rate: Rate = field(default_factory=Rate)
    lists_rate: Rate = field(default_factory=Rate)

    @property
    def lag(self) -> int:
        """Records that the worker has not taken in yet."""
        return max(self.sent - int(self.tally.counts["records"]), 0)

    def label(self, cluster: int) -> str:
        """What a cluster is called now, or its number."""
        return self.tally.labels.get(cluster, "") or f"cluster {cluster}"

    def tick(self, now: float) -> None:
        """Note rates at ``now``, in seconds that never run backwards."""
        self.events_rate.note(now, int(self.tally.counts["events"]))
        self.lists_rate.note(now, self.lists)

    def take(self, listed: UserList) -> None:
        """Take in a list that came out."""
        self.lists += 1
        self.latest.append(listed)
        if listed.cluster is None:
            return
        user, after = listed.user_id, listed.cluster.id
        before = self.cluster_of.get(user)
        if before == after:
            return
        self.cluster_of[user] = after
        self.sizes[after] += 1
        if before is not None:
            self.sizes[before] -= 1
            self.moved += 1
            self.moves.append(Move(user, before, after))

    def clusters(self) -> list[tuple[int, int]]:
        """Clusters that have users, with how many, the largest first."""
        return sorted(((c, n) for c, n in self.sizes.items() if n > 0), key=lambda pair: (-pair[1], pair[0]))
