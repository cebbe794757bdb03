"""Compiles the kernels before they are needed, by running a small log through all of the pipeline."""

from __future__ import annotations

import os
import time
from pathlib import Path

from producers.synthetic import SyntheticLog, SyntheticSettings
from stream import kernel_cache
from stream.config import Settings
from stream.encoder import make_encoder
from stream.evaluation.prequential import Evaluation

# Enough for clusters, labels and a ranker, whose kernels would compile at their first use otherwise.
EVENTS = 3_000
WARMING = Settings.model_validate(
    {
        "encoder": {"model": "hashing"},
        "clustering": {"k": 4, "seed_users_per_cluster": 2},
        "worker": {"learn_every": 1_000, "micro_batch": 512},
    }
)


def compile_kernels() -> float:
    """Leave numba's machine code in its cache, for this machine and version; how many seconds it took."""
    started = time.perf_counter()
    kernel_cache.forget_others(Path(os.environ[kernel_cache.VARIABLE]))
    log = SyntheticLog(SyntheticSettings(users=100, events=EVENTS))
    evaluation = Evaluation(WARMING, make_encoder(WARMING.encoder), log.items)
    evaluation.run(list(log.events()), "step")
    return time.perf_counter() - started
