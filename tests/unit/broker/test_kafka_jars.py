from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from stream.broker import kafka_jars
from stream.broker.kafka_jars import Jar, install, locked_jars
from stream.errors import BrokerError, ConfigError

CONTENT = b"a jar"
JAR = Jar(hashlib.sha256(CONTENT).hexdigest(), "org.example", "thing", "1.0")


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, bytes]:
    """What the network would give, by file name; the cache is empty."""
    served = {JAR.file_name: CONTENT}

    def download(jar: Jar, scratch: Path) -> Path:
        path = scratch / jar.file_name
        path.write_bytes(served[jar.file_name])
        return path

    monkeypatch.delenv("KAFKA_HOME", raising=False)
    monkeypatch.setenv("SHOAL_CACHE", str(tmp_path))
    monkeypatch.setattr(kafka_jars, "locked_jars", lambda: [JAR])
    monkeypatch.setattr(kafka_jars, "_download", download)
    return served


def test_the_list_is_complete_and_well_formed() -> None:
    jars = locked_jars()
    assert {"kafka_2.13", "kafka-clients", "scala-library", "slf4j-simple"} <= {jar.artifact for jar in jars}
    assert all(len(bytes.fromhex(jar.sha256)) == 32 for jar in jars)
    assert {jar.version for jar in jars if jar.group == "org.apache.kafka"} == {"4.3.1"}


def test_jars_are_fetched_once_and_progress_is_told(repository: dict[str, bytes], tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    assert install(lambda *step: told.append(step)) == [tmp_path / "kafka" / "thing-1.0.jar"]
    assert told == [(0, 1, "thing-1.0.jar"), (1, 1, "")]
    repository.clear()  # no network from here on
    (path,) = install()
    assert path.read_bytes() == CONTENT


def test_a_jar_with_another_checksum_is_not_installed(repository: dict[str, bytes], tmp_path: Path) -> None:
    repository[JAR.file_name] = b"something else"
    with pytest.raises(BrokerError, match="SHA-256"):
        install()
    assert list((tmp_path / "kafka").iterdir()) == []


def test_a_jar_damaged_in_the_cache_is_fetched_again(repository: dict[str, bytes]) -> None:
    (path,) = install()
    path.write_bytes(b"half a j")
    install()
    assert path.read_bytes() == CONTENT


def test_kafka_home_is_used_instead(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KAFKA_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="KAFKA_HOME"):
        install()
    (tmp_path / "libs").mkdir()
    (tmp_path / "libs" / "kafka.jar").touch()
    assert install() == [tmp_path / "libs" / "kafka.jar"]
