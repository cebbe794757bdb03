"""The quality of late, and what is read from counts."""

from __future__ import annotations

import numpy as np
import pytest

from stream.hashing import hash_texts
from stream.recommending.distinct import empty_sketch, sketch_of
from stream.recommending.quality import HALF_LIFE, Lately, LiveQuality, Shown
from stream.wire import pack, unpack

NONE = empty_sketch()


def test_counts_fade_with_what_comes_however_long_that_goes_on() -> None:
    lately, reference = Lately(), 0.0
    for n in range(400):  # far beyond what float32 would hold, so what is summed is scaled on the way
        lately.fold({"hits": float(n % 7), "gone": float(n == 0)}, NONE, 2_500)
        reference = reference * 2 ** (-2_500 / HALF_LIFE) + n % 7
    assert lately.counts == {"hits": pytest.approx(reference)}


def test_what_was_listed_long_ago_is_forgotten() -> None:
    lately = Lately()
    lately.fold({}, sketch_of(hash_texts(["a", "b", "c"])), 10)
    lately.fold({}, sketch_of(hash_texts(["c", "d"])), int(HALF_LIFE))
    assert round(lately.listed) == 4
    lately.fold({}, sketch_of(hash_texts(["d"])), int(HALF_LIFE))
    assert round(lately.listed) == 2


def test_it_goes_on_from_its_state() -> None:
    lately = Lately()
    for n in range(300):
        lately.fold({"hits": n}, sketch_of(np.array([n], np.uint64)), 5_000)
    again = Lately.from_state(unpack(pack(lately.state())))
    for one in (lately, again):
        one.fold({"hits": 3, "gain": 1.5}, sketch_of(np.array([7], np.uint64)), 12_345)
    assert (again.counts, again.listed) == (lately.counts, lately.listed)
    assert pack(again.state()) == pack(lately.state())


def test_counts_are_read_by_group_source_and_place() -> None:
    counts = {
        "scored": 10.0, "hits": 4.0, "gain": 2.5, "popular_hits": 1.0, "popular_gain": 0.5,
        "returning.scored": 4.0, "returning.hits": 1.0,
        "hits.next": 3.0, "hits.popular": 1.0, "places.next": 30.0, "places.content": 10.0,
        "impressions": 8.0, "clicks": 2.0, "impressions.place.10": 6.0, "impressions.place.9": 2.0,
        "clicks.place.9": 2.0,
        "clicks.other_list": 5.0, "clicks.variant.explore": 2.0, "impressions.source.next": 8.0,
    }  # fmt: skip
    quality = LiveQuality.of(counts)
    assert set(quality.among) == {"all", "returning"}
    every = quality.among["all"]
    assert (every.hit_rate, every.ndcg, every.popular_hit_rate, every.popular_ndcg) == (0.4, 0.25, 0.1, 0.05)
    assert list(quality.sources) == ["next", "popular", "content"]
    following = quality.sources["next"]
    assert (following.places, following.hits, following.hits_per_place) == (0.75, 0.75, 0.1)
    assert quality.sources["popular"].hits_per_place == 0.0
    assert quality.shown.click_rate == 0.25
    assert quality.places == {9: Shown(2, 2), 10: Shown(6, 0)}
    assert list(quality.places) == [9, 10]
    assert quality.variants == {"explore": Shown(0, 2)}
    assert quality.variants["explore"].click_rate is None
    assert quality.astray == {
        "earlier_list": Shown(0, 0),
        "other_list": Shown(0, 5),
        "not_listed": Shown(0, 0),
    }
    assert LiveQuality.of({}).among == {}
