"""A user's situation, by which the ranker tells what counts: the same for all candidates of a list."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.recommending.contexts import InContext
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
    log_repeats = habits[0] / max(habits[2], 1e-9)
    weight = (1 - HABIT**readers.steps) / (1 - HABIT)
    known = readers.silence >= 0
    columns = [
        np.log1p(readers.length),
        np.log1p(readers.steps),
        np.where(known, np.log1p(np.maximum(readers.silence, 0)), NEVER),
        (readers.repeats + LOG_SHARE * log_repeats) / (weight + LOG_SHARE),
        np.log1p(readers.basket / np.maximum(weight, 1e-9)),
        np.log1p(readers.session),
        np.full(len(weight), log_repeats),
        (readers.silence * 1000 > SESSION_GAP_MS) | ~known,
        readers.cluster >= 0,
        *np.log1p(context.evidence).T,
        np.log(context.escape + 1e-6),
        *np.log(evidence + 1e-3).T,
    ]
    return np.stack(columns, axis=1).astype(np.float32)
