"""What is to happen, and when: drawn from a seed, so that a run can be asked for again."""

from __future__ import annotations

import random
from dataclasses import dataclass

# The steps of a batch's commit in its order, as a worker of these tests reports them (``hooks``), and those of the
# learner's. A worker can be made to die or to abort at each of them; after a commit it can only die.
BATCH_STEPS = ("recommendations", "profiles", "dead-letters", "send_offsets", "model-updates", "commit")
DECISION = "decision:"
DECISION_STEPS = tuple(DECISION + step for step in ("send_offsets", "model-updates", "commit"))
CRASH_STEPS = (*BATCH_STEPS, "committed", *DECISION_STEPS)
ABORT_STEPS = (*BATCH_STEPS, *DECISION_STEPS)

# Faults are spread over this part of the log; before it there is nothing to lose, and behind it the last ones have to
# have an effect.
FROM, TO = 0.01, 0.95
# A fault comes up to so many seconds after its place in the log is reached: at any moment of a round, not only at
# commits, by which progress is measured.
LATEST_S = 0.4


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    events: int
    partitions: int
    users: int
    items: int
    rate: float  # events a second that are fed; with ``events`` it says how long a run takes at least
    workers: tuple[int, ...]  # one after the other, for equal parts of the log
    kills: int  # SIGKILLs out of the blue
    crashes: int  # SIGKILLs at each step of a commit
    aborts: int  # at each step of a commit
    pauses: int  # a worker stands still for longer than its session, and then goes on as a zombie
    broker_restarts: int


FULL = Size(
    events=300_000, partitions=12, users=4_000, items=400, rate=1_000, workers=(1, 4, 2),
    kills=50, crashes=2, aborts=3, pauses=4, broker_restarts=5,
)  # fmt: skip
SHORT = Size(
    events=12_000, partitions=12, users=300, items=100, rate=1_500, workers=(1, 3, 2),
    kills=3, crashes=1, aborts=1, pauses=1, broker_restarts=1,
)  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """``kind`` is kill, crash, abort, pause, broker or workers; ``what`` the step, or how many workers."""

    at: int  # when so many events are committed
    kind: str
    what: str = ""
    delay: float = 0.0  # seconds after that


def make_plan(size: Size, seed: int) -> list[Fault]:
    """All faults in the order of their places in the log."""
    chance = random.Random(seed)
    wanted = [("kill", "")] * size.kills + [("pause", "")] * size.pauses
    wanted += [("broker", "")] * size.broker_restarts
    wanted += [("crash", step) for step in CRASH_STEPS] * size.crashes
    wanted += [("abort", step) for step in ABORT_STEPS] * size.aborts
    first, last = int(FROM * size.events), int(TO * size.events)
    faults = [
        Fault(chance.randint(first, last), kind, what, chance.uniform(0, LATEST_S)) for kind, what in wanted
    ]
    part = size.events // len(size.workers)
    faults += [Fault(n * part, "workers", str(count)) for n, count in enumerate(size.workers)]
    return sorted(faults, key=lambda fault: fault.at)
