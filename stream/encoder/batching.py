"""Which texts go through the model together, and what to do when that was too much for its memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from stream.errors import EncoderError

Tokens = Sequence[int]
T = TypeVar("T")

# A row may be padded to so many times its length. Higher wastes arithmetic on padding, lower makes many small
# batches. On two cores, titles of 4 to 20 tokens: 1.0 to 1.25 alike for 256 texts and more, 1.25 best for 64.
PADDING_LIMIT = 1.25


def plan(lengths: Sequence[int], budget: int) -> list[npt.NDArray[np.intp]]:
    """Put rows into batches, longest rows first, so that too little memory shows at once.

    Each batch holds little padding and at most ``budget`` padded tokens (rows x longest row), or one row.

    Examples
    --------
    >>> [b.tolist() for b in plan([3, 9, 9, 3, 10], budget=20)]
    [[4, 1], [2], [0, 3]]
    """
    batches: list[npt.NDArray[np.intp]] = []
    order = np.argsort(-np.asarray(lengths, np.int64), kind="stable")
    start, width = 0, 0
    for i, row in enumerate(order):
        if i == start:
            width = lengths[row]
        elif (i - start + 1) * width > budget or lengths[row] * PADDING_LIMIT < width:
            batches.append(order[start:i])
            start, width = i, lengths[row]
    if len(order):
        batches.append(order[start:])
    return batches


def run_halving(run: Callable[[Sequence[Tokens]], T], rows: Sequence[Tokens]) -> list[T]:
    """Return ``run(rows)``, or of its parts in turn: in halves as often as the device's memory does not suffice.

    Raises EncoderError when it does not suffice for a single row.
    """
    try:
        return [run(rows)]
    except torch.OutOfMemoryError as error:
        if len(rows) == 1:
            raise EncoderError(
                f"the device has not enough memory for one text of {len(rows[0])} tokens: "
                "lower encoder.max_tokens, or set encoder.device to 'cpu'"
            ) from error
    # Outside the handler, whose traceback would keep the failed run's tensors alive.
    torch.cuda.empty_cache()
    half = len(rows) // 2
    return run_halving(run, rows[:half]) + run_halving(run, rows[half:])
