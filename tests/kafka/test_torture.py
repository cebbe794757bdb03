"""The torture in short: the same faults and the same checks as ``make torture``, in a minute."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.torture.__main__ import torture
from tests.torture.checks import Audit
from tests.torture.crew import End
from tests.torture.plan import SHORT, make_plan


def test_torture_loses_and_doubles_nothing(tmp_path: Path) -> None:
    report = torture(SHORT, seed=1, scratch=tmp_path)
    failed = {check["name"]: check["found"] for check in report["checks"] if not check["ok"]}
    assert not failed
    assert len(report["checks"]) == 9


@pytest.mark.parametrize(
    ("said", "seconds", "excused"),
    [
        ("BrokerUnavailable: nobody answers", 40, True),
        ("BrokerUnavailable: nobody answers", 50, False),
        ("BrokerUnavailable: nobody answers", -1, False),
        ("Fenced: another", 20, True),
        ("Fenced: another", 40, False),
        ("Fenced: another", 120, True),  # had stood still by then
        ("StateLost: it is empty", 1, False),
        ("", 1, False),
    ],
)
def test_who_ends_by_itself_is_excused_for_a_while_only(said: str, seconds: float, excused: bool) -> None:
    ends = [End("w0", "itself", 1, said, 1_000.0 + seconds), End("w1", "kill", -9, "", 5.0)]
    run = SimpleNamespace(
        crew=SimpleNamespace(ends=ends, woken=[("w0", 1_110.0), ("w1", 1_040.0)]),
        story=SimpleNamespace(broker_back=[1_000.0]),
    )
    audit = Audit.__new__(Audit)
    audit.run = run  # type: ignore[assignment]
    if excused:
        assert audit.ends() == "1 itself, 1 kill"
    else:
        with pytest.raises(AssertionError):
            audit.ends()


@pytest.mark.parametrize("seed", [1, 2])
def test_a_plan_can_be_asked_for_again(seed: int) -> None:
    assert make_plan(SHORT, seed) == make_plan(SHORT, seed)
    assert make_plan(SHORT, seed) != make_plan(SHORT, seed + 1)
