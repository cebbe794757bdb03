from __future__ import annotations

import numpy as np

from stream.clustering.drift import DriftDetector, DriftEvent


def run(errors: np.ndarray, **params) -> list[tuple[int, DriftEvent]]:
    detector = DriftDetector(**params)
    return [(i, event) for i, error in enumerate(errors) if (event := detector.update(float(error)))]


def noise(n: int, mean: float) -> np.ndarray:
    return np.random.default_rng(0).normal(mean, 0.02, n)


def test_a_jump_is_a_drift_and_then_it_settles() -> None:
    events = run(np.r_[noise(200, 0.3), noise(200, 0.6)])
    assert [event.kind for _, event in events] == ["drift", "settled"]
    assert 200 <= events[0][0] < 230
    assert (events[0][1].pace, events[1][1].pace) == (8.0, 1.0)
    assert events[1][1].error > 0.5


def test_noise_is_none() -> None:
    assert run(noise(2000, 0.3)) == []


def test_an_error_that_falls_asks_for_nothing() -> None:
    assert run(np.r_[noise(200, 0.6), noise(200, 0.3)]) == []


def test_a_second_jump_during_a_drift_prolongs_it() -> None:
    events = run(np.r_[noise(200, 0.3), noise(100, 0.6), noise(300, 1.2)], settle=128)
    assert [event.kind for _, event in events] == ["drift", "settled"]
    assert events[1][0] > 300 + 128


def test_a_rise_by_a_fifth_in_noise_is_noticed_and_a_new_level_is_the_usual_one() -> None:
    rng = np.random.default_rng(1)
    errors = np.r_[rng.normal(1.0, 0.07, 200), rng.normal(1.2, 0.07, 200), rng.normal(1.0, 0.07, 200)]
    events = run(np.r_[errors, rng.normal(1.2, 0.07, 200)])
    assert [event.kind for _, event in events] == ["drift", "settled", "drift", "settled"]
    assert 200 < events[0][0] < 250
    assert 600 < events[2][0] < 650


def test_users_who_settle_alarm_nobody() -> None:
    rng = np.random.default_rng(2)
    assert run(np.linspace(1.2, 0.7, 1_000) * rng.normal(1, 0.07, 1_000)) == []
