"""How arrays get to a device: the same contract on the CPU, and on a CUDA that is played."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from stream.encoder.lanes import CpuLane, CudaLane, Lane, make_lane


class PlayedCuda:
    """Stands in for torch.cuda, on the CPU's memory; notes in which order it is asked for what."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        asked, played = self.asked, self

        class Stream:
            def __init__(self, device: torch.device) -> None:
                asked.append(f"stream on {device}")

            def wait_event(self, event: Any) -> None:
                asked.append("side stream waits for the mark")

            def synchronize(self) -> None:
                asked.append("side stream is waited for")

        class Event:
            def record(self) -> None:
                asked.append("mark")

        monkeypatch.setattr(torch.cuda, "Stream", Stream)
        monkeypatch.setattr(torch.cuda, "Event", Event)
        monkeypatch.setattr(torch.cuda, "stream", played.within)
        monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: asked.append("pin") or tensor)
        monkeypatch.setattr(
            torch.Tensor, "record_stream", lambda tensor, _: asked.append("kept for side stream")
        )
        to, empty = torch.Tensor.to, torch.empty
        monkeypatch.setattr(
            torch.Tensor, "to", lambda t, device, non_blocking: asked.append(f"to {device}") or to(t, "cpu")
        )
        monkeypatch.setattr(torch, "empty", lambda shape, dtype, pin_memory: empty(shape, dtype=dtype))

    @contextmanager
    def within(self, stream: Any) -> Iterator[None]:
        self.asked.append("into side stream")
        yield
        self.asked.append("out of side stream")


@pytest.fixture(params=["cpu", "cuda"])
def lane(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Lane:
    if request.param == "cuda":
        PlayedCuda(monkeypatch)
    return make_lane(torch.device(request.param))


def test_what_goes_up_comes_back(lane: Lane) -> None:
    up = lane.upload(np.arange(6).reshape(2, 3))
    mark = lane.mark()
    with lane.behind(mark, up):
        down = lane.download((up * 2).float())
    np.testing.assert_array_equal(down, [[0, 2, 4], [6, 8, 10]])
    assert down.dtype == np.float32


def test_on_cuda_pooling_waits_for_its_own_batch_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = PlayedCuda(monkeypatch)
    lane = CudaLane(torch.device("cuda"))
    up = lane.upload(np.arange(3))
    mark = lane.mark()
    with lane.behind(mark, up, up):
        lane.download(up.float())
    assert cuda.asked == [
        "stream on cuda",
        "pin",
        "to cuda",
        "mark",
        "into side stream",
        "side stream waits for the mark",
        "kept for side stream",
        "kept for side stream",
        "side stream is waited for",
        "out of side stream",
    ]


def test_the_lane_is_that_of_the_device() -> None:
    assert isinstance(make_lane(torch.device("cpu")), CpuLane)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_real_gpu() -> None:
    lane = make_lane(torch.device("cuda"))
    up = lane.upload(np.arange(4))
    mark = lane.mark()
    with lane.behind(mark, up):
        np.testing.assert_array_equal(lane.download(up.float()), [0, 1, 2, 3])
