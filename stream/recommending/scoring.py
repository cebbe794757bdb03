"""The ranker's score of candidates that are described: a linear part beside rectified units."""

from __future__ import annotations

import numpy as np
from numba import njit

# Units of the ranker's hidden layer: 16 tell situations apart (thin and long histories, strong and weak evidence);
# twice as many gain little and cost half a list's time.
HIDDEN = 16
# Features are held within so many standard deviations: one that is far out would drown all others.
FAR_OUT = np.float32(5)


@njit(cache=True, fastmath=True)
def situate(situation, ranker, hidden):  # type: ignore[no-untyped-def]
    """Write into ``hidden`` (HIDDEN,) what the situation (S,), the same for a whole list, gives to each unit."""
    _, _, _, _, _, S, b, _, mean, scale = ranker
    for h in range(HIDDEN):
        hidden[h] = b[h]
    for f in range(len(situation)):
        x = min(FAR_OUT, max(-FAR_OUT, (situation[f] - mean[f]) * scale[f]))
        for h in range(HIDDEN):
            hidden[h] += x * S[f, h]


@njit(cache=True, fastmath=True)
def silent_ones(floor, heard, ranker, hidden):  # type: ignore[no-untyped-def]
    """Add to ``hidden`` what columns give that say nothing, and so the same of all; returns their linear part.

    ``heard`` bool (columns,) says which are not silent; ``floor`` (columns,) is the feature of a share of 0.
    """
    _, mean, scale, linear, W, _, _, _, _, _ = ranker
    out = np.float32(0)
    for f in range(len(heard)):
        if heard[f]:
            continue
        x = min(FAR_OUT, max(-FAR_OUT, (floor[f] - mean[f]) * scale[f]))
        out += linear[f] * x
        for h in range(HIDDEN):
            hidden[h] += x * W[f, h]
    return out


@njit(cache=True, fastmath=True)
def _standardise(X, m, told, ranker, out):  # type: ignore[no-untyped-def]
    """Bring the features to their scales, and add their linear part to ``out``."""
    _, mean, scale, linear, _, _, _, _, _, _ = ranker
    for f in told:
        middle, factor, weight = mean[f], scale[f], linear[f]
        for q in range(m):
            x = min(FAR_OUT, max(-FAR_OUT, (X[f, q] - middle) * factor))
            X[f, q] = x
            out[q] += weight * x


@njit(cache=True, fastmath=True)
def score_features(X, m, told, prior, alike, situated, ranker, out):  # type: ignore[no-untyped-def]
    """Score the first ``m`` columns of ``X`` (F, cap), which is changed, by the features ``told`` (t,) of them.

    ``prior`` is the feature that also counts by itself, as it is; ``alike`` and ``situated`` (HIDDEN,) are from
    ``silent_ones`` and ``situate``. All inner loops run over candidates, which lie side by side: so each is one vector
    instruction for many of them.
    """
    gain, _, _, _, W, _, _, v, _, _ = ranker
    for q in range(m):
        out[q] = alike + gain[0] * X[prior, q]
    _standardise(X, m, told, ranker, out)
    fours = len(told) // 4 * 4
    one, two = np.empty(m, np.float32), np.empty(m, np.float32)
    # Two units and four features at once, or loads and stores would be most of it.
    for h in range(0, HIDDEN, 2):
        one[:], two[:] = situated[h], situated[h + 1]
        for t in range(0, fours, 4):
            e, f, g, i = told[t], told[t + 1], told[t + 2], told[t + 3]
            a, b, c, d = W[e, h], W[f, h], W[g, h], W[i, h]
            j, k, x, y = W[e, h + 1], W[f, h + 1], W[g, h + 1], W[i, h + 1]
            for q in range(m):
                one[q] += a * X[e, q] + b * X[f, q] + c * X[g, q] + d * X[i, q]
                two[q] += j * X[e, q] + k * X[f, q] + x * X[g, q] + y * X[i, q]
        for f in told[fours:]:
            for q in range(m):
                one[q] += W[f, h] * X[f, q]
                two[q] += W[f, h + 1] * X[f, q]
        for q in range(m):
            out[q] += max(one[q], np.float32(0)) * v[h] + max(two[q], np.float32(0)) * v[h + 1]
