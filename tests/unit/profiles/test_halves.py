"""Between float16 and float32 as NumPy has it, bit by bit."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.profiles.kernels import from_halves, to_halves

EVERY = np.arange(2**16, dtype=np.uint16)
FINITE = EVERY[np.isfinite(EVERY.view(np.float16))].reshape(4, -1)


def test_every_finite_half_is_read() -> None:
    scale = np.array([1, 0.3, 0, 7], np.float32)
    found = from_halves(FINITE, scale)
    assert found.tobytes() == (FINITE.view(np.float16).astype(np.float32) * scale[:, None]).tobytes()


@given(st.lists(st.floats(-(2.0**14), 2.0**14, width=32), min_size=1), st.floats(0.5, 1e4, width=32))
def test_quotients_are_rounded_as_numpy_does(values: list[float], divisor: float) -> None:
    row, by = np.array([values], np.float32), np.array([divisor], np.float32)
    assert to_halves(row, by).tolist() == (row / by[:, None]).astype(np.float16).view(np.uint16).tolist()


def test_what_lies_between_two_halves_goes_to_the_even_one() -> None:
    halves = np.sort(EVERY[:0x7800].view(np.float16)).astype(np.float32)  # 0 to 2^15
    between = (halves[1:] + halves[:-1]) / 2
    around = np.stack([between, np.nextafter(between, 0), np.nextafter(between, 1e6), -between])[:, :-1]
    one = np.ones(len(around), np.float32)
    assert to_halves(around, one).tobytes() == around.astype(np.float16).tobytes()
