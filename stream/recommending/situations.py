"""A user's situation, by which the ranker tells what counts: the same for all candidates of a list."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from stream.recommending.contexts import InContext
from stream.recommending.features import SITUATION
from stream.recommending.readers import Readers
from stream.recommending.tables import Floats
from stream.steps import SESSION_GAP_MS

# Means over a user's steps fade by so much a step (``stream.profiles.kernels.HABIT``).
HABIT = 0.9
# Steps of the log's mean that stand beside a user's own few.
LOG_SHARE = 2.0
# Log of seconds that stands for "never before": two centuries.
NEVER = 22.0


def describe_situation(
    readers: Readers, context: InContext, evidence: Floats, habits: npt.NDArray[np.float64]
) -> Floats:
    """The situations of m ``readers``, float32 (m, SITUATION).

    ``evidence`` (m, 2) of item models; ``habits`` (3,) of the log.
    """
    out = np.empty((len(readers.cluster), SITUATION), np.float32)
    past = readers.length, readers.steps, readers.silence, readers.repeats, readers.basket, readers.session
    said = context.evidence, context.escape, evidence
    _situate(past, readers.cluster, said, habits[0] / max(habits[2], 1e-9), out)
    return out


@njit(cache=True, error_model="numpy")
def _situate(past, cluster, said, log_repeats, out):  # type: ignore[no-untyped-def]
    length, steps, silence, repeats, basket, session = past
    evidence, escape, models = said
    for u in range(len(out)):
        x, contexts = out[u], evidence.shape[1]
        weight = (1 - HABIT ** steps[u]) / (1 - HABIT)
        known = silence[u] >= 0
        x[0] = np.log1p(length[u])
        x[1] = np.log1p(steps[u])
        x[2] = np.log1p(silence[u]) if known else NEVER
        x[3] = (repeats[u] + LOG_SHARE * log_repeats) / (weight + LOG_SHARE)
        x[4] = np.log1p(basket[u] / max(weight, 1e-9))
        x[5] = np.log1p(session[u])
        x[6] = log_repeats
        x[7] = not known or silence[u] * 1000 > SESSION_GAP_MS
        x[8] = cluster[u] >= 0
        for k in range(contexts):
            x[9 + k] = np.log1p(evidence[u, k])
        x[9 + contexts] = np.log(escape[u] + 1e-6)
        for k in range(models.shape[1]):
            x[10 + contexts + k] = np.log(models[u, k] + 1e-3)
