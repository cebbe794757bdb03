"""The transformer behind the source ``sequence``: its layers, its training, its scores. The only torch of the stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parameters_to_vector, skip_init, vector_to_parameters

from stream.config_lists import SequenceSettings
from stream.recommending.sequences import Places, SequenceModel, Sequences, sequences_of
from stream.recommending.takings import Taken

# Fewer items, or pieces of sequences, give no model worth its name.
FEWEST = 20
HEADS = 2  # of attention; they see different parts of what a position holds
DROPOUT = 0.2  # as SASRec has it; without, rare items are learnt by heart
BATCH = 64  # pieces in a step: more cost time in proportion and are hardly less noisy
# Items, drawn for each step, that the right ones are told from; they stand for all. Fewer are noise, more cost time.
NEGATIVES = 512
LEARNING_RATE = 2e-3  # of Adam, at its highest; the few steps of a fit have to get somewhere
RISE = 0.1  # share of the steps in which it is reached; from there it falls to 0
WEIGHT_DECAY = 1e-4  # of AdamW, times the learning rate: next to nothing, as steps are few
# Standard deviation that vectors start with, of an item new to it too. Near 0 it learns what each item says alone, and
# for long not what several say together; larger ones are noise where nothing is known.
SMALL = 0.1

Drop = Callable[[Tensor], Tensor]


def keep_all(x: Tensor) -> Tensor:
    """Drop nothing."""
    return x


def _linear(inputs: int, outputs: int) -> nn.Linear:
    """A layer whose weights are still to be set: torch would draw them from what the whole process shares."""
    layer: nn.Linear = skip_init(nn.Linear, inputs, outputs)  # type: ignore[no-untyped-call]
    return layer


class Block(nn.Module):
    """Attention to what came before, and a layer of units; each normalised first (Xiong et al., 2020)."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.before, self.after = nn.LayerNorm(dimensions), nn.LayerNorm(dimensions)
        self.attend = _linear(dimensions, 3 * dimensions)
        self.merge = _linear(dimensions, dimensions)
        self.widen = _linear(dimensions, 4 * dimensions)
        self.narrow = _linear(4 * dimensions, dimensions)

    def forward(self, x: Tensor, drop: Drop) -> Tensor:
        """From (m, l, d) to the same; a place sees itself and those before it."""
        m, length, d = x.shape
        parts = self.attend(self.before(x)).view(m, length, 3, HEADS, d // HEADS).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2], is_causal=True)
        x = x + drop(self.merge(seen.transpose(1, 2).reshape(m, length, d)))
        return x + drop(self.narrow(functional.gelu(self.widen(self.after(x)))))


class Transformer(nn.Module):
    """What a user takes next, from what they took; items have one vector each, for both."""

    def __init__(self, items: int, dimensions: int, layers: int, length: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.zeros(items, dimensions))
        self.positions = nn.Parameter(torch.zeros(length, dimensions))
        self.blocks = nn.ModuleList([Block(dimensions) for _ in range(layers)])
        self.norm = nn.LayerNorm(dimensions)

    def forward(self, history: Tensor, drop: Drop = keep_all) -> Tensor:
        """Of ``history`` int64 (m, l), places, oldest first: what comes after each, as a direction (m, l, d)."""
        scale = self.vectors.shape[1] ** 0.5
        x = drop(self.vectors[history] * scale + self.positions[: history.shape[1]])
        for block in self.blocks:
            x = block(x, drop)
        found: Tensor = self.norm(x)
        return found

    def network(self) -> list[nn.Parameter]:
        """All that is learnt but the vectors of items."""
        return [p for name, p in self.named_parameters() if name != "vectors"]

    def start(self, generator: torch.Generator) -> None:
        """Draw what it starts with."""
        with torch.no_grad():
            for part in self.modules():
                if isinstance(part, nn.Linear):
                    part.weight.normal_(std=0.5 / part.in_features**0.5, generator=generator)
                    part.bias.zero_()
            self.vectors.normal_(std=SMALL, generator=generator)
            self.positions.normal_(std=SMALL, generator=generator)

    def load(self, model: SequenceModel) -> None:
        """Take the weights of ``model``, of the same shape, but for the vectors of items.

        Raises ValueError where they do not fit.
        """
        network = torch.from_numpy(model.network.astype(np.float32))
        if len(network) != sum(p.numel() for p in self.network()):
            raise ValueError(f"a sequence model has {len(network)} weights, which is not its shape")
        vector_to_parameters(network, self.network())


def fit_transformer(
    taken: Taken, before: SequenceModel | None, settings: SequenceSettings, seed: int
) -> SequenceModel:
    """Go on training ``before``, or a new one, on what was taken: ``settings.steps`` steps of Adam.

    On a CPU the same arguments and number of threads give the same bytes.
    """
    sequences = sequences_of(taken, 0 if before is None else before.clock, settings)
    n, d = len(sequences.items), settings.dimensions
    if min(n, len(sequences.places)) < FEWEST:
        none = np.empty(0, np.float16)
        return SequenceModel(
            taken.now, sequences.items[:0], none.reshape(0, d), none, settings.layers, settings.length
        )
    generator = torch.Generator().manual_seed(seed)
    net = Transformer(n, d, settings.layers, settings.length)
    net.start(generator)
    if before is not None and len(before.items) and before.shape == (d, settings.layers, settings.length):
        net.load(before)
        _carry_over(before, sequences.items, net)
    _train(net, sequences, settings.steps, generator)
    vectors = net.vectors.detach().numpy().astype(np.float16)
    network = parameters_to_vector(net.network()).detach().numpy().astype(np.float16)
    return SequenceModel(taken.now, sequences.items, vectors, network, settings.layers, settings.length)


def _carry_over(before: SequenceModel, items: npt.NDArray[np.uint64], net: Transformer) -> None:
    """Give the ``items`` (n,) that were known before the vectors that they had."""
    at = np.minimum(np.searchsorted(before.items, items), len(before.items) - 1)
    known = before.items[at] == items
    with torch.no_grad():
        net.vectors[torch.from_numpy(known)] = torch.from_numpy(before.vectors[at[known]].astype(np.float32))


def _train(net: Transformer, sequences: Sequences, steps: int, generator: torch.Generator) -> None:
    optimiser = torch.optim.AdamW(net.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    rise = max(1, round(RISE * steps))
    for step, pieces in enumerate(_batches(sequences, steps, generator)):
        optimiser.param_groups[0]["lr"] = LEARNING_RATE * min(
            (step + 1) / rise, (steps - step) / (steps - rise + 1)
        )
        wanted = pieces[:, 1:]
        drop = partial(_drop, generator=generator)
        found = net(pieces[:, :-1].clamp_min(0), drop)[wanted >= 0]
        drawn = torch.randperm(len(net.vectors), generator=generator)[:NEGATIVES]
        loss = sampled_loss(found, wanted[wanted >= 0], net.vectors, drawn)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()


def _batches(sequences: Sequences, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Pieces (BATCH, L + 1) for each step: half of what is fresh, half of all, so that nothing old is unlearnt."""
    places = torch.from_numpy(sequences.places.astype(np.int64))
    fresh = torch.from_numpy(np.flatnonzero(sequences.fresh))
    for _ in range(steps):
        drawn = torch.randint(len(places), (BATCH,), generator=generator)
        if len(fresh):
            drawn[: BATCH // 2] = fresh[torch.randint(len(fresh), (BATCH // 2,), generator=generator)]
        pieces = places[drawn]
        yield pieces[:, : int((pieces >= 0).sum(dim=1).max())]


def _drop(x: Tensor, generator: torch.Generator) -> Tensor:
    """Dropout with its own generator: torch's would draw from one that the whole process shares."""
    return x * (torch.rand(x.shape, generator=generator) >= DROPOUT) / (1 - DROPOUT)


def sampled_loss(found: Tensor, wanted: Tensor, vectors: Tensor, drawn: Tensor) -> Tensor:
    """Cross-entropy of softmax, mean of p: between ``found`` (p, d) and the items ``wanted`` (p,) of all n.

    The items ``drawn`` (s,), evenly and once each, stand for all others: n / s times each (Jean et al., 2015). With all
    n drawn it is the softmax itself.
    """
    right = (found * vectors[wanted]).sum(dim=1, keepdim=True)
    others = found @ vectors[drawn].T + float(np.log(len(vectors) / len(drawn)))
    others = others.masked_fill(drawn == wanted[:, None], -torch.inf)
    return functional.cross_entropy(
        torch.cat([right, others], dim=1), torch.zeros(len(wanted), dtype=torch.int64)
    )


class Scorer:
    """A trained transformer where lists are made."""

    def __init__(self, model: SequenceModel, device: str) -> None:
        on_gpu = device != "cpu" and torch.cuda.is_available()
        net = Transformer(len(model.items), *model.shape)
        net.load(model)
        _carry_over(model, model.items, net)
        self.length = model.length
        self._device = torch.device("cuda" if on_gpu else "cpu")
        self._net = net.to(self._device)

    def likeliest(self, history: Places, own: Places, most: int) -> tuple[Places, npt.NDArray[np.float32]]:
        """The ``most`` likeliest items of m users and how likely each is among what they have not had: (m, most).

        ``history`` (m, L): places of what they had, oldest first, -1 behind; one at least. ``own`` (m, H): all that
        they had, -1 none. Items of probability 0 come last.
        """
        last = (history >= 0).sum(axis=1) - 1
        rows = np.arange(len(history))
        with torch.inference_mode():
            past = torch.from_numpy(np.maximum(history[:, : last.max() + 1], 0).astype(np.int64))
            found = self._net(past.to(self._device))[rows, last]
            scores = found @ self._net.vectors.T
            user, at = np.nonzero(own >= 0)
            scores[user, own[user, at]] = -torch.inf
            shares, places = scores.softmax(dim=1).topk(min(most, scores.shape[1]))
            return places.cpu().numpy().astype(np.int32), shares.cpu().numpy()
