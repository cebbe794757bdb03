"""The source ``sequence``: how sequences are cut, what is learnt of them, what is proposed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from stream.config import Settings
from stream.config_lists import SequenceSettings
from stream.entries import Schooled, decode_entry, encode_entry
from stream.errors import FormatError
from stream.hashing import HashIndex
from stream.recommending.sequences import SequenceModel, Sequences, SequenceSource, sequences_of
from stream.recommending.takings import Taken
from stream.recommending.transformer import FEWEST, Scorer, Transformer, fit_transformer, sampled_loss

SETTINGS = SequenceSettings(
    enabled=True, dimensions=32, layers=2, length=6, items=64, sequences=512, steps=400
)
GROUPS = 4
# Of each group two items may come first, two second; the third is one when the first two agree, else the other.
FIRST, SECOND, AGREE, DIFFER = (0, 1), (2, 3), 4, 5


def taken_in(*sequences: list[int], clock: int = 0) -> Taken:
    """Users 1, 2, ... take the items of one sequence each, all at ``clock``."""
    user = np.repeat(np.arange(1, len(sequences) + 1), [len(s) for s in sequences]).astype(np.uint64)
    item = np.concatenate([np.array(s, np.uint64) for s in sequences])
    return Taken(user, item, np.full(len(user), clock, np.int64), clock + 1)


def cut(taken: Taken, since: int = 0, **settings: Any) -> Sequences:
    return sequences_of(taken, since, SETTINGS.model_copy(update=settings))


def triples() -> list[list[int]]:
    """Of each item and each that comes after it equally many: no count of pairs tells which of two comes third."""
    return [
        [100 + 6 * group + n for n in (FIRST[i], SECOND[j], AGREE if i == j else DIFFER)]
        for group in range(GROUPS)
        for i in range(2)
        for j in range(2)
    ]


@pytest.fixture(scope="module")
def model() -> SequenceModel:
    return fit_transformer(taken_in(*triples() * 10), None, SETTINGS, seed=1)


def likeliest_after(model: SequenceModel, *past: int) -> int:
    places = np.searchsorted(model.items, np.array(past, np.uint64))
    history = np.full((1, model.length), -1, np.int32)
    history[0, : len(places)] = places
    found, _ = Scorer(model, "cpu").likeliest(history, history, 5)
    return int(model.items[found[0, 0]])


def test_pieces_begin_with_what_the_one_before_ends_with() -> None:
    found = cut(taken_in([7, 5, 9, 8, 6], [5, 6, 7, 8, 9]), length=3)
    assert found.items.tolist() == [5, 6, 7, 8, 9]
    assert found.places.tolist() == [[0, 4, 3, 1], [2, 0, -1, -1], [1, 2, 3, 4], [0, 1, -1, -1]]


def test_only_frequent_items_have_places_and_only_who_took_two_of_them_a_piece() -> None:
    found = cut(taken_in([1, 9, 2, 3], [3, 2, 1], [2, 8], [2, 1]), items=2)
    assert found.items.tolist() == [1, 2]
    assert found.places[:, :2].tolist() == [[0, 1], [1, 0], [1, 0]]
    assert (found.places[:, 2:] == -1).all()


def test_the_latest_pieces_are_kept_and_said_to_be_fresh() -> None:
    user, item = np.array([1, 1, 2, 2, 3, 3], np.uint64), np.array([1, 2, 2, 1, 2, 1], np.uint64)
    taken = Taken(user, item, np.array([4, 9, 1, 2, 5, 6]), now=10)
    assert cut(taken).places[:, 0].tolist() == [0, 1, 1]
    latest = cut(taken, since=9, sequences=2)
    assert latest.places[:, 0].tolist() == [0, 1]
    assert latest.fresh.tolist() == [True, False]


def test_each_item_but_the_first_is_foretold_once() -> None:
    rng = np.random.default_rng(0)
    sequences = [rng.permutation(20)[: rng.integers(1, 20)].tolist() for _ in range(50)]
    found = cut(taken_in(*sequences))
    assert (found.places[:, 1:] >= 0).sum() == sum(len(s) - 1 for s in sequences)


def test_it_learns_what_no_count_of_pairs_knows(model: SequenceModel) -> None:
    pairs = Counter((item, third) for *before, third in triples() for item in before)
    assert set(pairs.values()) == {1}  # each item says as much for the one as for the other
    for first, second, third in triples():
        assert likeliest_after(model, first, second) == third


def test_nothing_of_what_comes_later_is_seen() -> None:
    net = Transformer(30, 8, 2, 6)
    net.start(torch.Generator().manual_seed(0))
    one = torch.tensor([[1, 2, 3, 4, 5, 6]])
    for place in range(1, 6):
        other = one.clone()
        other[0, place:] = 20
        torch.testing.assert_close(net(one)[0, :place], net(other)[0, :place])
        assert not torch.allclose(net(one)[0, place], net(other)[0, place])


def test_the_same_takings_give_the_same_bytes_and_another_seed_others() -> None:
    brief = SETTINGS.model_copy(update={"steps": 3})
    one, two, other = (fit_transformer(taken_in(*triples() * 2), None, brief, s).network for s in (1, 1, 2))
    assert one.tobytes() == two.tobytes() != other.tobytes()


def test_training_goes_on_from_the_model_before(model: SequenceModel) -> None:
    """A step of what is new, and another item with it, do not undo what was learnt."""
    taken = taken_in(*triples() * 2, [100, 102, 99], [101, 103, 99], clock=5)
    after = fit_transformer(taken, model, SETTINGS.model_copy(update={"steps": 1}), seed=2)
    assert after.items.tolist() == [99, *model.items.tolist()]
    assert after.clock == taken.now
    np.testing.assert_allclose(after.vectors[1:], model.vectors, atol=5e-3)
    assert likeliest_after(after, 106, 109) == 106 + DIFFER
    # Of another shape it begins anew.
    longer = fit_transformer(taken, model, SETTINGS.model_copy(update={"steps": 1, "length": 7}), seed=2)
    assert np.abs(longer.vectors[1:] - model.vectors).max() > 0.05


def test_too_little_gives_a_model_that_says_nothing() -> None:
    none = fit_transformer(taken_in([1, 2, 3], [3, 2, 1]), None, SETTINGS, seed=0)
    assert (none.clock, len(none.items), len(none.network)) == (1, 0, 0)
    enough = fit_transformer(taken_in(*triples() * 5), none, SETTINGS.model_copy(update={"steps": 1}), seed=0)
    assert len(enough.items) == 6 * GROUPS >= FEWEST


def test_weights_come_back_from_the_log(model: SequenceModel) -> None:
    again = decode_entry(encode_entry(Schooled(3, model)))
    assert isinstance(again, Schooled)
    for name in ("items", "vectors", "network"):
        np.testing.assert_array_equal(getattr(again.model, name), getattr(model, name), strict=True)
    assert likeliest_after(again.model, 100, 102) == 100 + AGREE


def test_weights_of_another_format_or_shape_are_refused(model: SequenceModel) -> None:
    data = encode_entry(Schooled(3, model))
    with pytest.raises(FormatError, match="have format 9, not 1"):
        decode_entry(data.replace(b"\xa6format\x01", b"\xa6format\x09"))
    with pytest.raises(ValueError, match="not its shape"):
        Scorer(replace(model, length=7), "cpu")


def test_the_loss_is_that_of_softmax_where_all_are_drawn() -> None:
    rng = torch.Generator().manual_seed(0)
    found, vectors = torch.randn(9, 4, generator=rng), torch.randn(30, 4, generator=rng)
    wanted = torch.randint(30, (9,), generator=rng)
    whole = functional.cross_entropy(found @ vectors.T, wanted)
    everything = torch.randperm(30, generator=rng)
    torch.testing.assert_close(sampled_loss(found, wanted, vectors, everything), whole)
    parts = [sampled_loss(found, wanted, vectors, torch.randperm(30, generator=rng)[:15]) for _ in range(400)]
    assert torch.stack(parts).mean() == pytest.approx(float(whole), rel=0.05)


def readers_of(*own: list[int]) -> Any:
    """``own`` are item rows, newest first."""
    return SimpleNamespace(own=np.array([row + [-1] * (8 - len(row)) for row in own], np.int32))


def test_the_source_proposes_by_rows_what_a_user_has_not_had(model: SequenceModel) -> None:
    index = HashIndex()
    index.insert(np.array([1, *model.items[::-1].tolist(), 2], np.uint64))
    source = SequenceSource("cpu")
    source.refresh(model, index)

    def row(item: int) -> int:
        return int(index.find(np.array([item], np.uint64))[0])

    late = int(index.insert(np.array([3], np.uint64))[0])  # came after the model
    nothing = [late, row(1)]
    found = source.propose(readers_of(nothing, [row(102), late, row(101)], []))
    assert found.length[:, 0].tolist() == [0, 6 * GROUPS - 2, 0]
    items, shares = found.item[1, 0, : 6 * GROUPS - 2], found.share[1, 0, : 6 * GROUPS - 2]
    assert items[0] == row(100 + DIFFER)
    assert not {row(101), row(102)} & set(items.tolist())
    assert (np.diff(shares) <= 0).all()
    assert shares.sum() == pytest.approx(1, abs=1e-5)


def test_a_model_that_says_nothing_proposes_nothing(model: SequenceModel) -> None:
    source = SequenceSource("cpu")
    none = replace(model, items=model.items[:0], vectors=model.vectors[:0], network=model.network[:0])
    for sequence in (None, none):
        source.refresh(sequence, HashIndex())
        assert not source.propose(readers_of([0, 1])).length.any()


def test_it_is_off_unless_switched_on() -> None:
    assert SequenceSource.of(Settings()) is None
    assert SequenceSource.of(Settings(sequence=SETTINGS)) is not None
