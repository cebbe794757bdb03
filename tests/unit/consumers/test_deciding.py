"""What the learner may take of a worker's time."""

from __future__ import annotations

import pytest

from consumers.deciding import Deciding
from consumers.following import EntryWriter
from stream.background import REST
from stream.broker.topics import Topics
from stream.catalogue import Catalogue
from stream.clock import ManualClock
from stream.config import Settings
from stream.entries import Decision, Reviewed
from stream.hashing import HashIndex
from stream.model import Model

SECONDS = 0.5  # that a decision takes


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def model() -> Model:
    model = Model(Settings(), HashIndex(), 4)
    model.clusters.labels[0] = "shoes"
    return model


@pytest.fixture
def deciding(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> Deciding:
    settings = Settings()
    catalogue = Catalogue(HashIndex(), 4)
    deciding = Deciding(settings, Topics(settings.kafka), catalogue, EntryWriter("w"), clock)

    def decide(model: Model) -> Decision:
        clock.sleep(SECONDS)
        return Reviewed(model.decisions, None)

    monkeypatch.setattr(deciding._learner, "decide", decide)
    return deciding


def test_deciding_takes_a_tenth_of_the_time_however_much_is_due(
    deciding: Deciding, clock: ManualClock, model: Model
) -> None:
    made = 0
    while clock.monotonic() < 100 * SECONDS:
        if deciding.next(model, {}) is None:
            clock.sleep(0.01)
        else:
            made += 1
    assert made == pytest.approx(100 / (1 + REST), abs=1)


def test_until_clusters_have_names_nothing_waits(
    deciding: Deciding, clock: ManualClock, model: Model
) -> None:
    model.clusters.labels.clear()
    assert deciding.next(model, {}) is not None
    assert deciding.next(model, {}) is not None
    assert clock.monotonic() == 2 * SECONDS


def test_dead_letters_and_what_was_undone_do_not_wait(deciding: Deciding, model: Model) -> None:
    first = deciding.next(model, {})
    assert first is not None
    letters = {b"x/0/1": b"{}"}
    only_letters = deciding.next(model, letters)
    assert only_letters is not None
    assert only_letters.decision is None
    deciding.settle(first, committed=False, dead_letters={})
    again = deciding.next(model, {})
    assert again is not None
    assert again.decision is first.decision
