"""Fixtures that several suites share."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import settings
from typer.main import get_command

from consumers.cli import app
from stream.config import EncoderSettings, Settings
from stream.events.batch import EventBatch
from stream.hashing import hash_texts

# The first call of a kernel compiles it, so times say nothing. Examples are the same in each run, so that a change is
# not refused for what was there before it; SHOAL_TESTS_EXPLORE draws others.
settings.register_profile("shoal", deadline=None, derandomize=not os.environ.get("SHOAL_TESTS_EXPLORE"))
settings.load_profile("shoal")

BatchFactory = Callable[..., EventBatch]


@pytest.fixture(scope="session")
def make_batch() -> BatchFactory:
    """Events by columns; only users, times and items have to be given, as texts and ms."""

    def make(
        users: Sequence[str],
        times: Sequence[int],
        items: Sequence[str | None],
        weights: Sequence[float] | None = None,
        partitions: Sequence[int] | None = None,
        event_ids: Sequence[str | None] | None = None,
        actions: Sequence[int] | None = None,
        texts: Sequence[str | None] | None = None,
        first_offset: int = 0,
    ) -> EventBatch:
        n = len(users)
        return EventBatch(
            partition=np.array(partitions if partitions is not None else [0] * n, np.int32),
            offset=np.arange(first_offset, first_offset + n),
            ingest_time=np.array(times, np.int64),
            epoch=np.ones(n, np.int32),
            time=np.array(times, np.int64),
            user=hash_texts(users),
            item=hash_texts(items),
            action=np.array(actions if actions is not None else [1] * n, np.uint16),
            weight=np.array(weights if weights is not None else [1.0] * n, np.float32),
            event_id=hash_texts(event_ids if event_ids is not None else [None] * n),
            session=np.zeros(n, np.uint64),
            value=np.full(n, np.nan, np.float32),
            list_id=np.zeros(n, np.uint64),
            position=np.full(n, -1, np.int16),
            user_id=list(users),
            item_id=list(items),
            text=list(texts if texts is not None else [None] * n),
            inline=[None] * n,
        )

    return make


@pytest.fixture(scope="session")
def small_settings() -> Settings:
    """Settings that learn from little, with the encoder that needs no model."""
    return Settings.model_validate(
        {
            "encoder": EncoderSettings(model="hashing"),
            "clustering": {"k": 4, "seed_users_per_cluster": 4, "dimensions": 16},
            "recommending": {"k": 10},
            "snapshots": {"directory": None},
            "worker": {"learn_every": 500, "micro_batch": 256, "linger_ms": 0},
        }
    )


@pytest.fixture(scope="session")
def parse_command() -> Callable[[Sequence[str]], None]:
    """Reads the arguments of a command line as ``shoal`` does, and runs nothing; fails as it would.

    A command alone is only looked up: texts name it without what it needs.
    """

    def parse(arguments: Sequence[str]) -> None:
        command, context, rest = get_command(app), None, list(arguments)
        name = "shoal"
        while hasattr(command, "resolve_command"):
            context = command.make_context(name, rest, parent=context)
            name, command, rest = command.resolve_command(context, context._protected_args + context.args)
        if len(arguments) > 1:
            command.make_context(name, rest, parent=context)

    return parse
