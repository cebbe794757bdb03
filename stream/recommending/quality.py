"""The service's own quality, from what was counted of lists: over all there was, and of late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stream.recommending.distinct import Sketch, count_distinct, empty_sketch
from stream.recommending.meeting import AMONG
from stream.recommending.tables import Growth

# Of what is counted as being of late, in events. Shorter is noise (a hit rate of 30 % is then known to within 0.3 % of
# these), longer notices late that lists have become worse.
HALF_LIFE = 20_000.0


class Lately:
    """Counts that fade with the events that come, and which items stood in lists: part of the model.

    Examples
    --------
    >>> lately = Lately()
    >>> lately.fold({"scored": 8.0}, empty_sketch(), 0)
    >>> lately.fold({"scored": 1.0}, empty_sketch(), 20_000)
    >>> lately.counts
    {'scored': 5.0}
    """

    def __init__(self) -> None:
        self._growth = Growth(HALF_LIFE)
        self._clock = 0
        self._sums: dict[str, float] = {}
        # Items listed in this half-life, and in the one before.
        self._listed = [empty_sketch(), empty_sketch()]
        self._turned = 0

    def fold(self, counts: Mapping[str, float], listed: Sketch, events: int) -> None:
        """Take in what a delta of ``events`` has counted; ``listed`` is the sketch of the items in its lists."""
        self._clock += events
        factor = self._growth.advance(self._clock)
        if factor != 1:
            self._sums = {name: n * factor for name, n in self._sums.items()}
        for name, n in counts.items():
            self._sums[name] = self._sums.get(name, 0.0) + n * self._growth.now
        if self._clock - self._turned >= HALF_LIFE:
            self._listed, self._turned = [empty_sketch(), self._listed[0]], self._clock
        self._listed[0] = np.maximum(self._listed[0], listed)

    @property
    def counts(self) -> dict[str, float]:
        """What was counted, faded by its age; what is next to nothing is left out."""
        now = self._growth.now
        return {name: n / now for name, n in self._sums.items() if n / now > 1e-3}

    @property
    def listed(self) -> float:
        """How many different items stood in lists, within one to two half-lives; to within some per cent."""
        return count_distinct(np.maximum(*self._listed))

    def state(self) -> dict[str, Any]:
        """What it consists of, as plain data."""
        return {
            "origin": self._growth.origin,
            "now": self._growth.now,
            "clock": self._clock,
            "sums": [list(pair) for pair in self._sums.items()],
            "listed": np.stack(self._listed),
            "turned": self._turned,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Lately:
        """Make what gave ``state``."""
        made = cls()
        made._growth.origin, made._growth.now = state["origin"], state["now"]
        made._clock, made._turned = state["clock"], state["turned"]
        made._sums = dict(state["sums"])
        made._listed = [sketch.copy() for sketch in state["listed"]]
        return made


@dataclass(frozen=True, slots=True)
class Rates:
    """How lists were met by some events, beside what popularity would have reached with them."""

    scored: float  # events whose user had a list
    hit_rate: float
    ndcg: float
    popular_hit_rate: float
    popular_ndcg: float


@dataclass(frozen=True, slots=True)
class SourceQuality:
    """What a source did: its part of all places of lists, of all hits, and hits for each place that it had."""

    places: float
    hits: float
    hits_per_place: float


@dataclass(frozen=True, slots=True)
class Shown:
    """What came of some of the places that were shown, as far as events say so."""

    impressions: float
    clicks: float

    @property
    def click_rate(self) -> float | None:
        """Clicks for each impression; None where nothing tells of any."""
        return self.clicks / self.impressions if self.impressions else None


@dataclass(frozen=True, slots=True)
class LiveQuality:
    """What ``counts`` say of the quality of lists."""

    among: dict[
        str, Rates
    ]  # all, new (to their user), first_session, returning; those of which there is something
    sources: dict[str, SourceQuality]  # most hits first
    shown: Shown  # of the lists last published
    places: dict[int, Shown]
    shown_sources: dict[str, Shown]
    variants: dict[str, Shown]
    # earlier_list, other_list, not_listed: events that name lists; only the first are counted above, by variant
    astray: dict[str, Shown]

    @classmethod
    def of(cls, counts: Mapping[str, float]) -> LiveQuality:
        """Read ``counts``, which are sums over deltas, faded or not.

        Examples
        --------
        >>> counts = {"scored": 10, "hits": 4, "gain": 3.0, "popular_hits": 1, "hits.next": 4, "places.next": 50}
        >>> quality = LiveQuality.of(counts)
        >>> quality.among["all"].hit_rate, quality.among["all"].ndcg, quality.sources["next"].hits_per_place
        (0.4, 0.3, 0.08)
        """
        among = {prefix.rstrip(".") or "all": _rates(counts, prefix) for prefix in AMONG}
        hits, places = _part(counts, "hits."), _part(counts, "places.")
        all_hits, all_places = sum(hits.values()), sum(places.values())
        sources = {
            name: SourceQuality(
                _share(places.get(name, 0), all_places),
                _share(hits.get(name, 0), all_hits),
                _share(hits.get(name, 0), places.get(name, 0)),
            )
            for name in sorted({*hits, *places}, key=lambda name: (-hits.get(name, 0), name))
        }
        return cls(
            {name: rates for name, rates in among.items() if rates.scored},
            sources,
            Shown(counts.get("impressions", 0), counts.get("clicks", 0)),
            {int(place): shown for place, shown in sorted(_shown(counts, ".place.").items(), key=_by_number)},
            _shown(counts, ".source."),
            _shown(counts, ".variant."),
            {
                name: Shown(counts.get(f"impressions.{name}", 0), counts.get(f"clicks.{name}", 0))
                for name in ("earlier_list", "other_list", "not_listed")
            },
        )


def _by_number(pair: tuple[str, Shown]) -> int:
    return int(pair[0])


def _rates(counts: Mapping[str, float], prefix: str) -> Rates:
    scored, *sums = (
        counts.get(prefix + name, 0.0) for name in ("scored", "hits", "gain", "popular_hits", "popular_gain")
    )
    return Rates(scored, *(_share(n, scored) for n in sums))


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _part(counts: Mapping[str, float], prefix: str) -> dict[str, float]:
    return {name.removeprefix(prefix): n for name, n in counts.items() if name.startswith(prefix)}


def _shown(counts: Mapping[str, float], by: str) -> dict[str, Shown]:
    impressions, clicks = _part(counts, f"impressions{by}"), _part(counts, f"clicks{by}")
    return {
        name: Shown(impressions.get(name, 0), clicks.get(name, 0)) for name in sorted({*impressions, *clicks})
    }
