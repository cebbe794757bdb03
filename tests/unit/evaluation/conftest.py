"""Steps and targets by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from stream.evaluation.past import Asked, Targets

StepFactory = Callable[..., tuple[Asked, Targets]]


@pytest.fixture
def make_steps() -> StepFactory:
    """Steps (user, ms, items wanted), before which their users had ``had`` (item -> ms); items are numbers."""

    def make(
        steps: Sequence[tuple[int, int, Sequence[int]]],
        had: Sequence[dict[int, int]] | None = None,
        first: int = 0,
        earlier: Sequence[int] | None = None,
        age: Sequence[int] | None = None,
    ) -> tuple[Asked, Targets]:
        m = len(steps)
        past = had or [{}] * m
        rows = np.zeros(m, [("events", "<u4"), ("list_item", "<u8", (2,))])
        rows["events"] = earlier or [0] * m
        place = np.repeat(np.arange(m), [len(items) for _, _, items in steps])
        item = np.array([i for _, _, items in steps for i in items], np.uint64)
        asked = Asked(
            step=np.arange(first, first + m),
            user=np.array([user for user, _, _ in steps], np.uint64),
            time=np.array([time for _, time, _ in steps], np.int64),
            rows=rows,
            had=[np.array(list(items), np.uint64) for items in past],
            had_at=[np.array(list(items.values()), np.int64) for items in past],
        )
        new = np.array([int(i) not in past[p] for p, i in zip(place, item, strict=True)], np.bool_)
        ages = np.array(age if age is not None else [1_000] * len(item), np.int64)
        return asked, Targets(place, item, new, ages)

    return make
