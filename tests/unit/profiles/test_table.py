"""The table of profiles: before-images, changelog, partitions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import FormatError
from stream.profiles.layout import RowLayout
from stream.profiles.table import ProfileTable

LAYOUT = RowLayout(dimensions=4, history=3, event_ids=2, list_length=2, encoder=9, generation=1)
Key = tuple[int, int]  # user, partition
USERS = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 2)), max_size=12, unique=True)


def contents(table: ProfileTable) -> dict[Key, bytes]:
    rows = table.rows[: len(table)]
    return {
        (int(row["user"]), int(p)): row.tobytes()
        for row, p in zip(rows, table._partition[: len(table)], strict=True)
    }


def touch(table: ProfileTable, keys: list[Key], mark: float) -> np.ndarray:
    users, partitions = (np.array(column) for column in zip(*keys, strict=True)) if keys else ([], [])
    rows = table.gather(np.asarray(users, np.uint64), np.asarray(partitions, np.int32))
    table.rows["taste"][rows] += mark
    table.rows["vector"][rows] = mark
    table.rows["history_item"][rows, 0] = 7
    return rows


def table_of(keys: Mapping[Key, float] | list[Key]) -> ProfileTable:
    table = ProfileTable(LAYOUT)
    table.begin()
    touch(table, list(keys), 1.0)
    table.commit()
    return table


@given(USERS, USERS)
def test_rollback_brings_every_byte_back(old: list[Key], touched: list[Key]) -> None:
    table = table_of(old)
    before, bytes_before = contents(table), table.rows[: len(table)].tobytes()
    table.begin()
    touch(table, touched, 3.0)
    table.rollback()
    assert contents(table) == before
    assert table.rows[: len(table)].tobytes() == bytes_before


@given(USERS, USERS)
def test_rows_are_found_again_after_a_rollback(old: list[Key], touched: list[Key]) -> None:
    table = table_of(old)
    table.begin()
    touch(table, touched, 3.0)
    table.rollback()
    table.begin()
    touch(table, touched, 3.0)
    table.commit()
    straight = table_of(old)
    straight.begin()
    touch(straight, touched, 3.0)
    straight.commit()
    assert contents(table) == contents(straight)


def test_new_users_of_a_rollback_are_blank_afterwards() -> None:
    table = table_of([(1, 0)])
    table.begin()
    touch(table, [(n, 0) for n in range(2, 3_000)], 5.0)
    table.rollback()
    assert len(table) == 1
    table.begin()
    rows = table.gather(np.array([2, 1], np.uint64), np.zeros(2, np.int32))
    assert table.rows["taste"][rows].tolist() == [0, 1]
    table.commit()


@given(USERS)
def test_a_restored_table_has_the_same_bytes(keys: list[Key]) -> None:
    table = table_of(keys)
    restored = ProfileTable(LAYOUT)
    for partition in (2, 0, 1):
        rows = np.array([r for r in range(len(table)) if table._partition[r] == partition], np.int64)
        restored.restore(partition, table.keys(rows), table.serialise(rows))
    assert contents(restored) == contents(table)


def test_the_later_of_two_values_counts_and_a_tombstone_forgets() -> None:
    table = table_of([(1, 0), (2, 0), (1, 1)])
    rows = np.array([0, 1])
    keys, old = table.keys(rows), table.serialise(rows)
    table.rows["taste"][rows] = 9
    new = table.serialise(rows)
    restored = table_of([(1, 0), (3, 0), (1, 1)])
    restored.restore(0, [*keys, *keys], [*old, *new])
    assert restored.rows["taste"][: len(restored)].tolist() == [9, 1, 1, 9]
    restored.restore(0, [keys[0], keys[1], keys[1]], [None, None, new[1]])
    assert set(contents(restored)) == {(3, 0), (1, 1), (2, 0)}
    assert contents(restored)[2, 0] == new[1]


def test_a_tombstone_of_an_unknown_user_does_nothing() -> None:
    table = table_of([(1, 0)])
    before = contents(table)
    table.restore(0, [(8).to_bytes(8, "big")], [None])
    assert contents(table) == before


def test_a_value_that_cannot_be_read_changes_nothing() -> None:
    table = table_of([(1, 0)])
    before = contents(table)
    good = table.serialise(np.array([0]))[0]
    with pytest.raises(FormatError):
        table.restore(0, [b"12345678", b"87654321"], [good, b"short"])
    assert contents(table) == before


def test_nobody_to_forget_moves_no_row() -> None:
    table = table_of([(1, 0), (2, 1)])
    before = table.rows
    table.forget(np.empty(0, np.int64))
    assert table.rows is before


@given(USERS, st.sets(st.integers(0, 2)))
def test_drop_forgets_partitions_and_no_others(keys: list[Key], gone: set[int]) -> None:
    table = table_of(keys)
    kept = {key: row for key, row in contents(table).items() if key[1] not in gone}
    table.drop(sorted(gone))
    assert contents(table) == kept
    table.begin()
    touch(table, keys, 1.0)
    assert all(table.rows["taste"][r] == (2 if key in kept else 1) for r, key in enumerate_rows(table, keys))
    table.commit()


def enumerate_rows(table: ProfileTable, keys: list[Key]) -> list[tuple[int, Key]]:
    rows = {
        (int(u), int(p)): r
        for r, (u, p) in enumerate(zip(table.rows["user"][: len(table)], table._partition, strict=False))
    }
    return [(rows[key], key) for key in keys]


def test_a_user_has_a_profile_in_each_partition() -> None:
    table = table_of([(1, 0), (1, 1)])
    assert len(table) == 2
    table.begin()
    touch(table, [(1, 1)], 4.0)
    table.commit()
    assert [table.rows["taste"][r] for r, _ in enumerate_rows(table, [(1, 0), (1, 1)])] == [1, 5]
    assert table.keys(np.array([0])) == table.keys(np.array([1])) == [(1).to_bytes(8, "big")]


def test_changes_outside_of_begin_are_a_mistake() -> None:
    table = table_of([(1, 0)])
    with pytest.raises(AssertionError):
        table.gather(np.ones(1, np.uint64), np.zeros(1, np.int32))
    table.begin()
    for call in (table.begin, lambda: table.drop([0]), lambda: table.restore(0, [], [])):
        with pytest.raises(AssertionError):
            call()
