"""Logarithms and powers of many numbers at once, against NumPy's."""

from __future__ import annotations

import numpy as np

from stream.recommending.logarithms import take_exponentials, take_logs


def test_logarithms_are_near_enough() -> None:
    x = np.geomspace(1e-7, 1e9, 6_000, dtype=np.float32).reshape(3, 2_000)
    logs = x.copy()
    take_logs(logs, 1, 3, 1_999, np.float32(np.log(2)))
    np.testing.assert_allclose(logs[1:, :1_999], np.log(x[1:, :1_999]), rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(logs[0], x[0])
    np.testing.assert_array_equal(logs[:, 1_999], x[:, 1_999])


def test_the_logarithm_of_one_is_nothing() -> None:
    x = np.ones((1, 1), np.float32)
    take_logs(x, 0, 1, 1, np.float32(1))
    assert x[0, 0] == 0


def test_exponentials_are_near_enough() -> None:
    x = np.linspace(-80, 80, 3_001, dtype=np.float32)
    powers = x.copy()
    take_exponentials(powers, 3_000)
    np.testing.assert_allclose(powers[:3_000], np.exp(x[:3_000].astype(np.float64)), rtol=1e-5)
    assert powers[3_000] == x[3_000]


def test_what_is_too_small_is_next_to_nothing() -> None:
    x = np.array([-1e4], np.float32)
    take_exponentials(x, 1)
    assert 0 <= x[0] < 1e-37
