"""Each command on a real broker, as a user runs it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from stream.broker.embedded import EmbeddedKafka
from stream.config import KafkaSettings

SMALL = {
    "SHOAL_CLUSTERING__K": "3",
    "SHOAL_CLUSTERING__SEED_USERS_PER_CLUSTER": "2",
    "SHOAL_WORKER__MICRO_BATCH": "200",
    "SHOAL_WORKER__LEARN_EVERY": "300",
    "SHOAL_LOGGING__LEVEL": "warning",
}
EVENTS = 900


@pytest.fixture
def shoal(
    programs: Any, kafka: EmbeddedKafka, broker_settings: Callable[..., KafkaSettings]
) -> Callable[..., str]:
    """Run a command on the shared broker under a prefix of its own; gives what it prints."""
    programs.environment |= SMALL | {
        "SHOAL_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "SHOAL_KAFKA__PREFIX": broker_settings().prefix,
    }

    def run(*arguments: str, status: int = 0) -> str:
        done = programs.run(*arguments)
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return str(done.stdout)

    return run


def words(text: str) -> str:
    return " ".join(text.split())


def test_from_a_log_in_files_to_lists_on_a_terminal(shoal: Callable[..., str], programs: Any) -> None:
    shoal("generate", "log", "--users", "40", "--events", str(EVENTS))
    assert "missing" in shoal("topics", "show", status=1)
    assert "events has 2 partitions" in shoal("--set", "kafka.partitions=2", "topics", "create")
    shown = shoal("topics", "show")
    assert shown.count("fits") == 10
    assert "missing" not in shown

    assert "300 items" in shoal("items", "load", "log/items.jsonl")
    replay = ("replay", "log/events.jsonl", "--checkpoint", "far.json")
    assert f"{EVENTS} events" in shoal(*replay)
    assert "0 events" in shoal(*replay)  # the checkpoint says that all of it is there
    with (programs.directory / "bad.jsonl").open("w") as file:
        file.write(
            json.dumps({"user_id": "u", "action": "a", "item_id": "x" * 600, "timestamp": 1736150400000})
        )
    shoal("replay", "bad.jsonl")
    assert "lag 901" in words(shoal("status"))

    shoal("worker", "--until-idle", "1")
    status = words(shoal("status"))
    assert f"records in 901 events {EVENTS} taken in dropped 0 dead letters 1 long_id 1 lists out" in status
    assert "lag 0" in status
    assert "hit rate@20" in status
    lists = shoal("tail", "--from-beginning", "--lists", "3", "--items", "2")
    assert len(lists.splitlines()) == 9
    user = lists.split()[0]
    assert shoal("tail", "--from-beginning", "--lists", "1", "--user", user).split()[0] == user
    assert len(shoal("clusters").splitlines()) > 1
    assert "long_id" in shoal("dead-letters")
    assert "no dead letters" in shoal("dead-letters", "--reason", "bad_json")


def test_a_worker_ends_properly_on_sigterm(shoal: Callable[..., str], programs: Any) -> None:
    shoal("generate", "log", "--users", "40", "--events", str(EVENTS))
    shoal("items", "load", "log/items.jsonl")
    shoal("replay", "log/events.jsonl")
    worker = programs.start("--set", "logging.level=info", "worker", "--instance", "one")
    for line in worker.stderr:
        if "partitions assigned" in line:
            break
    worker.send_signal(signal.SIGTERM)
    _, said = worker.communicate(timeout=60)
    assert worker.returncode == 0, said
    assert "partitions revoked" in said
    shoal("worker", "--until-idle", "1", "--instance", "two")  # what the first left is not lost
    assert f"records in {EVENTS} events {EVENTS} taken in" in words(shoal("status"))


def test_a_broker_of_ones_own_is_found(programs: Any) -> None:
    broker = programs.start("broker")
    address = programs.directory / ".shoal" / "kafka" / "address"
    deadline = time.monotonic() + 60
    while not address.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    created = programs.run("topics", "create")
    assert created.returncode == 0, created.stderr
    second = programs.run("broker")
    assert second.returncode == 1
    assert "another Kafka runs on" in second.stderr
    assert address.exists(), "the second one has taken the first one's address away"
    broker.send_signal(signal.SIGTERM)
    broker.communicate(timeout=60)
    assert broker.returncode == 0
    assert not address.exists()
    lost = programs.run("topics", "show")
    assert lost.returncode == 1
    assert "start it with `shoal broker`" in lost.stderr
