"""The GPU's way of summing, run on the CPU where there is no GPU: it must say what the kernels say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stream.clustering import StreamingKMeans
from stream.clustering.device import assign_there, sums_there

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("spherical", [False, True])
def test_equals_the_kernels(spherical: bool, weighted: bool) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 7)).astype(np.float32)
    X[5] = 0
    weights = rng.uniform(0.1, 2, 300).astype(np.float32) if weighted else np.zeros(0, np.float32)
    model = StreamingKMeans(n_clusters=9, half_life=10.0, spherical=spherical)
    model.seed_with(rng.normal(size=(9, 7)))
    stats = model.accumulate(X, weights if weighted else None)
    weight, sums, error = sums_there(torch.tensor(X, device=DEVICE), model.centres, weights, spherical)
    np.testing.assert_allclose(weight[stats.ids], stats.weight, rtol=1e-5)
    np.testing.assert_allclose(sums[stats.ids], stats.sums, atol=1e-4)
    np.testing.assert_allclose(error[stats.ids], stats.error, atol=1e-3)
    rows = assign_there(torch.tensor(X, device=DEVICE), model.centres, spherical)[1]
    assert rows.cpu().tolist() == model.predict_many(X).tolist()


def test_what_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        assign_there(torch.tensor([[0.0, float("nan")]]), np.eye(2, dtype=np.float32), False)


@pytest.mark.skipif(DEVICE == "cpu", reason="no GPU")
def test_learns_from_the_gpu() -> None:
    X = torch.randn(500, 8, device="cuda")
    here, there = (StreamingKMeans(n_clusters=4, half_life=100.0, warm_up=2) for _ in range(2))
    here.seed_with(np.eye(8)[:4])
    there.seed_with(np.eye(8)[:4])
    here.learn_many(X.cpu().numpy())
    there.learn_many(X)
    np.testing.assert_allclose(here.centres, there.centres, atol=1e-4)
    assert here.predict_many(X.cpu().numpy()).tolist() == there.predict_many(X).tolist()


def test_the_model_takes_the_way_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for vectors on a GPU, with ones that say they are."""
    monkeypatch.setattr("stream.clustering.weighted.on_device", torch.is_tensor)
    X = torch.tensor(np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32), device=DEVICE)
    here, there = (StreamingKMeans(n_clusters=4, half_life=100.0, warm_up=2) for _ in range(2))
    for model in (here, there):
        model.seed_with(np.eye(8)[:4])
    here.learn_many(X.cpu().numpy())
    there.learn_many(X)
    np.testing.assert_allclose(here.centres, there.centres, atol=1e-4)
    np.testing.assert_allclose(here.weights, there.weights, rtol=1e-5)
    assert here.predict_many(X.cpu().numpy()).tolist() == there.predict_many(X).tolist()
