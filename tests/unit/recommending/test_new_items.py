"""New items: what is proposed of those that hardly anybody has taken."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from stream.catalogue import Catalogue
from stream.clustering.projection import Projection
from stream.config import Settings
from stream.events.schema import ItemRecord
from stream.hashing import HashIndex
from stream.model import Model
from stream.recommending.content import Content
from stream.recommending.counts import DEBUTS, ItemLives
from stream.recommending.exploring import KNOWN_TAKINGS
from stream.recommending.new_items import NewItems

ITEMS = 12


class Shop:
    """Items around a circle, in one cluster at its first point; nobody has taken any."""

    def __init__(self, settings: Settings) -> None:
        index = HashIndex()
        self.catalogue = Catalogue(index, 2)
        self.catalogue.upsert([ItemRecord(item_id=f"i{n}", title=f"thing {n}") for n in range(ITEMS)])
        angle = 2 * np.pi * np.arange(ITEMS) / ITEMS
        self.points = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
        self.catalogue.set_vectors(np.arange(ITEMS), self.points)
        self.model = Model(settings, index, 2)
        flat = Projection(np.zeros(2, np.float32), np.eye(2, dtype=np.float32))
        self.model.clusters.seed(flat, self.points[:1], np.ones(1))
        self.model.items.lives.reserve(ITEMS)
        self.content = Content(self.catalogue)
        self.new_items = NewItems(self.catalogue, self.content)

    def take(self, rows: Sequence[int], times: int = 1) -> None:
        taken = np.repeat(np.array(rows, np.int64), times)
        self.model.items.lives.count(taken, np.ones(len(taken), np.bool_), clock=1)

    def propose(self, cluster: int, at: int) -> dict[int, float]:
        """Shares by row, to a user who likes what item ``at`` is like."""
        self.content.refresh(self.model)
        self.new_items.refresh(self.model)
        found = self.new_items.propose(np.array([cluster]), self.points[at : at + 1])
        n = found.length[0, 0]
        return dict(zip(found.item[0, 0, :n].tolist(), found.share[0, 0, :n].tolist(), strict=True))


@pytest.fixture
def shop(small_settings: Settings) -> Shop:
    return Shop(small_settings)


def test_what_nobody_has_taken_is_placed_by_its_text(shop: Shop) -> None:
    shares = shop.propose(cluster=0, at=3)
    assert set(shares) == set(range(ITEMS))
    assert max(shares, key=shares.__getitem__) == 3
    assert sum(shares.values()) == pytest.approx(1, rel=1e-5)


def test_a_debut_is_proposed_to_all_until_many_have_taken_it(shop: Shop) -> None:
    assert shop.propose(cluster=-1, at=0) == {}
    shop.take([5, 7])
    assert set(shop.propose(cluster=-1, at=0)) == {5, 7}
    shop.take([5], times=KNOWN_TAKINGS)
    assert set(shop.propose(cluster=-1, at=0)) == {7}


def test_what_was_taken_away_from_the_catalogue_is_not_proposed(shop: Shop) -> None:
    shop.take([5])
    shop.catalogue.remove(["i5", "i6"])
    assert not {5, 6} & set(shop.propose(cluster=0, at=5))


def test_before_there_are_clusters_nothing_is_proposed(small_settings: Settings) -> None:
    index = HashIndex()
    catalogue = Catalogue(index, 2)
    content = Content(catalogue)
    new_items = NewItems(catalogue, content)
    model = Model(small_settings, index, 2)
    content.refresh(model)
    new_items.refresh(model)
    assert not new_items.propose(np.array([-1, 0]), np.zeros((2, 2), np.float32)).length.any()


@pytest.mark.parametrize("batch", [1, 7, 200])
def test_debuts_are_the_last_first_takings(batch: int) -> None:
    rng = np.random.default_rng(5)
    taken = rng.integers(0, 150, 200)
    lives = ItemLives()
    lives.reserve(150)
    for start in range(0, 200, batch):
        part = taken[start : start + batch]
        lives.count(part, np.ones(len(part), np.bool_), clock=start)
    firsts = list(dict.fromkeys(taken.tolist()))
    assert lives.debuts.tolist() == firsts[::-1][:DEBUTS]
