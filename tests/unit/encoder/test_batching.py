from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stream.encoder.batching import PADDING_LIMIT, Tokens, plan, run_halving
from stream.encoder.interface import Vectors
from stream.errors import EncoderError


@given(st.lists(st.integers(1, 500)), st.integers(1, 5_000))
def test_plan_takes_each_row_once_within_its_bounds(lengths: list[int], budget: int) -> None:
    batches = plan(lengths, budget)
    rows = [int(row) for batch in batches for row in batch]
    assert sorted(rows) == list(range(len(lengths)))
    for batch in batches:
        of_batch = [lengths[row] for row in batch]
        assert len(batch) == 1 or len(batch) * max(of_batch) <= budget
        assert max(of_batch) <= PADDING_LIMIT * min(of_batch)


def test_plan_does_not_split_without_need() -> None:
    assert len(plan([10] * 100, budget=1_000)) == 1
    assert len(plan([10] * 100, budget=999)) == 2


def device_of(rows_at_most: int, calls: list[int]) -> Callable[[Sequence[Tokens]], Vectors]:
    def run(rows: Sequence[Tokens]) -> Vectors:
        calls.append(len(rows))
        if len(rows) > rows_at_most:
            raise torch.OutOfMemoryError
        return np.array([[row[0]] for row in rows], np.float32)

    return run


def test_run_halving_keeps_the_order() -> None:
    calls: list[int] = []
    rows = [[i] for i in range(11)]
    out = np.concatenate(run_halving(device_of(3, calls), rows))
    assert out[:, 0].tolist() == list(range(11))
    assert calls == [11, 5, 2, 3, 6, 3, 3]


def test_one_row_too_many_is_an_error() -> None:
    with pytest.raises(EncoderError, match=r"one text of 3 tokens: lower encoder\.max_tokens"):
        run_halving(device_of(0, []), [[1, 2, 3]])
