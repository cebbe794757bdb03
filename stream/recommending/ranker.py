"""The ranker: a small network over what speaks for a candidate, learnt from what is taken of lists."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from stream.recommending.kernels import HIDDEN, MORE_FEATURES

Floats = npt.NDArray[np.float32]

LEARNING_RATE = 2e-3  # of Adam; a tenth learns too late for a log's fashions, ten times as much forgets them
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # Adam's own (Kingma and Ba, 2015)
WEIGHT_DECAY = 1e-5  # per step; keeps what nothing teaches near zero
LISTS_PER_STEP = 64
# Lists seen again for each new one: the new teach what has changed, the old keep what has not.
REPLAY = 3


@dataclass(frozen=True, slots=True)
class RankerState:
    """Weights, with Adam's moments: the next training goes on from them, whoever is the learner by then."""

    linear: Floats  # (F,)
    W: Floats  # (F, HIDDEN)
    b: Floats  # (HIDDEN,)
    v: Floats  # (HIDDEN,)
    first: Floats  # (parameters,) first moments
    second: Floats  # (parameters,) second moments
    steps: int

    @classmethod
    def prior(cls, sources: int, seed: int) -> RankerState:
        """Ranks as the mixture of the sources does, until it knows better."""
        f = sources + MORE_FEATURES
        rng = np.random.default_rng(seed)
        linear = np.zeros(f, np.float32)
        linear[sources] = 1.0
        W = (rng.uniform(-1, 1, (f, HIDDEN)) / np.sqrt(f)).astype(np.float32)
        size = f + W.size + 2 * HIDDEN
        zeros = np.zeros(size, np.float32)
        return cls(linear, W, np.zeros(HIDDEN, np.float32), np.zeros(HIDDEN, np.float32), zeros, zeros, 0)

    def arrays(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Give what scoring needs."""
        return self.linear, self.W, self.b, self.v


@dataclass(frozen=True, slots=True)
class SampledLists:
    """Lists that might have been published, laid end to end: c candidates of l lists."""

    size: npt.NDArray[np.int32]  # (l,) candidates of each list
    features: npt.NDArray[np.float16]  # (c, F)
    hit: npt.NDArray[np.bool_]  # (c,) taken by the user; at least one in each list

    @classmethod
    def none(cls, sources: int) -> SampledLists:
        """No lists."""
        features = np.empty((0, sources + MORE_FEATURES), np.float16)
        return cls(np.empty(0, np.int32), features, np.empty(0, np.bool_))

    @classmethod
    def concat(cls, parts: list[SampledLists]) -> SampledLists:
        """All lists of ``parts``."""
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))

    def split(self) -> list[SampledLists]:
        """One by one."""
        bounds = np.cumsum(self.size)[:-1]
        columns = zip(np.split(self.features, bounds), np.split(self.hit, bounds), strict=True)
        if not len(self.size):
            return []
        return [SampledLists(np.array([len(h)], np.int32), x, h) for x, h in columns]


class ListWindow:
    """The lists sampled last, at most ``size`` of them."""

    def __init__(self, size: int) -> None:
        self._lists: deque[SampledLists] = deque(maxlen=size)
        self.fresh = 0  # taken in since the ranker was trained last

    def fold(self, lists: SampledLists) -> None:
        """Take in what a delta carries."""
        parts = lists.split()
        self._lists.extend(parts)
        self.fresh += len(parts)

    def batches(self, seed: int) -> list[SampledLists]:
        """Give what to learn from: the fresh lists in order, after each batch REPLAY ones drawn from all."""
        rng = np.random.default_rng(seed)
        lists = list(self._lists)
        out = []
        for start in range(max(0, len(lists) - self.fresh), len(lists), LISTS_PER_STEP):
            out.append(SampledLists.concat(lists[start : start + LISTS_PER_STEP]))
            for _ in range(REPLAY):
                drawn = rng.integers(0, len(lists), LISTS_PER_STEP)
                out.append(SampledLists.concat([lists[i] for i in drawn]))
        return out


def train(state: RankerState, batches: list[SampledLists]) -> RankerState:
    """One step of Adam for each of ``batches``, on the listwise softmax loss (ListNet; Cao et al., 2007).

    The loss of a list is the cross-entropy between the softmax of its scores and its hits, weighted by the
    root of their number, so that a large basket does not outweigh ten small ones.
    """
    shapes = [a.shape for a in state.arrays()]
    flat = np.concatenate([a.ravel() for a in state.arrays()])
    first, second, steps = state.first.copy(), state.second.copy(), state.steps
    for batch in batches:
        steps += 1
        gradient = _gradient(_unpack(flat, shapes), batch)
        first += (1 - BETA1) * (gradient - first)
        second += (1 - BETA2) * (gradient * gradient - second)
        step = (first / (1 - BETA1**steps)) / (np.sqrt(second / (1 - BETA2**steps)) + EPSILON)
        flat = (flat * (1 - WEIGHT_DECAY) - LEARNING_RATE * step).astype(np.float32)
    linear, W, b, v = _unpack(flat, shapes)
    return RankerState(linear, W, b, v, first, second, steps)


def _unpack(flat: Floats, shapes: list[tuple[int, ...]]) -> list[Floats]:
    bounds = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    return [part.reshape(shape) for part, shape in zip(np.split(flat, bounds), shapes, strict=True)]


def _gradient(weights: list[Floats], batch: SampledLists) -> Floats:
    linear, W, b, v = weights
    X = batch.features.astype(np.float32)
    start = np.concatenate([[0], np.cumsum(batch.size)[:-1]])
    hidden = X @ W + b
    active = hidden > 0
    hidden *= active
    scores = X @ linear + hidden @ v
    scores = np.exp(scores - np.repeat(np.maximum.reduceat(scores, start), batch.size))
    share = scores / np.repeat(np.add.reduceat(scores, start), batch.size)
    hits = np.add.reduceat(batch.hit.astype(np.float32), start)
    wanted = batch.hit / np.repeat(hits, batch.size)
    weight = np.repeat(np.sqrt(hits), batch.size) / len(batch.size)
    error = ((share - wanted) * weight).astype(np.float32)
    back = np.outer(error, v) * active
    return np.concatenate([X.T @ error, (X.T @ back).ravel(), back.sum(axis=0), hidden.T @ error]).astype(
        np.float32
    )
