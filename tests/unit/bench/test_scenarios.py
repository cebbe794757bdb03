"""The registry of scenarios, and what the issue asks of every result."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from bench.report import RESULTS, Measured, hardware, keep, show
from bench.scenarios import SCENARIOS

ROOT = Path(__file__).parents[3]
EVERY = sorted(SCENARIOS)


@pytest.mark.parametrize("scenario", EVERY)
def test_a_scenario_names_a_function_that_is_there_and_what_it_is_compared_with(scenario: str) -> None:
    entry = SCENARIOS[scenario]
    source = (ROOT / Path(*entry.module.split("."))).with_suffix(".py").read_text()
    functions = {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    assert entry.function in functions
    assert re.search(r"\b(beside|against)\b", entry.what), "no scenario without a comparator"
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", scenario)


def test_a_result_has_what_it_takes_to_read_it_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.report.RESULTS", tmp_path)
    measured = Measured([{"contestant": "ours", "rate": 1234.5678}], {"ours/theirs": 2.123456}, seed=3)
    written = json.loads(keep("worker", measured, hardware(), 1.0).read_text())
    assert written["id"] == "worker"
    assert written["seed"] == 3
    assert written["hardware"]["cores"] >= 1
    assert written["versions"]["python"]
    assert written["rows"] == [{"contestant": "ours", "rate": 1234.6}]
    assert written["ratios"] == {"ours/theirs": 2.1235}


def test_a_table_shows_rows_ratios_and_notes() -> None:
    console = Console(record=True, width=100)
    rows = [{"contestant": "ours", "rate": 1234.5}, {"contestant": "theirs", "other": 0.5}]
    show("worker", "fast", Measured(rows, {"ours/theirs": 2.0}, notes=["read this"]), console)
    text = console.export_text()
    assert "worker: fast" in text
    assert "1,234" in text
    assert "ours/theirs: 2" in text
    assert "read this" in text


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_results_that_are_kept_are_of_scenarios_that_are_there(path: Path) -> None:
    kept = json.loads(path.read_text())
    assert kept["id"] == path.stem
    assert kept["id"] in SCENARIOS
    assert {"hardware", "versions", "seed", "rows", "ratios"} <= kept.keys()
    assert kept["ratios"]
