"""Apache Kafka's jars: fetched once, checked against a list of checksums, then used without a network."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from stream.errors import BrokerError, BrokerUnavailable, ConfigError

LOCK_FILE = "kafka-jars.sha256"
CHUNK_BYTES = 1 << 20  # read at once when hashing; any size that is small beside the jars will do

Progress = Callable[[int, int, str], None]  # jars done, jars in all, name of the one at hand


@dataclass(frozen=True, slots=True)
class Jar:
    """One artifact of the lock file."""

    sha256: str
    group: str
    artifact: str
    version: str

    @property
    def file_name(self) -> str:
        """The name under which Maven repositories, and the cache, keep it."""
        return f"{self.artifact}-{self.version}.jar"


def locked_jars() -> list[Jar]:
    """Every jar Kafka needs, as checked in beside this module.

    Examples
    --------
    >>> [jar.version for jar in locked_jars() if jar.artifact == "kafka_2.13"]
    ['4.3.1']
    """
    text = resources.files("stream.broker").joinpath(LOCK_FILE).read_text("utf-8")
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    return [Jar(digest, *coordinates.split(":")) for digest, coordinates in lines]


def cache_directory() -> Path:
    """Where jars are kept: ``SHOAL_CACHE``, else the user's cache directory."""
    if chosen := os.environ.get("SHOAL_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shoal"


def install(progress: Progress | None = None) -> list[Path]:
    """Make sure that Kafka's jars are on this machine, whole; needs no network, and 50 ms, where they are.

    ``KAFKA_HOME``, where set, names an unpacked Kafka to use instead.

    Returns
    -------
    list[Path]
        The class path.

    Raises
    ------
    ConfigError
        When ``KAFKA_HOME`` holds no jars, or the extra ``embedded`` is missing.
    BrokerUnavailable
        When a jar cannot be fetched.
    BrokerError
        When a fetched jar is not what its checksum says.
    """
    if home := os.environ.get("KAFKA_HOME"):
        return _jars_of(Path(home))
    jars = locked_jars()
    directory = cache_directory() / "kafka"
    for done, jar in enumerate(jars):
        if not _is_whole(directory / jar.file_name, jar):
            if progress:
                progress(done, len(jars), jar.file_name)
            _fetch(jar, directory)
    if progress:
        progress(len(jars), len(jars), "")
    return [directory / jar.file_name for jar in jars]


def _jars_of(home: Path) -> list[Path]:
    jars = sorted((home / "libs").glob("*.jar"))
    if not jars:
        raise ConfigError(
            f"KAFKA_HOME is {home}, which holds no libs/*.jar; unset it or name an unpacked Kafka"
        )
    return jars


def _is_whole(path: Path, jar: Jar) -> bool:
    return path.exists() and _sha256(path) == jar.sha256


def _fetch(jar: Jar, directory: Path) -> None:
    """Download into a temporary directory, check, and only then put in place."""
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=directory) as scratch:
        path = _download(jar, Path(scratch))
        found = _sha256(path)
        if found != jar.sha256:
            raise BrokerError(
                f"{jar.file_name} has SHA-256 {found}, not {jar.sha256}: the repository or something on the "
                "way to it has changed the file; it was not installed"
            )
        path.replace(directory / jar.file_name)


def _download(jar: Jar, scratch: Path) -> Path:
    try:
        # Imported here: a start from the cache needs neither the module nor the third of a second it takes to
        # load.
        from jgo.config import GlobalSettings
        from jgo.maven import MavenContext
    except ImportError as error:
        raise ConfigError(
            "the embedded Kafka needs the extra 'embedded': pip install 'shoal[embedded]'"
        ) from error
    # jgo's own configuration file may name further repositories, such as a company's mirror.
    repositories = MavenContext().remote_repos | GlobalSettings.load().repositories
    context = MavenContext(repo_cache=scratch, remote_repos=repositories)
    try:
        return Path(context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve())
    except (OSError, RuntimeError) as error:  # requests' errors are OSErrors; jgo raises RuntimeError
        raise BrokerUnavailable(
            f"cannot fetch {jar.file_name} from {', '.join(repositories.values())}: {error}. Try again with "
            "a network, or unpack Apache Kafka and set KAFKA_HOME"
        ) from error


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
