"""The same sums where the vectors are: on a GPU, so that only what a batch says of k clusters comes back.

One-hot products in place of scattered additions: atomic ones would give other last digits at each run.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from stream.clustering.assign import NOT_FINITE, Floats, half_squares


def on_device(X: Any) -> bool:
    """Whether ``X`` is a torch tensor in the memory of a GPU."""
    return bool(getattr(X, "is_cuda", False))


def assign_there(X: Any, centres: Floats, spherical: bool) -> tuple[Any, Any, Any]:
    """As ``assign.assign``, in torch: points (n, d), rows (n,), squared distances (n,).

    Raises
    ------
    ValueError
        If a row is not finite.
    """
    import torch

    points = X.detach().to(torch.float32)
    if spherical:
        length = points.norm(dim=1, keepdim=True)
        points = points / torch.where(length > 0, length, torch.ones_like(length))
    there = torch.tensor(centres, device=points.device)
    scores = points @ there.T - torch.tensor(half_squares(centres), device=points.device)
    best, rows = scores.max(dim=1)
    distances = (points * points).sum(dim=1) - 2 * best
    if not bool(torch.isfinite(distances.sum(dtype=torch.float64))):
        raise ValueError(NOT_FINITE)
    return points, rows, distances.clamp_min(0)


def sums_there(
    X: Any, centres: Floats, weights: Floats, spherical: bool
) -> tuple[npt.NDArray[np.float64], Floats, npt.NDArray[np.float64]]:
    """Weight (k,), sums (k, d), error (k,) of ``X`` (n, d) by nearest centre; ``weights`` (n,) or empty for 1."""
    import torch

    points, rows, distances = assign_there(X, centres, spherical)
    member = torch.nn.functional.one_hot(rows, len(centres)).to(torch.float32)
    if len(weights):
        member = member * torch.tensor(weights, device=points.device)[:, None]
    sums = member.T @ points
    error = (member * distances[:, None]).sum(dim=0, dtype=torch.float64)
    weight = member.sum(dim=0, dtype=torch.float64)
    return weight.cpu().numpy(), sums.cpu().numpy(), error.cpu().numpy()
