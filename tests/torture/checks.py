"""What has to be true after a run, whatever was done in it."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from stream.events.dead_letters import parse_dead_letter
from tests.torture.crew import End
from tests.torture.feeding import Fates, Place
from tests.torture.run import Run

# Workers may end by themselves in two ways, and say which. Where the broker was away: its clients ask for an answer for
# 30 s. Where a transaction was open for longer than its 10 s, as the broker was away or the worker stood still: it is
# fenced at its next step. Later than so many seconds after the broker was back, or the worker went on, neither is an
# excuse; a machine that has much else to do makes it longer.
EXCUSED_S = {"BrokerUnavailable:": 45.0, "Fenced:": 30.0}


class Source(msgspec.Struct):
    partition: int
    offsets: list[int]


class Made(msgspec.Struct):
    """What is looked at in a list."""

    user_id: str
    list_id: str
    user_seq: int
    source: Source


decode_list = msgspec.json.Decoder(Made).decode


@dataclass(frozen=True)
class Check:
    """What was looked at, whether it was so, and what was found."""

    name: str
    ok: bool
    found: str


class Audit:
    """Reads all that a run has left, with committed records only, and checks it.

    To be made before the log is repeated in peace, which writes to the same topics.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.service = run, run.service
        topics = run.service.topics
        # In the logs' order: partition and record of each list.
        self.made = [
            (partition, decode_list(value or b""))
            for records in run.service.stream(topics.recommendations.name)
            for partition, value in zip(records.partition.tolist(), records.values, strict=True)
        ]
        self.listed = [(p, offset) for p, made in self.made for offset in made.source.offsets]
        letters = [
            parse_dead_letter(value or b"")
            for records in run.service.stream(topics.dead_letters.name)
            for value in records.values
        ]
        self.dead = [(one.partition, one.offset) for one in letters if one.topic == topics.events.name]
        self.model_log_begins = run.service.broker.offsets(topics.model_updates.name)[0][0]
        self._profiles = run.service.profiles()
        self._ends = {p: end for p, (_, end) in run.service.broker.offsets(topics.events.name).items()}

    def all(self) -> list[Check]:
        """Every check; one that fails does not keep the others from being made."""
        return [
            self._made("every fault happened", self.faults),
            self._made("workers ended as they were told to, or said why", self.ends),
            self._made("lists, drops and dead letters are every offset once", self.once),
            self._made("each record became what it had to", self.as_had_to_be),
            self._made("deltas cover every offset once", self.deltas),
            self._made("counts add up", self.counts),
            self._made("user_seq has no gap and no repeat", self.numbers),
            self._made("decisions are in sequence, none twice", self.decisions),
            self._made("profiles equal an uninterrupted run's", self.profiles),
        ]

    def _made(self, name: str, look: Callable[[], str]) -> Check:
        try:
            return Check(name, True, look())
        except AssertionError as wrong:
            return Check(name, False, str(wrong)[:2_000])
        except Exception:  # noqa: BLE001 - what cannot be checked is not so
            return Check(name, False, traceback.format_exc()[-2_000:])

    def faults(self) -> str:
        """As many as were planned, and all that were ordered obeyed."""
        assert not self.run.story.not_obeyed, self.run.story.not_obeyed
        planned = Counter(fault.kind for fault in self.run.story.plan)
        assert Counter(event.fault.kind for event in self.run.story.events) == planned
        ended = Counter(end.by for end in self.run.crew.ends)
        assert ended["crash"] == planned["crash"], ended
        assert ended["kill"] == planned["kill"], ended
        return ", ".join(f"{n} {kind}" for kind, n in sorted(planned.items()))

    def ends(self) -> str:
        """Nobody ended with an error but soon after the broker was away, or as a zombie soon after it stood still."""
        ends = self.run.crew.ends
        odd = [end for end in ends if end.code > 0 and not self._is_excused(end)]
        assert not odd, odd
        return ", ".join(f"{n} {by}" for by, n in Counter(end.by for end in ends).items())

    def _is_excused(self, end: End) -> bool:
        kind = end.said.partition(" ")[0]
        causes = list(self.run.story.broker_back)
        if kind == "Fenced:":
            causes += [at for instance, at in self.run.crew.woken if instance == end.instance]
        return any(0 <= end.at - at <= EXCUSED_S.get(kind, -1.0) for at in causes)

    def once(self) -> str:
        """Every partition and offset in one list, drop or dead letter."""
        times = Counter([*self.listed, *self.run.model_log.dropped, *self.dead])
        wrong = {place: times[place] for place in self._all_places() | times.keys() if times[place] != 1}
        lost = sum(n == 0 for n in wrong.values())
        assert not wrong, (
            f"{lost} lost, {len(wrong) - lost} taken in more than once, as {dict(sorted(wrong.items())[:5])}"
        )
        return f"{len(times)} offsets"

    def as_had_to_be(self) -> str:
        """Lists, drops and dead letters each hold the records that the log says they must."""
        fates = Fates()
        for records in self.service.stream(self.service.topics.events.name):
            fates.add(records)
        for name, wanted, got in (
            ("listed", fates.listed, self.listed),
            ("dropped", fates.dropped, self.run.model_log.dropped),
            ("dead", fates.dead, self.dead),
        ):
            assert wanted == set(got), (
                f"{name}: {len(wanted - set(got))} missing, {len(set(got) - wanted)} too many"
            )
        return f"{len(fates.listed)} in lists, {len(fates.dropped)} dropped, {len(fates.dead)} dead letters"

    def deltas(self) -> str:
        """The ranges of all deltas lie side by side from the first to the last offset of each partition."""
        covered = sorted(self.run.model_log.covered)
        expected = dict.fromkeys(self._ends, 0)
        for partition, first, last in covered:
            assert first == expected[partition], (
                f"partition {partition}: {first} follows {expected[partition] - 1}"
            )
            expected[partition] = last + 1
        assert expected == self._ends, (expected, self._ends)
        return f"{len(covered)} ranges; the log was trimmed up to offset {self.model_log_begins}"

    def counts(self) -> str:
        """What the deltas count is what there is."""
        counts = self.run.model_log.counts
        dropped = sum(n for name, n in counts.items() if name.startswith("dropped."))
        dead = sum(n for name, n in counts.items() if name.startswith("dead."))
        found = (counts["records"], counts["events"], counts["lists"], dropped, dead)
        there = (
            sum(self._ends.values()),
            len(self.listed),
            len(self.made),
            len(self.run.model_log.dropped),
            len(self.dead),
        )
        assert found == there, f"counted {found}, found {there}"
        assert counts["records"] == self.run.size.events
        return ", ".join(f"{n} {name}" for name, n in sorted(counts.items()) if name.startswith("dropped."))

    def numbers(self) -> str:
        """Lists of a user are 1, 2, 3 ... in the log's order, in the event's partition; the profile knows the last."""
        last: Counter[tuple[int, str]] = Counter()
        for partition, made in self.made:
            user = (partition, made.user_id)
            assert made.source.partition == partition, made
            assert made.user_seq == last[user] + 1, f"{user}: {made.user_seq} follows {last[user]}"
            last[user] += 1
        rows = self.service.rows(list(self._profiles.values()))
        assert sorted(rows["user_seq"].tolist()) == sorted(last.values()), "profiles know other numbers"
        return f"{len(self.made)} lists of {len(last)} users"

    def decisions(self) -> str:
        """The learner went on where it was."""
        sequence = self.run.model_log.decisions
        assert sequence == sorted(set(sequence)), sequence
        return f"{len(sequence)} decisions"

    def profiles(self) -> str:
        """Vectors, weights, recent items and event ids of every user, to rounding."""
        in_peace = self.service.profiles(generation=2)
        self.service.check_profiles_equal(self._profiles, in_peace)
        return f"{len(in_peace)} profiles"

    def _all_places(self) -> set[Place]:
        return {(p, offset) for p, end in self._ends.items() for offset in range(end)}
