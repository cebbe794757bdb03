"""``docs/failures.md`` held against the code: the order of a commit, and the tests that its table names."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from stream.config import Settings
from tests.torture.plan import BATCH_STEPS, CRASH_STEPS
from tests.unit.consumers.cluster import Cluster, drain

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "failures.md").read_text("utf-8")
# What the table has to say something of.
FAILURES = (
    "killed while a batch is processed", "killed at 1, 2, 3, 4, 5 or 6", "killed right after 6", "aborted", "fenced",
    "the broker is gone", "the broker is back", "disk full", "corrupt snapshot", "poison input", "encoder error",
    "the learner is gone",
)  # fmt: skip


def order() -> list[str]:
    return re.findall(r"^\d\. `([\w-]+)`:", PAGE, re.M)


def rows() -> list[list[str]]:
    """Cells of the table of failures, without its head."""
    lines = [line for line in PAGE.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


@cache
def defined_in(path: Path) -> set[str]:
    return {
        node.name for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.FunctionDef)
    }


class Recording:
    """A transactional producer that notes the steps of each transaction."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.transactions: list[list[str]] = []

    def begin(self) -> None:
        self.transactions.append([])
        self._inner.begin()

    def send(self, topic: str, *columns: Any) -> None:
        self.transactions[-1].append(topic.rsplit(".", 1)[-1])
        self._inner.send(topic, *columns)

    def send_offsets(self, *columns: Any) -> None:
        self.transactions[-1].append("send_offsets")
        self._inner.send_offsets(*columns)

    def commit(self) -> None:
        self.transactions[-1].append("commit")
        self._inner.commit()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def test_the_order_of_a_commit_is_that_of_the_code(small_settings: Settings) -> None:
    cluster = Cluster(small_settings)
    cluster.feed([b"{"])
    worker = cluster.worker()
    recording = Recording(worker._producer)
    worker._producer = recording  # type: ignore[assignment]
    drain(worker)
    cluster.close()
    steps = next(one for one in recording.transactions if "recommendations" in one)
    assert list(dict.fromkeys(steps)) == order()  # rows and tombstones are one step


def test_the_torture_kills_and_aborts_at_each_step() -> None:
    assert order() == list(BATCH_STEPS)
    assert {*order(), "committed"} <= set(CRASH_STEPS)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:40])
def test_each_failure_has_tests_that_exist(row: list[str]) -> None:
    failure, happens, seen, shown = row
    assert failure
    assert happens
    assert seen
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", shown)
    assert named
    missing = [(file, name) for file, name in named if name not in defined_in(TESTS / file)]
    assert not missing


@pytest.mark.parametrize("failure", FAILURES)
def test_no_kind_of_failure_is_left_out(failure: str) -> None:
    assert any(failure in row[0] for row in rows())
