"""The ranker: a small network over what speaks for a candidate, learnt from what is taken of lists."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from stream.recommending.features import MIXED, MORE_FEATURES, SEEN, SITUATION
from stream.recommending.scoring import FAR_OUT, HIDDEN

Floats = npt.NDArray[np.float32]

LEARNING_RATE = 2e-3  # of Adam; a tenth learns too late for a log's fashions, ten times as much forgets them
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # Adam's own (Kingma and Ba, 2015)
WEIGHT_DECAY = 1e-5  # per step, relative; keeps what nothing teaches near zero
LISTS_PER_STEP = 64
# Lists seen again for each new one: the new teach what has changed, the old keep what has not.
REPLAY = 4
# A list's weight is the root of its hits, of so many at most: a large basket must not outweigh all others.
MOST_HITS = 20
# Variance added to a feature's own, so that one that hardly ever varies does not shout when it does.
LEAST_VARIANCE = 1e-4
# Candidates that the running means and variances of features remember.
REMEMBERED = 3e6

WEIGHTS = ("glance", "gain", "linear", "W", "S", "b", "v")  # what is learnt by Adam


@dataclass(frozen=True, slots=True)
class RankerState:
    """Weights, with Adam's moments: the next training goes on from them, whoever is the learner by then."""

    glance: Floats  # (columns + 1,) of the shares' logarithms and the mixture's: which candidates are ranked at all
    gain: Floats  # (1,) of the mixture's logarithm
    linear: Floats  # (F,)
    W: Floats  # (F, HIDDEN)
    S: Floats  # (SITUATION, HIDDEN)
    b: Floats  # (HIDDEN,)
    v: Floats  # (HIDDEN,)
    first: Floats  # (parameters,) first moments
    second: Floats  # (parameters,) second moments
    steps: int
    mean: npt.NDArray[np.float64]  # (F + SITUATION,) of the features
    variance: npt.NDArray[np.float64]  # (F + SITUATION,)
    seen: float  # candidates that mean and variance are from

    @classmethod
    def prior(cls, columns: int, seed: int) -> RankerState:
        """Ranks as the mixture of the sources does, until it knows better."""
        f = columns + MORE_FEATURES
        rng = np.random.default_rng(seed)

        def drawn(*shape: int) -> Floats:
            return np.asarray(rng.uniform(-1, 1, shape) / np.sqrt(f), np.float32)

        glance = np.zeros(columns + 1, np.float32)
        glance[columns + MIXED] = 1
        size = len(glance) + 1 + f + (f + SITUATION + 2) * HIDDEN
        return cls(
            glance=glance,
            gain=np.ones(1, np.float32),
            linear=np.zeros(f, np.float32),
            W=drawn(f, HIDDEN),
            S=drawn(SITUATION, HIDDEN),
            b=drawn(HIDDEN),
            v=np.zeros(HIDDEN, np.float32),
            first=np.zeros(size, np.float32),
            second=np.zeros(size, np.float32),
            steps=0,
            mean=np.zeros(f + SITUATION),
            variance=np.ones(f + SITUATION),
            seen=0.0,
        )

    def arrays(self) -> tuple[Floats, ...]:
        """Give what scoring needs, in the order of ``score_features``."""
        f = len(self.linear)
        mean, scale = self.mean.astype(np.float32), self.scale
        return (
            self.gain, mean[:f], scale[:f], self.linear, self.W, self.S, self.b, self.v, mean[f:], scale[f:],
        )  # fmt: skip

    @property
    def scale(self) -> Floats:
        """What features are multiplied by, (F + SITUATION,)."""
        return (1 / np.sqrt(self.variance + LEAST_VARIANCE)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class SampledLists:
    """Lists that might have been published, laid end to end: c candidates of l lists."""

    size: npt.NDArray[np.int32]  # (l,) candidates of each list
    situation: npt.NDArray[np.float16]  # (l, SITUATION)
    features: npt.NDArray[np.float16]  # (c, F)
    hit: npt.NDArray[np.bool_]  # (c,) taken by the user; at least one in each list

    @classmethod
    def none(cls, columns: int) -> SampledLists:
        """No lists."""
        features = np.empty((0, columns + MORE_FEATURES), np.float16)
        return cls(
            np.empty(0, np.int32), np.empty((0, SITUATION), np.float16), features, np.empty(0, np.bool_)
        )

    @classmethod
    def concat(cls, parts: list[SampledLists]) -> SampledLists:
        """All lists of ``parts``."""
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))

    def split(self) -> list[SampledLists]:
        """One by one."""
        if not len(self.size):
            return []
        bounds = np.cumsum(self.size)[:-1]
        columns = zip(
            self.situation, np.split(self.features, bounds), np.split(self.hit, bounds), strict=True
        )
        return [SampledLists(np.array([len(h)], np.int32), s[None], x, h) for s, x, h in columns]


class ListWindow:
    """The lists sampled last, at most ``size`` of them."""

    def __init__(self, size: int) -> None:
        self._lists: deque[SampledLists] = deque(maxlen=size)
        self.fresh = 0  # taken in since the ranker was trained last

    def __len__(self) -> int:
        return len(self._lists)

    def fold(self, lists: SampledLists) -> None:
        """Take in what a delta carries."""
        parts = lists.split()
        self._lists.extend(parts)
        self.fresh += len(parts)

    def newest(self) -> SampledLists:
        """The lists that are fresh and still here."""
        return SampledLists.concat(list(self._lists)[max(0, len(self._lists) - self.fresh) :])

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


def train(state: RankerState, window: ListWindow, seed: int) -> RankerState:
    """Take in the window's fresh lists: features' means and variances, then a step of Adam for each batch.

    The loss is listwise softmax (ListNet; Cao et al., 2007): the cross-entropy between the softmax of a list's scores
    and its hits, over the whole list and again over the part that is new to the user.
    """
    state = _measure(state, window.newest())
    shapes = [getattr(state, name).shape for name in WEIGHTS]
    flat = np.concatenate([getattr(state, name).ravel() for name in WEIGHTS])
    first, second, steps = state.first.copy(), state.second.copy(), state.steps
    for batch in window.batches(seed):
        steps += 1
        gradient = _gradient(_unpack(flat, shapes), state, batch)
        first += (1 - BETA1) * (gradient - first)
        second += (1 - BETA2) * (gradient * gradient - second)
        step = (first / (1 - BETA1**steps)) / (np.sqrt(second / (1 - BETA2**steps)) + EPSILON)
        flat = (flat * (1 - WEIGHT_DECAY) - LEARNING_RATE * step).astype(np.float32)
    glance, gain, linear, W, S, b, v = _unpack(flat, shapes)
    learnt = replace(state, glance=glance, gain=gain, linear=linear, W=W, S=S, b=b, v=v)
    return replace(learnt, first=first, second=second, steps=steps)


def _measure(state: RankerState, lists: SampledLists) -> RankerState:
    """Take the features of ``lists`` into their means and variances (Chan et al., 1983)."""
    X = np.concatenate([lists.features, np.repeat(lists.situation, lists.size, axis=0)], axis=1).astype(
        np.float64
    )
    n, seen = len(X), min(state.seen, REMEMBERED)
    if not n:
        return state
    share = n / (n + seen)
    change = X.mean(axis=0) - state.mean
    variance = state.variance + share * (X.var(axis=0) - state.variance) + share * (1 - share) * change**2
    return replace(state, mean=state.mean + share * change, variance=variance, seen=seen + n)


def _unpack(flat: Floats, shapes: list[tuple[int, ...]]) -> list[Floats]:
    bounds = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    return [part.reshape(shape) for part, shape in zip(np.split(flat, bounds), shapes, strict=True)]


def _gradient(weights: list[Floats], state: RankerState, batch: SampledLists) -> Floats:
    glance, gain, linear, W, S, b, v = weights
    f, size = len(linear), batch.size
    raw = batch.features.astype(np.float32)
    mean, scale = state.mean.astype(np.float32), state.scale
    X = np.clip((raw - mean[:f]) * scale[:f], -FAR_OUT, FAR_OUT)
    situation = np.clip((batch.situation.astype(np.float32) - mean[f:]) * scale[f:], -FAR_OUT, FAR_OUT)
    prior = raw[:, f - MORE_FEATURES + MIXED]
    hidden = X @ W + np.repeat(situation @ S + b, size, axis=0)
    active = hidden > 0
    hidden *= active
    scores = gain * prior + X @ linear + hidden @ v
    new = raw[:, f - MORE_FEATURES + SEEN] == 0
    error = _error(scores, batch, new)
    looks = raw[:, : len(glance)]
    missed = _error(looks @ glance, batch, new)
    back = np.outer(error, v) * active
    start = np.concatenate([[0], np.cumsum(size)[:-1]])
    by_list = np.add.reduceat(back, start)
    parts = (
        looks.T @ missed,
        prior @ error,
        X.T @ error,
        X.T @ back,
        situation.T @ by_list,
        by_list.sum(axis=0),
        hidden.T @ error,
    )
    return np.concatenate([np.ravel(part) for part in parts]).astype(np.float32)


def _error(scores: Floats, batch: SampledLists, new: npt.NDArray[np.bool_]) -> Floats:
    """Derivative of the lists' mean loss by the scores (c,): of whole lists, and of the candidates that are ``new``."""
    return _error_among(scores, batch, np.ones_like(new)) + _error_among(scores, batch, new)


def _error_among(scores: Floats, batch: SampledLists, among: npt.NDArray[np.bool_]) -> Floats:
    """The same where only the candidates ``among`` (c,) are listed."""
    start = np.concatenate([[0], np.cumsum(batch.size)[:-1]])
    scores = np.where(among, scores, np.float32(-1e9))
    power = np.exp(scores - np.repeat(np.maximum.reduceat(scores, start), batch.size)) * among
    share = power / np.repeat(np.maximum(np.add.reduceat(power, start), 1e-9), batch.size)
    hit = (batch.hit & among).astype(np.float32)
    hits = np.add.reduceat(hit, start)
    weight = np.sqrt(np.minimum(hits, MOST_HITS)) / len(batch.size)
    error = (share - hit / np.repeat(np.maximum(hits, 1), batch.size)) * np.repeat(weight, batch.size)
    return np.asarray(error, np.float32)
