"""The torture in short: the same faults and the same checks as ``make torture``, in a minute."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture.__main__ import torture
from tests.torture.plan import SHORT, make_plan


def test_torture_loses_and_doubles_nothing(tmp_path: Path) -> None:
    report = torture(SHORT, seed=1, scratch=tmp_path)
    failed = {check["name"]: check["found"] for check in report["checks"] if not check["ok"]}
    assert not failed
    assert len(report["checks"]) == 9


@pytest.mark.parametrize("seed", [1, 2])
def test_a_plan_can_be_asked_for_again(seed: int) -> None:
    assert make_plan(SHORT, seed) == make_plan(SHORT, seed)
    assert make_plan(SHORT, seed) != make_plan(SHORT, seed + 1)
