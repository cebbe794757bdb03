"""The Dockerfile and docker-compose.yml, read and held against the code: there is no Docker where tests run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from stream.broker.kafka_jars import locked_jars
from stream.config import load

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name in SERVICES if name != "kafka"]

ParseCommand = Callable[[Sequence[str]], None]


def dockerfile() -> list[tuple[str, str]]:
    """Its instructions, with lines that go on put together."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.M).replace("\\\n", " ")
    return [(line.split()[0], line.partition(" ")[2]) for line in text.splitlines() if line.strip()]


def arguments(instruction: str) -> list[str]:
    return [rest for name, rest in dockerfile() if name == instruction]


def image_environment() -> dict[str, str]:
    pairs = (pair for line in arguments("ENV") for pair in shlex.split(line))
    return dict(pair.split("=", 1) for pair in pairs)


def environment(service: str) -> dict[str, str]:
    own: dict[str, str] = SERVICES[service].get("environment", {})
    return image_environment() | own


def command_lines(service: dict[str, Any]) -> list[list[str]]:
    """Arguments of every ``shoal`` that a service runs."""
    if "entrypoint" not in service:
        return [service["command"]] if "command" in service else []
    script = service["command"][0].replace("$$", "$")
    lines = [shlex.split(line) for line in script.splitlines()]
    lines = [line[1:] if line[0] == "exec" else line for line in lines if line]
    assert {line[0] for line in lines} == {"shoal"}
    return [line[1:] for line in lines]


@pytest.mark.parametrize("name", OURS)
def test_commands_are_those_of_the_command_line(name: str, parse_command: ParseCommand) -> None:
    for line in command_lines(SERVICES[name]):
        parse_command(line)


def test_commands_in_comments_are_those_of_the_command_line(parse_command: ParseCommand) -> None:
    text = (ROOT / "docker-compose.yml").read_text() + (ROOT / "Dockerfile").read_text()
    found = re.findall(r"docker compose run --rm cli (.*)|docker run --rm -it shoal (.*)", text)
    assert len(found) == 2
    for line in found:
        parse_command(shlex.split("".join(line)))
    for line in re.findall(r"docker compose (?:--profile (\w+) )?up(?: (?:--scale )?([\w-]+))?", text):
        profile, service = line
        assert not service or service in SERVICES
        assert not profile or profile in {p for s in SERVICES.values() for p in s.get("profiles", [])}


def test_what_the_image_runs_exists(parse_command: ParseCommand) -> None:
    assert arguments("ENTRYPOINT") == ['["shoal"]']
    runs = [re.fullmatch(r"shoal (.*)", line) for line in arguments("RUN")]
    lines = [shlex.split(found[1]) for found in runs if found]
    assert lines
    for line in lines:
        parse_command(line)


@pytest.mark.parametrize("name", OURS)
def test_variables_are_settings(name: str) -> None:
    settings = load(env=environment(name))
    assert settings.kafka.bootstrap_servers in inside_addresses()
    assert str(settings.encoder.cache).startswith("/var/lib/shoal/")


def inside_addresses() -> set[str]:
    """Where Kafka says that other containers reach it."""
    listeners = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")
    return {address.partition("://")[2] for address in listeners if address.startswith("INSIDE")}


def test_kafka_is_the_version_that_is_tested_here() -> None:
    (version,) = {jar.version for jar in locked_jars() if jar.artifact.startswith("kafka_")}
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{version}"


def test_kafka_listens_where_it_says_it_does() -> None:
    kafka = SERVICES["kafka"]
    settings = kafka["environment"]
    bound = dict(listener.split("://") for listener in settings["KAFKA_LISTENERS"].split(","))
    told = dict(listener.split("://") for listener in settings["KAFKA_ADVERTISED_LISTENERS"].split(","))
    assert bound.keys() - {"CONTROLLER"} == told.keys()
    assert all(told[name].endswith(bound[name]) for name in told)
    secured = dict(pair.split(":") for pair in settings["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(","))
    assert secured.keys() == bound.keys()
    assert settings["KAFKA_CONTROLLER_QUORUM_VOTERS"].endswith(kafka["hostname"] + bound["CONTROLLER"])
    assert settings["KAFKA_INTER_BROKER_LISTENER_NAME"] in told
    assert kafka["ports"] == [f"127.0.0.1{bound['OUTSIDE']}{bound['OUTSIDE']}"], "the loopback address only"
    assert kafka["healthcheck"]["test"][-1] == told["OUTSIDE"]
    assert f"{settings['KAFKA_LOG_DIRS']}" in [volume.partition(":")[2] for volume in kafka["volumes"]]


def test_a_single_node_keeps_single_copies() -> None:
    settings = SERVICES["kafka"]["environment"]
    copies = {
        name: value for name, value in settings.items() if name.endswith(("REPLICATION_FACTOR", "MIN_ISR"))
    }
    assert len(copies) == 5
    assert set(copies.values()) == {"1"}
    assert {load(env=environment(name)).kafka.replication for name in OURS} == {1}


def test_workers_start_after_the_topics_and_again_after_a_failure() -> None:
    for name in ("worker", "worker-gpu"):
        worker = SERVICES[name]
        assert worker["depends_on"]["topics"]["condition"] == "service_completed_successfully"
        assert worker["restart"] == "unless-stopped"
    assert SERVICES["topics"]["depends_on"]["kafka"]["condition"] == "service_healthy"


@pytest.mark.parametrize("host", ["3f2a9c", "shop-1"])
def test_an_instance_is_named_after_its_container(host: str) -> None:
    (line,) = command_lines(SERVICES["worker"])
    assert line == ["worker", "--instance", "${SHOAL_WORKER__INSTANCE:-$HOSTNAME}"]
    assert load(env=environment("worker"), overrides={"worker.instance": host}).worker.instance == host


def test_only_the_worker_for_it_asks_for_a_gpu() -> None:
    reserved = {name for name, service in SERVICES.items() if "deploy" in service}
    assert reserved == {"worker-gpu"}
    assert load(env=environment("worker-gpu")).encoder.device == "cuda"
    # Its torch is another one, so its image has to be too.
    assert SERVICES["worker-gpu"]["image"] != SERVICES["worker"]["image"]
    assert SERVICES["worker-gpu"]["build"]["args"].keys() <= {
        arg.partition("=")[0] for arg in arguments("ARG")
    }
    started = {name for name, service in SERVICES.items() if not service.get("profiles")}
    assert started == {"kafka", "topics", "worker"}


def test_volumes_are_declared_and_writable_for_the_user() -> None:
    used = {v.partition(":")[0] for s in SERVICES.values() for v in s.get("volumes", [])}
    assert used == set(COMPOSE["volumes"])
    (user,) = arguments("USER")
    home = re.search(r"useradd .*--home-dir (\S+)", " ".join(arguments("RUN")))
    assert user != "root"
    assert home
    assert home[1] in [v.partition(":")[2] for v in SERVICES["worker"]["volumes"]]
    written = {v for name, v in image_environment().items() if v.startswith("/")}
    assert all(path.startswith(home[1] + "/") for path in written)


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    for line in arguments("COPY"):
        *sources, _ = line.split()
        for source in sources:
            assert (ROOT / source).exists()
            assert f"!{source}" in ignored


def test_extras_of_the_image_exist() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    extras = re.findall(r"--extra (\w+)", " ".join(arguments("RUN")))
    assert extras
    for extra in extras:
        assert re.search(rf"^{extra} = \[", project, re.M)
