"""Every setting, with its unit, its reason, and what goes wrong when it is off.

Read from a TOML file, then ``SHOAL_`` environment variables, then flags, each over the one before (``load``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class Section(BaseModel):
    """A table of the file; unknown keys are errors, since a misspelt key would otherwise do nothing, silently."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class KafkaSettings(Section):
    """Where the log is and what things are called there."""

    bootstrap_servers: str = ""  # empty: the embedded broker
    prefix: str = Field("shoal.", pattern=r"^[a-zA-Z0-9._-]*$")  # of every topic, group and transactional id
    generation: int = Field(1, ge=1)  # in the names of state topics and groups; a new one processes the log again
    partitions: int = Field(4, ge=1)  # of topics that are created; an existing events topic keeps its own
    replication: int = Field(1, ge=1)
    # Open transactions of a killed worker hold back every reader until this has passed or its successor starts: seconds,
    # not Kafka's minute. Below about 5 s a slow broker aborts healthy commits.
    transaction_timeout_ms: int = Field(10_000, ge=1_000)
    # Longer than the longest batch takes; a worker that is silent for longer loses its partitions.
    max_poll_interval_ms: int = Field(300_000, ge=10_000)
    # Passed to librdkafka as they are, over Shoal's own: security, buffers, debug. Values are never printed.
    librdkafka: dict[str, SecretStr] = Field(default_factory=dict)


class EmbeddedSettings(Section):
    """The Apache Kafka that Shoal runs itself when no bootstrap address is given."""

    directory: Path = Path(".shoal/kafka")
    host: str = "127.0.0.1"  # of the listener; anything else opens the broker to the network
    port: int = Field(0, ge=0, le=65_535)  # 0: any free one
    heap_mb: int = Field(512, ge=256)  # below 256 MB Kafka spends its time collecting garbage


class EventSettings(Section):
    """How events are read."""

    time_unit: Literal["auto", "s", "ms", "iso"] = "auto"
    # An event may be this far ahead of the log's append time; more is a dead letter, as one clock that runs ahead would
    # fade every profile. Clocks of phones are off by minutes, of wrong time zones by hours.
    max_future_skew_ms: int = Field(24 * HOUR_MS, ge=0)
    # What an action says of a user's taste, relative to a purchase. The order matters more than the figures.
    actions: dict[str, float] = Field(
        default_factory=lambda: {
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
    )
    default_action_weight: float = 0.3  # of an action not listed: as a click


class EncoderSettings(Section):
    """Which model turns text into vectors, and where it runs."""

    model: str = "packaged"  # 'packaged' (the extra minilm), a Hugging Face name, or a path
    revision: str | None = None  # of a Hugging Face model; pin it, or a change upstream changes every vector
    device: Literal["auto", "cpu", "cuda"] = "auto"
    pooling: Literal["mean", "cls", "last"] = "mean"
    max_tokens: int = Field(128, ge=8)  # longer texts are cut; cost grows with the square of it
    # Padded tokens (rows x longest row) that go through the model at once: small ones waste the cores' vector units, large ones fall out
    # of cache; a GPU wants about 16 times more.
    batch_tokens: int = Field(8_192, ge=128)
    threads: int = Field(0, ge=0)  # of torch; 0: its own choice
    cache: Path | None = Path(".shoal/vectors")  # vectors by text and encoder, kept over restarts; None: memory only
    cache_mb: int = Field(4_096, ge=16)  # most that the cache may take; 384 dimensions are 0.8 KB a text


class ProfileSettings(Section):
    """What is kept per user."""

    half_life_ms: int = Field(30 * DAY_MS, gt=0)  # of the taste vector, in event time; shorter follows, longer is steady
    history: int = Field(64, ge=1, le=255)  # distinct items remembered per user; 16 bytes each in every changelog row
    event_ids: int = Field(16, ge=1, le=255)  # remembered to know a duplicate; a producer's retries come close together
    ttl_ms: int = Field(365 * DAY_MS, gt=0)  # profiles idle for longer are forgotten


class ClusteringSettings(Section):
    """How profiles are clustered."""

    k: int = Field(16, ge=1)
    # Profiles are centred and projected to so many principal axes: the rest is noise to a distance, and cost.
    dimensions: int = Field(64, ge=1)
    # In profile updates. Shorter follows drift and is noisy, longer is steady and late.
    half_life: float = Field(20_000.0, gt=0)
    # Sampled users per cluster before the first centres are chosen: fewer give centres of chance, more start late.
    seed_users_per_cluster: int = Field(8, ge=1)
    sample: int = Field(2_048, ge=64)  # profiles kept for seeding and for judging; bounds memory and each decision's cost
    label_words: int = Field(3, ge=1)
    seed: int = 0


class RecommendingSettings(Section):
    """How lists are made."""

    k: int = Field(20, ge=1, le=255)
    candidates: int = Field(100, ge=1)  # per source and list; more costs time and finds little
    recent: int = Field(10, ge=1)  # of a user's last items, from which co-visitation looks on
    neighbours: int = Field(32, ge=1)  # kept per item; memory per item is 8 bytes each
    trending: int = Field(256, ge=1)  # items kept per cluster
    # Of counts, in events: shorter follows fashion, longer has more to count from.
    half_life: float = Field(50_000.0, gt=0)
    exclude_seen: bool = True  # items in a user's history are not listed to them again


class WorkerSettings(Section):
    """How a worker batches. Latency against throughput: ``linger_ms`` and ``micro_batch``."""

    instance: str = Field("worker-1", pattern=r"^[a-zA-Z0-9._-]+$")  # stable over restarts, one per running worker
    micro_batch: int = Field(2_048, ge=1)  # events in a batch, and in a transaction, at most
    linger_ms: int = Field(100, ge=0)  # a batch closes this long after its first event, full or not
    # The learner refreshes labels and weights after so many events; a decision costs about 50 ms off the hot path.
    learn_every: int = Field(5_000, ge=1)
    # Each list names every offset it took in: for audits of exactly-once; makes lists longer.
    provenance: bool = False


class LoggingSettings(Section):
    """What a program says of itself."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    json_lines: Annotated[bool, Field(alias="json")] = False


class Settings(Section):
    """All of it."""

    kafka: KafkaSettings = KafkaSettings()
    embedded: EmbeddedSettings = EmbeddedSettings()
    events: EventSettings = EventSettings()
    encoder: EncoderSettings = EncoderSettings()
    profiles: ProfileSettings = ProfileSettings()
    clustering: ClusteringSettings = ClusteringSettings()
    recommending: RecommendingSettings = RecommendingSettings()
    worker: WorkerSettings = WorkerSettings()
    logging: LoggingSettings = LoggingSettings()
