"""Every setting, with its unit, its reason, and what goes wrong when it is off; of lists in ``stream.config_lists``.

Read from a TOML file, then ``SHOAL_`` environment variables, then flags, each over the one before (``load``).
Tables are laid over each other key by key: ``[events.actions]`` with one line changes one weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationError

from stream.config_lists import (
    ItemModelSettings,
    PublishSettings,
    RecommendingSettings,
    RuleSettings,
    SequenceSettings,
)
from stream.config_section import Section
from stream.config_sources import Sources, to_toml
from stream.errors import ConfigError

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def _none_if_empty(value: object) -> object:
    return None if value == "" else value  # TOML and the environment have no null


def _librdkafka(options: object) -> object:
    """Options of librdkafka as texts by dotted name, from what a file or the environment can hold.

    Nested tables are flattened (in TOML ``security.protocol`` without quotes is one), and an underscore
    stands for a dot, which a variable's name cannot hold. No option set by text has an underscore.

    >>> _librdkafka({"security": {"protocol": "SSL"}, "socket_timeout_ms": 1000, "debug.on": True})
    {'security.protocol': 'SSL', 'socket.timeout.ms': '1000', 'debug.on': 'true'}
    """
    if not isinstance(options, Mapping):
        return options
    flat: dict[str, Any] = {}
    for name, value in options.items():
        key = str(name).replace("_", ".")
        if isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": x for inner, x in _librdkafka(value).items()}  # type: ignore[attr-defined]
        elif isinstance(value, bool):
            flat[key] = "true" if value else "false"
        else:
            flat[key] = str(value) if isinstance(value, int | float) else value
    return flat


def _over_default_actions(weights: object) -> object:
    return {**DEFAULT_ACTIONS, **weights} if isinstance(weights, Mapping) else weights


# What an action says of a user's taste, relative to a purchase. The order matters more than the figures.
DEFAULT_ACTIONS = {
    "purchase": 1.0,
    "cart": 0.6,
    "like": 0.8,
    "share": 0.8,
    "rate": 0.7,
    "choose": 1.0,
    "watch": 0.6,
    "click": 0.3,
    "view": 0.2,
    "search": 0.3,
    "impression": 0.0,
    "cancel": -1.0,
    "dislike": -1.0,
}


class KafkaSettings(Section):
    """Where the log is and what things are called there."""

    bootstrap_servers: str = ""  # empty: the embedded broker
    # Of every topic, group and transactional id.
    prefix: str = Field(default="shoal.", pattern=r"^[a-zA-Z0-9._-]*$")
    # In the names of state topics and groups; a new one processes the log again.
    generation: int = Field(default=1, ge=1)
    # Of topics that are created; an existing events topic keeps its own.
    partitions: int = Field(default=4, ge=1)
    replication: int = Field(default=1, ge=1)
    # Open transactions of a killed worker hold back every reader until this has passed or its successor
    # starts: seconds, not Kafka's minute. Below about 5 s a slow broker aborts healthy commits.
    transaction_timeout_ms: int = Field(default=10_000, ge=1_000)
    # Longer than the longest batch takes; a worker that is silent for longer loses its partitions.
    max_poll_interval_ms: int = Field(default=300_000, ge=10_000)
    # How partitions are shared out. "consumer" is KIP-848's: the broker assigns, members that stay are not disturbed.
    # It needs Kafka 4, or 3.7 and later where it is switched on; there the broker's settings say how long a dead
    # member's partitions wait (45 s). All members of a group use the same.
    group_protocol: Literal["classic", "consumer"] = "classic"
    # Use worker.instance as Kafka's group.instance.id, so that a worker that was killed and starts again gets its
    # partitions back at once, not after 10 s. Off: when a broker is lost, a coordinator that takes over may answer a
    # member as if another had its name (seen with three brokers), and the worker ends as fenced. Nothing is lost then,
    # but something has to start it again.
    static_membership: bool = False
    # Passed to librdkafka as they are, over Shoal's own: security, buffers, debug. Values are never printed.
    # In the environment SHOAL_KAFKA__LIBRDKAFKA__SASL_PASSWORD is sasl.password.
    librdkafka: Annotated[dict[str, SecretStr], BeforeValidator(_librdkafka)] = Field(default_factory=dict)


class EmbeddedSettings(Section):
    """The Apache Kafka that Shoal runs itself when no bootstrap address is given."""

    directory: Path = Path(".shoal/kafka")
    host: str = "127.0.0.1"  # of the listener; anything else opens the broker to the network
    port: int = Field(default=0, ge=0, le=65_535)  # 0: any free one
    heap_mb: int = Field(default=512, ge=256)  # below 256 MB Kafka spends its time collecting garbage


class EventSettings(Section):
    """How events are read."""

    time_unit: Literal["auto", "s", "ms", "iso"] = "auto"
    # An event may be this far ahead of the log's append time; more is a dead letter, as one clock that runs
    # ahead would fade every profile. Clocks of phones are off by minutes, of wrong time zones by hours.
    max_future_skew_ms: int = Field(default=24 * HOUR_MS, ge=0)
    # Those given are laid over the defaults, so that a file names only what differs.
    actions: Annotated[dict[str, float], BeforeValidator(_over_default_actions)] = Field(
        default_factory=DEFAULT_ACTIONS.copy
    )
    default_action_weight: float = 0.3  # of an action not listed: as a click


class EncoderSettings(Section):
    """Which model turns text into vectors, and where it runs."""

    model: str = "packaged"  # 'packaged' (the extra minilm), a Hugging Face name, or a path
    # Of a Hugging Face model; pin it, or a change upstream changes every vector.
    revision: Annotated[str | None, BeforeValidator(_none_if_empty)] = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    # What the model computes in. auto: float32 on a CPU, so that machines agree to the bit on who is where, half
    # precision on a GPU; bfloat16 is 1.7 times as fast on a CPU that has it in hardware. Another precision is
    # another encoder: its vectors do not mix with the others.
    precision: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    pooling: Literal["mean", "cls", "last"] = "mean"
    max_tokens: int = Field(default=128, ge=8)  # longer texts are cut; cost grows with the square of it
    # Padded tokens (rows x longest row) that go through the model at once: small batches waste the cores'
    # vector units, large ones fall out of cache; a GPU wants about 16 times more.
    batch_tokens: int = Field(default=8_192, ge=128)
    threads: int = Field(default=0, ge=0)  # of torch; 0: its own choice
    # Let torch compile the model, for a GPU with much to encode: the start takes a minute longer, and a C compiler.
    compile: bool = False
    # Vectors by text and encoder, kept over restarts; "" in a file: in memory only.
    cache: Annotated[Path | None, BeforeValidator(_none_if_empty)] = Path(".shoal/vectors")
    # Most that the cache may take; 384 dimensions are 0.8 KB a text.
    cache_mb: int = Field(default=4_096, ge=16)
    # How long a worker waits for vectors that another is to make, with nothing heard of any, before it makes them
    # itself. Below what a group takes to notice a dead member (10 s), or one turn of encoding (1 s), texts are encoded
    # twice; longer keeps items without vectors, and a start waiting, where a worker hangs.
    patience_ms: int = Field(default=60_000, ge=1_000)


class ProfileSettings(Section):
    """What is kept per user."""

    # Of the taste vector, in event time; shorter follows, longer is steady.
    half_life_ms: int = Field(default=30 * DAY_MS, gt=0)
    # Distinct items remembered per user; 18 bytes each in every changelog row. Who has had more takes up again what is
    # forgotten, and is shown it as new: shops whose customers have hundreds find more with 128, at a little more time.
    history: int = Field(default=64, ge=1, le=255)
    # Remembered to know a duplicate; a producer's retries come close together.
    event_ids: int = Field(default=16, ge=1, le=255)
    ttl_ms: int = Field(default=365 * DAY_MS, gt=0)  # profiles idle for longer are forgotten


class ClusteringSettings(Section):
    """How profiles are clustered."""

    algorithm: Literal["StreamingKMeans", "KMeans", "STREAMKMeans", "CluStream", "DBSTREAM", "DenStream"] = (
        "StreamingKMeans"  # all but the first are River's, and learn one point at a time
    )
    # Clusters, or "auto": as many as the first users show, within ``k_bounds``.
    k: Annotated[int, Field(ge=1)] | Literal["auto"] = 16
    k_bounds: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (4, 64)
    # How much nearer another centre must be, in squared distance, before a user moves. At 0 users on borders move
    # with every tremble of a centre; above about 0.5 they stay where they do not belong.
    margin: float = Field(default=0.2, ge=0)
    segments: tuple[Annotated[int, Field(ge=1)], ...] = (
        4,
    )  # segments over the clusters, coarse levels first
    # Profiles are centred and projected to so many principal axes: the rest is noise to a distance, and cost.
    dimensions: int = Field(default=64, ge=1)
    # Scale the axes to equal variance. Off: the axes that tell users apart most should count most, and what lies along
    # the last of 64 is mostly noise. On helps where a few axes drown all others.
    whiten: bool = False
    # Of River's class, over those that Shoal chooses: stream/clustering/adapters.py.
    parameters: dict[str, Any] = Field(default_factory=dict)
    # In profile updates. Shorter follows drift and is noisy, longer is steady and late.
    half_life: float = Field(default=20_000.0, gt=0)
    # Sampled users per cluster before the first centres are chosen: fewer give poor ones, more start late.
    seed_users_per_cluster: int = Field(default=8, ge=1)
    # Profiles kept for seeding and for judging; bounds memory and each decision's cost.
    sample: int = Field(default=2_048, ge=64)
    label_words: int = Field(default=3, ge=1)
    seed: int = 0


class WorkerSettings(Section):
    """How a worker batches. Latency against throughput: ``linger_ms`` and ``micro_batch``."""

    # Stable over restarts, one per running worker.
    instance: str = Field(default="worker-1", pattern=r"^[a-zA-Z0-9._-]+$")
    # Events in a batch, and in a transaction, at most; only a backlog fills it. Larger ones cost less per event, as
    # part of a batch's cost does not depend on its size; they take longer to do again after an abort, hold more in
    # memory (some 7 KB a user), and give a user with several events fewer lists.
    micro_batch: int = Field(default=2_048, ge=1)
    # Between the beginnings of two batches, unless one is full: the interval of commits. An event that comes after so
    # long a silence is processed at once. At 0 a trickle of events has a transaction for each, of a few milliseconds.
    linger_ms: int = Field(default=100, ge=0)
    # Records that make processing fail go to the dead letters, unless there are more than so many within the window:
    # then the worker stops, since the fault is hardly theirs. 0: it stops at the first.
    max_poison: int = Field(default=10, ge=0)
    poison_window_ms: int = Field(default=600_000, ge=1_000)
    # The learner refreshes labels and weights after so many events; a decision costs 50 ms off the hot path.
    learn_every: int = Field(default=5_000, ge=1)
    # Each list names every offset it took in, each delta those that were dropped: for audits of exactly-once;
    # makes both longer.
    provenance: bool = False


class SnapshotSettings(Section):
    """How much of the logs a worker that starts has to read again."""

    # Of the profiles here, a file for each partition; "" in a file: none, and a restart reads the whole changelog.
    directory: Annotated[Path | None, BeforeValidator(_none_if_empty)] = Path(".shoal/snapshots")
    # Between two snapshots, of the model and of a partition's profiles. Shorter writes much that is soon replaced,
    # longer leaves a restart more to read, and more of the model log untrimmed.
    every_ms: int = Field(default=600_000, ge=1_000)
    # Offsets of the model log after which the next snapshot of the model comes, however soon that is: a busy log
    # grows by two a batch, and a worker that starts folds some thousands of entries a second.
    entries: int = Field(default=10_000, ge=1)


class LoggingSettings(Section):
    """What a program says of itself."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    json_lines: bool = Field(default=False, alias="json")  # for machines; otherwise lines for people


class Settings(Section):
    """All of it."""

    kafka: KafkaSettings = KafkaSettings()
    embedded: EmbeddedSettings = EmbeddedSettings()
    events: EventSettings = EventSettings()
    encoder: EncoderSettings = EncoderSettings()
    profiles: ProfileSettings = ProfileSettings()
    clustering: ClusteringSettings = ClusteringSettings()
    recommending: RecommendingSettings = RecommendingSettings()
    rules: RuleSettings = RuleSettings()
    item_models: ItemModelSettings = ItemModelSettings()
    sequence: SequenceSettings = SequenceSettings()
    worker: WorkerSettings = WorkerSettings()
    publish: PublishSettings = PublishSettings()
    snapshots: SnapshotSettings = SnapshotSettings()
    logging: LoggingSettings = LoggingSettings()


def load(
    path: Path | None = None,
    env: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """Read all settings: a TOML file, over it ``SHOAL_`` variables of ``env``, over them ``overrides``.

    ``SHOAL_KAFKA__BOOTSTRAP_SERVERS`` is ``kafka.bootstrap_servers``; a table may also be JSON. ``overrides``
    are by dotted key; those that are None were not given. An empty text unsets what is optional. Names in the
    environment become lower case, which matters to actions: give those in capitals as JSON.

    Raises ConfigError that names key, value (unless it may be secret), its source and what is allowed.

    Examples
    --------
    >>> load(env={"SHOAL_KAFKA__PREFIX": "a."}, overrides={"clustering.k": 8}).kafka.prefix
    'a.'
    >>> load(overrides={"kafka.replication": 0})
    Traceback (most recent call last):
    stream.errors.ConfigError: kafka.replication = 0 (the command line): must be greater than or equal to 1
    """
    sources = Sources()
    if path is not None:
        sources.add_file(path)
    sources.add_environment(env or {})
    sources.add_flags(overrides or {})
    try:
        return Settings.model_validate(sources.values)
    except ValidationError as error:
        # Not chained: pydantic's error holds the values, and so secrets.
        raise ConfigError(sources.explain(error, Settings)) from None


def describe(settings: Settings) -> str:
    """All settings as TOML that ``load`` reads, secrets masked."""
    return to_toml(settings)
