"""How arrays get to the device and back: at once on a CPU, beside the computation on CUDA."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from stream.encoder.interface import Vectors


class Lane(Protocol):
    """Moves what the stages hand on. ``upload`` and ``mark`` belong to the forward stage, the rest to pooling.

    ``overlaps`` says whether forward passes and pooling gain from going on at the same time.
    """

    overlaps: bool

    def upload(self, array: npt.NDArray[np.int64]) -> Tensor:
        """Bring ``array`` to the device; may return before it is there, what is computed with it waits."""
        ...

    def mark(self) -> Any:
        """Give what stands for all that the forward stage has asked of the device so far."""
        ...

    def behind(self, mark: Any, *tensors: Tensor) -> Any:
        """Give a context: what is asked of the device in it waits for ``mark`` alone, and reads ``tensors``."""
        ...

    def download(self, vectors: Tensor) -> Vectors:
        """Bring ``vectors`` back, complete."""
        ...


class CpuLane:
    """Memory is shared, and a computation is done when its call returns.

    Each has all cores to itself: two at a time, each with a thread per core, would hinder each other.
    """

    overlaps = False

    def upload(self, array: npt.NDArray[np.int64]) -> Tensor:
        """See ``Lane.upload``."""
        return torch.from_numpy(array)

    def mark(self) -> None:
        """See ``Lane.mark``."""

    @contextmanager
    def behind(self, mark: None, *tensors: Tensor) -> Iterator[None]:  # noqa: ARG002 - nothing to wait for
        """See ``Lane.behind``."""
        yield

    def download(self, vectors: Tensor) -> Vectors:
        """See ``Lane.download``."""
        array: Vectors = vectors.numpy()
        return array


class CudaLane:
    """Copies through pinned memory, and pools on a stream of its own.

    So the next forward pass runs while the vectors of the last one are pooled and come back; on one stream
    the copy back would wait for every pass asked for meanwhile.
    """

    overlaps = True

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def upload(self, array: npt.NDArray[np.int64]) -> Tensor:
        """See ``Lane.upload``."""
        # From memory that may be paged out the driver copies twice, and waits.
        return torch.from_numpy(array).pin_memory().to(self._device, non_blocking=True)

    def mark(self) -> torch.cuda.Event:
        """See ``Lane.mark``."""
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()
        return event

    @contextmanager
    def behind(self, mark: torch.cuda.Event, *tensors: Tensor) -> Iterator[None]:
        """See ``Lane.behind``."""
        with torch.cuda.stream(self._stream):
            self._stream.wait_event(mark)
            for tensor in tensors:
                tensor.record_stream(self._stream)  # or its memory might be given to the next pass too early
            yield

    def download(self, vectors: Tensor) -> Vectors:
        """See ``Lane.download``; called within ``behind``."""
        host = torch.empty(vectors.shape, dtype=vectors.dtype, pin_memory=True)
        host.copy_(vectors, non_blocking=True)
        self._stream.synchronize()
        array: Vectors = host.numpy()
        return array


def make_lane(device: torch.device) -> Lane:
    """Give the lane to ``device``."""
    return CudaLane(device) if device.type == "cuda" else CpuLane()
