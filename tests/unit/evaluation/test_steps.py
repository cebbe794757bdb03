"""A log cut into steps, batches and rounds."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stream.evaluation.steps import by_count, by_step, steps_of
from stream.events.schema import EventRecord

EVENTS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), min_size=1, max_size=40).map(
    lambda pairs: [
        EventRecord(user_id=user, action="view", item_id=str(i), timestamp=time)
        for i, (user, time) in enumerate(sorted(pairs, key=lambda pair: pair[1]))
    ]
)


def step_key(event: EventRecord) -> tuple[str | None, int]:
    return event.user_id, event.timestamp


@given(EVENTS)
def test_a_step_is_all_that_a_user_does_at_one_time(events: list[EventRecord]) -> None:
    steps = steps_of(events)
    assert sorted(int(e.item_id or "") for step in steps for e in step) == list(range(len(events)))
    assert len(steps) == len({step_key(event) for event in events})
    for step in steps:
        assert len({step_key(event) for event in step}) == 1
        assert [int(e.item_id or "") for e in step] == sorted(int(e.item_id or "") for e in step)
    for one, following in pairwise(steps):
        assert int(one[0].item_id or "") < int(following[0].item_id or "")


@given(EVENTS, st.integers(1, 12))
def test_a_round_has_one_step_of_a_user_and_nothing_is_lost(events: list[EventRecord], most: int) -> None:
    numbers = {step_key(step[0]): number for number, step in enumerate(steps_of(events))}
    seen: set[int] = set()
    last = -1
    for batch in by_step(events, most):
        here = [event for one in batch for event in one.events]
        steps = {step_key(event) for event in here}
        assert len(here) <= most or len(steps) == 1  # a step is not cut
        assert min(numbers[key] for key in steps) == last + 1  # batches follow each other
        last = max(numbers[key] for key in steps)
        for one in batch:
            keys = [step_key(event) for event in one.events]
            assert one.step.tolist() == [numbers[key] for key in keys]
            assert len({user for user, _ in keys}) == len(set(keys))
        seen |= {int(event.item_id or "") for event in here}
    assert len(seen) == len(events)


@given(EVENTS, st.integers(1, 12))
def test_a_users_steps_follow_each_other_through_the_rounds(events: list[EventRecord], most: int) -> None:
    order: dict[str | None, list[int]] = {}
    for batch in by_step(events, most):
        for one in batch:
            for event in one.events:
                order.setdefault(event.user_id, []).append(event.timestamp)
    assert all(times == sorted(times) for times in order.values())


@given(EVENTS, st.integers(1, 12))
def test_batches_by_count_are_full_and_in_order(events: list[EventRecord], most: int) -> None:
    batches = [one for (one,) in by_count(events, most)]
    assert [event for one in batches for event in one.events] == events
    assert all(len(one.events) == most for one in batches[:-1])
    numbers = [number for one in batches for number in one.step.tolist()]
    assert sorted(set(numbers)) == list(range(max(numbers) + 1))
    for one in batches:
        assert len(set(one.step.tolist())) == len({event.user_id for event in one.events})
