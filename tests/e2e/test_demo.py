"""The demonstration from beginning to end, on the embedded Kafka, as a user runs it."""

from __future__ import annotations

import re
import signal
from typing import Any

# Of what goes in beside the log: see consumers.demo.feed.
BROKEN, NOBODYS, REPEATED = 6, 3, 1

FEW_USERS = ["--set", "clustering.k=4", "--set", "worker.micro_batch=200"]


def figure(name: str, text: str) -> int:
    found = re.search(rf"^ *{name} +([\d,]+)", text, re.M)
    assert found, f"{name} is not in {text}"
    return int(found[1].replace(",", ""))


def assert_adds_up(text: str) -> None:
    parts = ("events", "dropped", "dead letters")
    assert figure("records in", text) == sum(figure(part, text) for part in parts)
    assert "unaccounted" not in text
    assert figure("dropped", text) == NOBODYS + ("duplicate" in text)
    assert figure("dead letters", text) == BROKEN
    assert figure("lists out", text) > 0


def assert_nothing_is_left(programs: Any) -> None:
    assert programs.left() == []
    assert list(programs.directory.iterdir()) == []
    assert list(programs.scratch.iterdir()) == []


def test_what_goes_in_comes_out_and_nothing_is_left(programs: Any) -> None:
    done = programs.run(*FEW_USERS, "demo", "--events", "2000", "--users", "100", "--speed", "max")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert figure("records in", done.stdout) == 2_000 + BROKEN + NOBODYS + REPEATED
    assert_adds_up(done.stdout)
    assert "bad_json 1" in done.stdout
    assert "hit rate@20" in done.stdout
    assert "adjusted Rand index" in done.stdout
    assert "SHOAL_KAFKA__BOOTSTRAP_SERVERS=127.0.0.1:" in done.stdout
    assert_nothing_is_left(programs)


def test_without_end_it_ends_when_asked_to(programs: Any) -> None:
    process = programs.start("demo", "--forever", "--events", "2000", "--users", "50", "--speed", "100000")
    seen = []
    for line in process.stdout:
        seen.append(line)
        if re.search(r"[1-9][\d,]* lists out", line):
            break
    process.send_signal(signal.SIGINT)
    out, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert_adds_up(out)
    assert_nothing_is_left(programs)


def test_a_worker_that_fails_is_heard(programs: Any) -> None:
    done = programs.run("--set", "encoder.model=/nowhere", "demo")
    assert done.returncode == 1
    assert "the worker has ended by itself" in done.stderr
    assert "encoder.model '/nowhere'" in done.stderr
    assert_nothing_is_left(programs)


def test_a_killed_demonstration_leaves_nothing(programs: Any) -> None:
    process = programs.start("demo", "--events", "2000")
    for line in process.stdout:
        if "lists out" in line:
            break
    process.kill()
    process.communicate()
    assert programs.wait_until_gone(30) == []
    assert_nothing_is_left(programs)
