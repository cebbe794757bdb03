"""What a batch adds to the model: how its windows are packed."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.contributing import packed

WIDTH = 4
WINDOWS = st.lists(st.lists(st.integers(1, 2**64 - 1), max_size=WIDTH), max_size=8)


@given(WINDOWS, st.data())
def test_windows_are_packed_as_a_mask_would(windows: list[list[int]], data: st.DataObject) -> None:
    steps = np.array(
        data.draw(st.lists(st.integers(0, len(windows) - 1)) if windows else st.just([])), np.int64
    )
    window = np.array([row + [0] * (WIDTH - len(row)) for row in windows], np.uint64).reshape(-1, WIDTH)
    lag = np.arange(window.size, dtype=np.uint8).reshape(window.shape)
    size, items, lags = packed(window, lag, steps)
    used = window[steps] != 0
    assert size.tolist() == used.sum(axis=1).tolist()
    assert items.tolist() == window[steps][used].tolist()
    assert lags.tolist() == lag[steps][used].tolist()
