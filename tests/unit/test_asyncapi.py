"""The JSON Schemas, and the AsyncAPI document that refers to them, held against the topics of the code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from stream.broker.topics import Topics
from stream.config import KafkaSettings

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "docs" / "schemas"


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.json")), ids=lambda path: path.name)
def test_schemas_are_ones_and_take_their_examples(path: Path) -> None:
    schema = json.loads(path.read_text())
    Draft202012Validator.check_schema(schema)
    for example in schema["examples"]:
        Draft202012Validator(schema).validate(example)


def test_the_asyncapi_document_names_the_topics() -> None:
    document = yaml.safe_load((ROOT / "docs/asyncapi.yaml").read_text())
    topics = Topics(KafkaSettings())
    specs = {role: topic for role, topic in vars(topics).items() if topic in list(topics)}
    assert {role: c["address"] for role, c in document["channels"].items()} == {
        r: t.name for r, t in specs.items()
    }
    for role, topic in specs.items():
        kafka = document["channels"][role]["bindings"]["kafka"]
        assert kafka["topicConfiguration"]["cleanup.policy"] == ["compact" if topic.compacted else "delete"]
        like_events = topic.name in {topics.events.name, *(t.name for t in topics.like_events())}
        assert kafka.get("partitions") == (None if like_events else topic.partitions)


def test_references_of_the_asyncapi_document_lead_somewhere() -> None:
    document = yaml.safe_load((ROOT / "docs/asyncapi.yaml").read_text())
    references = list(find_references(document))
    for reference in references:
        file, _, pointer = reference.partition("#")
        if file:
            assert (ROOT / "docs" / file).exists(), reference
            continue
        place = document
        for part in pointer.strip("/").split("/"):
            place = place[part]
    used = {name for name in references if name.endswith(".json")}
    assert used == {f"schemas/{path.name}" for path in SCHEMAS.glob("*.json")}


def find_references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from find_references(inner)
