"""Comparators whose lists are known by construction."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from stream.errors import ConfigError
from stream.evaluation.comparators import Popular, Repeats, make_comparators

HOUR = 3_600_000
LIKED = [10, 11, 12, 13]  # what half of the users take, and
OTHERS = [20, 21, 22, 23]  # what the others take


def test_popularity_fades_in_time(make_steps: Callable[..., Any]) -> None:
    popular = Popular(span_ms=12 * HOUR)  # the half-life is an hour
    popular.learn(*make_steps([(1, 0, [5]), (2, 0, [5]), (3, 0, [5]), (4, 2 * HOUR, [6])]))
    asked, _ = make_steps([(9, 2 * HOUR, [])], had=[{6: 0}])
    every, new = popular.lists(asked, 3)
    assert every.tolist() == [[6, 5, 0]]  # 1 against 3 / 4
    assert new.tolist() == [[5, 0, 0]]


def test_repeats_come_the_last_first_and_then_what_is_popular(make_steps: Callable[..., Any]) -> None:
    repeats = Repeats(span_ms=12 * HOUR)
    repeats.learn(*make_steps([(1, 0, [5, 6, 7]), (2, 0, [5, 7]), (3, 0, [5])]))
    asked, _ = make_steps([(9, 1, [])], had=[{6: 3, 7: 3, 8: 4}])
    every, new = repeats.lists(asked, 5)
    assert every.tolist() == [[8, 7, 6, 5, 0]]  # of the equals 7 is more popular; 8 was never wanted
    assert new.tolist() == [[5, 0, 0, 0, 0]]


@pytest.mark.parametrize("name", ["item-knn", "bm25", "als"])
def test_batch_models_list_what_the_like_minded_take(name: str, make_steps: Callable[..., Any]) -> None:
    pytest.importorskip("implicit")
    model = make_comparators([name], HOUR, fits=[40])[name]
    halves = [(u, 0, [i for i in (LIKED if u % 2 else OTHERS) if i % 4 != u % 3]) for u in range(30)]
    learnt = make_steps([*halves, *[(u, 0, OTHERS) for u in range(100, 110)]])
    model.learn(*learnt)
    asked, _ = make_steps([(200, 1, [])], had=[{10: 0, 11: 0}], first=39)
    assert set(model.lists(asked, 4)[1][0].tolist()) <= {*OTHERS, 12, 13}
    assert model.lists(asked, 4)[1][0, 0] in OTHERS  # not fitted yet: popular ones
    asked, _ = make_steps([(200, 1, []), (201, 1, [])], had=[{10: 0, 11: 0}, {}], first=40)
    every, new = model.lists(asked, 4)
    assert set(new[0, :2].tolist()) == {12, 13}
    assert not {10, 11} & set(new[0].tolist())
    assert every[1].tolist() == new[1].tolist()  # a newcomer gets what is popular
    assert set(every[1].tolist()) == set(OTHERS)


def test_items_that_came_after_the_fit_are_listed_by_popularity(make_steps: Callable[..., Any]) -> None:
    pytest.importorskip("implicit")
    model = make_comparators(["item-knn"], HOUR, fits=[0])["item-knn"]
    model.learn(*make_steps([(u, 0, [10, 11]) for u in range(5)]))
    asked, _ = make_steps([(9, 0, [])], had=[{10: 0, 98: 0}])
    model.lists(asked, 3)
    model.learn(*make_steps([(u, 0, [99]) for u in range(5)]))
    assert model.lists(asked, 3)[1].tolist() == [[11, 99, 0]]


def test_a_name_that_is_none_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"no comparator 'magic'.*item-knn"):
        make_comparators(["magic"], 1, [])


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_implicit(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".")[0] == "implicit":
            raise ModuleNotFoundError(f"No module named {name!r}", name="implicit")
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "stream.evaluation.refitted", raising=False)
    monkeypatch.setattr(builtins, "__import__", without_implicit)
    with pytest.raises(ConfigError, match=r"shoal\[compare\]"):
        make_comparators(["als"], 1, [])
    assert set(make_comparators(["popular", "repeats"], 1, [])) == {"popular", "repeats"}


def test_lists_of_nobody_are_none(make_steps: Callable[..., Any]) -> None:
    asked, targets = make_steps([])
    for model in make_comparators(["popular", "repeats"], 1, []).values():
        model.learn(asked, targets)
        assert [made.shape for made in model.lists(asked, 3)] == [(0, 3)] * 2
    assert np.array_equal(Popular(1).chart(), np.empty(0, np.uint64))
