"""From one vector per token to one per text."""

from __future__ import annotations

import torch
from torch import Tensor


def pool(hidden: Tensor, lengths: Tensor, how: str) -> Tensor:
    """Return unit vectors (b, d) in float32 of hidden states (b, t, d), with ``lengths`` (b,) tokens a row.

    ``mean`` averages a row's own tokens (Sentence-BERT; Reimers and Gurevych, 2019), ``cls`` takes its first,
    ``last`` its last: the only token of a causal model, such as GPT-2, that has seen the whole text.
    """
    if how == "mean":
        own = torch.arange(hidden.shape[1], device=hidden.device) < lengths[:, None]
        # In float32 also for a model in half precision, whose sums would lose digits.
        pooled = (hidden.float() * own[:, :, None]).sum(1) / lengths[:, None]
    elif how == "cls":
        pooled = hidden[:, 0].float()
    else:
        pooled = hidden[torch.arange(len(hidden), device=hidden.device), lengths - 1].float()
    return torch.nn.functional.normalize(pooled, dim=1)
