"""The embedded Kafka: starts, stops, survives, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stream.broker.embedded import EmbeddedKafka
from stream.broker.interface import TopicSpec
from stream.broker.kafka import KafkaBroker
from stream.broker.kafka_client import answers
from stream.errors import BrokerError, BrokerUnavailable

PATIENCE = 30.0


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def publish(broker: KafkaBroker, topic: str, value: bytes) -> None:
    publisher = broker.publisher()
    publisher.send(topic, [None], [value])
    publisher.close()


def test_data_and_port_survive_a_stop_and_a_kill(tmp_path: Path, broker_settings: Any) -> None:
    kafka = EmbeddedKafka(tmp_path / "kafka", heap_mb=256)
    with kafka:
        servers = kafka.bootstrap_servers
        assert servers.startswith("127.0.0.1:")
        settings = broker_settings()
        broker, topic = KafkaBroker(settings, servers), settings.prefix + "topic"
        broker.create_topics([TopicSpec(topic, 1)])
        publish(broker, topic, b"1")
        with pytest.raises(BrokerError, match="runs already"):
            kafka.start()
        with pytest.raises(BrokerError, match="another Kafka runs on"):
            EmbeddedKafka(tmp_path / "kafka").start()
        kafka.stop()
        assert not answers(servers, timeout=0.3)
        kafka.start()
        publish(broker, topic, b"2")
        kafka.kill()
        kafka.start()
        assert kafka.bootstrap_servers == servers
        reader = broker.reader(topic, "earliest")
        assert [v for r in reader.read_to_end(PATIENCE) for v in r.values] == [b"1", b"2"]
        reader.close()
    assert (tmp_path / "kafka" / "data").is_dir()
    kafka.close()


def test_a_failed_start_says_why(tmp_path: Path) -> None:
    kafka = EmbeddedKafka(tmp_path / "kafka", heap_mb=256)
    data = tmp_path / "kafka" / "data"
    data.mkdir(parents=True)
    (data / "meta.properties").write_text("version=1\ncluster.id=someone-elses\nnode.id=7\n", "utf-8")
    with pytest.raises(BrokerUnavailable, match=r"(?s)the end of .*kafka\.log.*node"):
        kafka.start()
    with pytest.raises(BrokerUnavailable):  # it holds no lock, and can be tried again
        kafka.start()


def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(BrokerError, match=f"port {port} is taken"):
            EmbeddedKafka(tmp_path / "kafka", port=port).start()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_nothing_is_left_when_the_parent_is_killed(tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import time
        from stream.broker.embedded import EmbeddedKafka
        with EmbeddedKafka(heap_mb=256) as kafka:
            print(kafka.directory, flush=True)
            time.sleep(600)
    """)
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    assert parent.stdout
    directory = parent.stdout.readline().strip()
    assert len(processes_of(directory)) >= 2  # the supervisor, and Java
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    until(lambda: not processes_of(directory))
    until(lambda: not list(tmp_path.iterdir()))


def test_a_killed_supervisor_takes_kafka_with_it(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("the kernel's parent-death signal is Linux's")
    kafka = EmbeddedKafka(tmp_path / "kafka", heap_mb=256).start()
    assert kafka._process
    os.kill(kafka._process.pid, signal.SIGKILL)
    until(lambda: not processes_of(str(kafka.directory)))
    kafka.close()


def processes_of(directory: str) -> list[int]:
    """Processes whose command line names ``directory``."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        if directory.encode() in command:
            found.append(int(entry.name))
    return found
