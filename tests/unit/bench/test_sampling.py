"""How contestants are timed."""

from __future__ import annotations

import pytest

from bench.sampling import Contestant, Progress, Rates
from bench.scenarios import Unavailable


def progress() -> Progress:
    return Progress(
        events=[0, 10, 20, 30],
        lists=[0, 5, 10, 15],
        wall=[0.0, 5.0, 6.0, 7.0],
        cpu=[0.0, 4.0, 4.5, 5.0],
        also={"learner": [0.0, 3.0, 3.1, 3.25]},
    )


def test_rates_leave_the_start_out() -> None:
    rates = progress().rates(warm=0.3)
    assert (rates.per_cpu_s, rates.per_s, rates.per_list) == (20.0, 10.0, 2.0)
    assert rates.parts == {"learner": pytest.approx(0.25)}
    assert rates.without("learner") == pytest.approx(20 / 0.75)
    assert rates.without("nothing") == 20.0


def test_a_run_of_one_commit_has_rates_too() -> None:
    assert Progress([0, 10], [0, 10], [0.0, 2.0], [0.0, 1.0]).rates().per_cpu_s == 10.0


def test_the_median_of_rounds_is_taken_of_each_figure() -> None:
    rounds = [Rates(n, 10 - n, 1.0, {"learner": n / 10}) for n in (1.0, 2.0, 6.0)]
    assert Rates.median(rounds) == Rates(2.0, 8.0, 1.0, {"learner": 0.2})


def test_a_contestant_that_fails_says_what_it_said_last() -> None:
    with pytest.raises(Unavailable, match=r"No module named bench\.nothing"):
        Contestant("bench.nothing", {}).result()
