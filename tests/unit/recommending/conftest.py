"""Steps as deltas carry them, made by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from stream.steps import CONTEXTS, Steps

MakeSteps = Callable[..., Steps]


@pytest.fixture
def make_steps() -> MakeSteps:
    """One step for each of ``sizes``, with windows of (row, steps ago), and all keys of a step the same."""

    def make(
        sizes: Sequence[int],
        windows: Sequence[Sequence[tuple[int, int]]] | None = None,
        clusters: Sequence[int] | None = None,
        flags: Sequence[int] | None = None,
        keys: Sequence[int] | None = None,
    ) -> Steps:
        s = len(sizes)
        windows = windows or [[]] * s
        return Steps(
            size=np.array(sizes, np.int32),
            time=np.zeros(s, np.int64),
            flags=np.array(flags or [0] * s, np.uint8),
            gap=np.full(s, 60, np.float32),
            cluster=np.array(clusters or [-1] * s, np.int32),
            keys=np.repeat(np.array(keys or [0] * s, np.uint64)[:, None], CONTEXTS, axis=1),
            window_size=np.array([len(window) for window in windows], np.uint8),
            window=np.array([row for window in windows for row, _ in window], np.int32),
            lag=np.array([lag for window in windows for _, lag in window], np.uint8),
        )

    return make
