"""Logarithms and powers of many numbers at once, in vector instructions: those of libraries go one by one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from numba import njit


def _series(
    of: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]], low: float, high: float, n: int
) -> tuple[np.float32, ...]:
    """Coefficients of the polynomial of degree n - 1 that is nearest to ``of`` between ``low`` and ``high``."""
    fitted = np.polynomial.Chebyshev.interpolate(of, n - 1, domain=[low, high])
    return tuple(fitted.convert(kind=np.polynomial.Polynomial).coef.astype(np.float32))


# A number is 2^e (1 + t), with 1 + t between the roots of 1/2 and of 2: ``ROOT_HALF`` are the bits of the former.
ROOT_HALF = np.int32(0x3F3504F3)
LOW, HIGH = np.sqrt(0.5) - 1, np.sqrt(2) - 1
# log2(1 + t) is t times this, to 1e-6; and 2^t for t from 0 to 1, to 1e-7 of it.
A, B, C, D, E, F, G, H, J = _series(lambda t: np.log2(1 + t) / t, LOW, HIGH, 9)  # fmt: skip
P, Q, R, S, T, U, V = _series(np.exp2, 0, 1, 7)
LOG2E = np.float32(np.log2(np.e))
# The least power of 2 that is no denormal number, near enough to 0 for a share.
LEAST_POWER = np.float32(-126)


@njit(cache=True, fastmath=True)
def take_logs(X, first, last, m, unit):  # type: ignore[no-untyped-def]
    """Replace the first m of each of the rows ``first`` to ``last`` of ``X`` float32 by unit * log2(x), to 1e-6.

    The numbers are positive. Their bits are an exponent and a mantissa; of the latter a polynomial.
    """
    bits = X.view(np.int32)
    exponent = np.empty(m, np.float32)
    for f in range(first, last):
        for q in range(m):
            above = bits[f, q] - ROOT_HALF
            exponent[q] = above >> 23
            bits[f, q] = (above & 0x7FFFFF) + ROOT_HALF
        for q in range(m):
            t = X[f, q] - np.float32(1)
            s = A + t * (B + t * (C + t * (D + t * (E + t * (F + t * (G + t * (H + t * J)))))))
            X[f, q] = unit * (exponent[q] + t * s)


@njit(cache=True, fastmath=True)
def take_exponentials(x, n):  # type: ignore[no-untyped-def]
    """Replace the first n of ``x`` float32, none of them above 80, by e^x, to a millionth of it; 0 is 2^-126."""
    bits = x.view(np.int32)
    whole = np.empty(n, np.int32)
    for q in range(n):
        y = max(x[q] * LOG2E, LEAST_POWER)
        floor = np.floor(y)
        whole[q] = np.int32(floor)
        x[q] = y - floor
    for q in range(n):
        t = x[q]
        x[q] = P + t * (Q + t * (R + t * (S + t * (T + t * (U + t * V)))))
    for q in range(n):
        bits[q] += whole[q] << 23
