"""What may be listed, as catalogue and time move on."""

from __future__ import annotations

import numpy as np

from stream.catalogue import Catalogue
from stream.config_lists import RuleSettings
from stream.events.schema import ItemRecord
from stream.hashing import HashIndex, hash_texts
from stream.recommending.offer import Offer
from stream.recommending.rules import Rules


def test_items_come_on_offer_at_their_time_and_go_again_if_it_runs_backwards() -> None:
    index = HashIndex()
    catalogue = Catalogue(index, dimensions=2)
    catalogue.upsert(
        [ItemRecord(item_id=f"i{at}", title="x", available_from=at) for at in (0, 100, 200)]
        + [ItemRecord(item_id="gone", title="x", available=False)]
    )
    offer, rules = Offer(catalogue), Rules(RuleSettings())
    for now in (50, 99, 100, 150, 199, 200, 10_000, 120, 0, 10_000):
        assert offer.at(now, rules, index).tolist() == [True, now >= 100, now >= 200, False]


def test_it_follows_the_catalogue_the_index_and_the_rules() -> None:
    index = HashIndex()
    catalogue = Catalogue(index, dimensions=2)
    catalogue.upsert([ItemRecord(item_id="a", title="x")])
    offer, rules = Offer(catalogue), Rules(RuleSettings(blocked_items=["later"]))
    assert offer.at(1, rules, index).tolist() == [True]
    index.insert(hash_texts(["unknown", "later"]))
    assert offer.at(1, rules, index).tolist() == [True, True, False]
    catalogue.remove(["a"])
    assert offer.at(1, rules, index).tolist() == [False, True, False]


def test_nothing_is_looked_at_while_nothing_has_changed() -> None:
    index = HashIndex()
    catalogue = Catalogue(index, dimensions=2)
    catalogue.upsert([ItemRecord(item_id="a", title="x", available_from=5)])
    offer, rules = Offer(catalogue), Rules(RuleSettings())
    one = offer.at(6, rules, index)
    assert offer.at(7_000, rules, index) is one
    assert np.array_equal(offer.at(4, rules, index), [False])
