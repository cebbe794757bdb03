"""What reasons name, against plain references over small tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from stream.config import Settings
from stream.hashing import HashIndex, hash_texts
from stream.model import Model
from stream.recommending.exploring import EXPLORATION
from stream.recommending.item_models import NeighbourLists
from stream.recommending.pairs import EVIDENCE, EVIDENCE_NEXT, LAG_DECAY
from stream.recommending.proposing import KNN_DECAY
from stream.recommending.readers import Readers
from stream.recommending.reasons import REASONS, category_of, name_reasons, title_of
from stream.recommending.sources import CATALOGUE, SOURCES
from stream.steps import WINDOW, WINDOW_STEPS

ITEMS, USERS, HISTORY, K = 40, 30, 36, 12


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def model(rng: np.random.Generator) -> Model:
    """A model of items that have gone with each other by chance."""
    index = HashIndex()
    index.insert(hash_texts([str(n) for n in range(ITEMS)]))
    made = Model(Settings(), index, 4)
    made.items.pairs.reserve(ITEMS - 2)  # of the last two nothing was counted
    for table in (made.items.pairs.together, made.items.pairs.next, made.items.pairs.window):
        rows, items = rng.integers(0, ITEMS - 2, (2, 2_000))
        table.add(rows, items, rng.uniform(0.1, 1, 2_000).astype(np.float32))
    for name in ("ease", "item-knn"):
        place = rng.permutation(ITEMS - 1).astype(np.int32)
        place[3] = -1
        ids = rng.permuted(np.tile(np.arange(ITEMS, dtype=np.int32), (ITEMS, 1)), axis=1)[:, :15]
        ids[:, -1] = -1
        made.item_models[name] = NeighbourLists(place, ids, rng.normal(size=ids.shape).astype(np.float32))
    return made


@pytest.fixture
def readers(rng: np.random.Generator) -> Readers:
    """Users with histories of all lengths; some of their items were disliked."""
    own = rng.permuted(np.tile(np.arange(ITEMS, dtype=np.int32), (USERS, 1)), axis=1)[:, :HISTORY]
    lag = np.cumsum(rng.random((USERS, HISTORY)) < 0.5, axis=1).astype(np.uint8) + 1
    free = np.arange(HISTORY) >= rng.integers(0, HISTORY + 1, USERS)[:, None]
    own[free], lag[free] = -1, 0
    own[rng.random(own.shape) < 0.1] = -1
    blank: dict[str, Any] = {name: np.zeros(0) for name in Readers.__dataclass_fields__}
    touched = np.where(own[:, :1] >= 0, rng.integers(0, ITEMS, (USERS, 3)), -1).astype(np.int32)
    return Readers(**blank | {"own": own, "lag": lag, "touched": touched})


def named(
    model: Model, readers: Readers, item: Any, column: int, vectors: npt.NDArray[np.float32]
) -> npt.NDArray[np.int64]:
    source = np.full(item.shape, column, np.uint8)
    return name_reasons(item, source, readers, model, vectors)


def best(said: Iterable[tuple[float, int]]) -> int:
    """Title of the item that says most, the first of equals."""
    most, spoke = 0.0, -1
    for share, row in said:
        if share > most:
            most, spoke = share, row
    return title_of(spoke) if spoke >= 0 else -1


def test_each_source_names_the_item_that_says_most(
    model: Model, readers: Readers, rng: np.random.Generator
) -> None:
    item = rng.integers(0, ITEMS, (USERS, K)).astype(np.int32)
    item[rng.random(item.shape) < 0.05] = -1
    vectors = rng.normal(size=(ITEMS, 4)).astype(np.float32)
    pairs, now, sources = model.items.pairs, np.float32(model.items.now), model.sources
    tables = {
        "together": (pairs.together, WINDOW_STEPS, EVIDENCE),
        "next": (pairs.next, 1, EVIDENCE_NEXT),
        "window": (pairs.window, WINDOW_STEPS, EVIDENCE),
    }

    def of_table(name: str, u: int, row: int) -> int:
        table, most_lag, evidence = tables[name]
        return best(
            (table.counts[r][q] / (table.totals[r] + evidence * now) * LAG_DECAY ** (int(lag) - 1), r)
            for r, lag in zip(readers.own[u, :WINDOW].tolist(), readers.lag[u], strict=False)
            if 0 <= r < len(table.totals) and r != row and lag <= most_lag
            for q in np.flatnonzero(table.ids[r] == row).tolist()
        )

    def of_model(name: str, u: int, row: int) -> int:
        lists, decay = model.item_models[name], {"ease": 1.0, "item-knn": float(KNN_DECAY)}[name]
        return best(
            (lists.scores[lists.place[r]][q] * decay**h, r)
            for h, r in enumerate(readers.own[u].tolist())
            if 0 <= r < len(lists.place) and r != row and lists.place[r] >= 0
            for q in np.flatnonzero(lists.ids[lists.place[r]] == row).tolist()
        )

    def of_texts(_: str, u: int, row: int) -> int:
        return best((vectors[r] @ vectors[row], r) for r in readers.own[u].tolist() if r >= 0 and r != row)

    rules = {
        "together": of_table,
        "next": of_table,
        "window": of_table,
        "ease": of_model,
        "item-knn": of_model,
        "content": of_texts,
    }
    for name, rule in rules.items():
        found = named(model, readers, item, sources.index(name), vectors)
        for u in range(USERS):
            end = next((q for q in range(K) if item[u, q] < 0), K)  # behind the last item nothing is named
            expected = [rule(name, u, row) for row in item[u, :end].tolist()] + [-1] * (K - end)
            assert found[u].tolist() == expected, name
        assert (found >= 0).any(), name


def test_contexts_name_what_was_touched_last_and_no_item_is_its_own_reason(
    model: Model, readers: Readers
) -> None:
    columns = [c for c, name in enumerate(model.sources) if name == "contexts"]
    item = np.full((USERS, 1), 5, np.int32)
    for column in columns:
        back = {columns[-2]: 1, columns[-1]: 2}.get(
            column, 0
        )  # contexts of the item before the last, or before that
        spoke = readers.touched[:, back]
        expected = np.where((spoke < 0) | (spoke == 5), -1, 2 * spoke)
        assert named(model, readers, item, column, np.zeros((ITEMS, 4), np.float32))[:, 0].tolist() == (
            expected.tolist()
        )


def test_what_is_new_names_its_category_and_what_everybody_takes_nothing(
    model: Model, readers: Readers
) -> None:
    item = np.full((USERS, 1), 5, np.int32)
    numbers = [*model.sources, CATALOGUE, EXPLORATION]
    for name, expected in ((EXPLORATION, category_of(5)), (CATALOGUE, -1), ("popular", -1), ("repeats", -1)):
        found = named(model, readers, item, numbers.index(name), np.zeros((ITEMS, 4), np.float32))
        assert set(found[:, 0].tolist()) == {expected}


def test_all_sources_have_a_reason() -> None:
    assert set(REASONS) == {*SOURCES, CATALOGUE, EXPLORATION}
    assert all(reason.text for reason in REASONS.values())
