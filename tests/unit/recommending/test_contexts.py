"""Successors in contexts: counted, forgotten when there is no room, backed off as Witten and Bell have it."""

from __future__ import annotations

import numpy as np
import pytest

from stream.recommending.contexts import PROBES, ContextTable
from stream.recommending.scratch import FREE
from stream.steps import CHAIN, CONTEXTS


def keys_of(*keys: int) -> np.ndarray:
    """Keys of one user: the chain first, 0 where there is none."""
    out = np.zeros((1, CONTEXTS), np.uint64)
    out[0, : len(keys)] = keys
    return out


def count(table: ContextTable, keys: np.ndarray, *items: int) -> None:
    table.count(keys, np.array([len(items)], np.int32), np.array(items, np.int64), 1.0)


def chances(table: ContextTable, keys: np.ndarray) -> tuple[dict[int, float], float]:
    found = table.propose(keys, 1.0, np.full(50, FREE, np.int32))
    n = found.chances.length[0, 0]
    proposed = zip(found.chances.item[0, 0, :n].tolist(), found.chances.share[0, 0, :n].tolist(), strict=True)
    return dict(proposed), float(found.escape[0])


def test_one_context_gives_the_rest_to_what_has_not_followed_yet() -> None:
    table = ContextTable(64, 4)
    for item in (1, 1, 1, 2):
        count(table, keys_of(5), item)
    proposed, escape = chances(table, keys_of(5))
    assert proposed == pytest.approx({1: 3 / 5, 2: 1 / 5})
    assert escape == pytest.approx(1 / 5)


def test_a_longer_context_comes_first_and_backs_off_to_the_shorter() -> None:
    table = ContextTable(64, 4)
    for item in (1, 1, 1, 2):
        count(table, keys_of(5), item)
    count(table, keys_of(0, 9), 3)
    proposed, escape = chances(table, keys_of(5, 9))
    back = 0.5 / 1.5
    assert proposed == pytest.approx({1: 3 / 5 * back, 2: 1 / 5 * back, 3: 1 / 1.5})
    assert escape == pytest.approx(1 / 5 * back)
    assert sum(proposed.values()) + escape == pytest.approx(1)


def test_contexts_outside_the_chain_have_shares_of_their_own() -> None:
    table = ContextTable(64, 4)
    keys = np.zeros((1, CONTEXTS), np.uint64)
    keys[0, CHAIN] = 7
    count(table, keys, 4, 5)
    found = table.propose(keys, 1.0, np.full(50, FREE, np.int32))
    assert found.shares.length[0].tolist() == [0] * CHAIN + [2] + [0] * (CONTEXTS - CHAIN - 1)
    np.testing.assert_allclose(found.shares.share[0, CHAIN, :2], 1 / 2.5)
    assert found.evidence[0, CHAIN] == 2
    assert (found.chances.length[0, 0], found.escape[0]) == (0, 1)


def test_unknown_contexts_say_nothing() -> None:
    proposed, escape = chances(ContextTable(64, 4), keys_of(5, 6))
    assert (proposed, escape) == ({}, 1)


def test_the_lightest_successor_and_the_lightest_context_make_room() -> None:
    table = ContextTable(64, 2)
    for item in (1, 1, 2, 3):
        count(table, keys_of(5), item)
    assert chances(table, keys_of(5))[0].keys() == {1, 3}
    table = ContextTable(PROBES, 2)
    for key in range(1, PROBES + 1):
        for _ in range(key):
            count(table, keys_of(key), 1)
    count(table, keys_of(100), 2)
    kept = [key for key in (1, 2, 3, 4, 100) if chances(table, keys_of(key))[0]]
    assert kept == [2, 3, 4, 100]
