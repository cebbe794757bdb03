"""The record that is published for a user, as JSON: ``docs/schemas/recommendations.schema.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from stream.clustering.shared import SharedClusters
from stream.recommending.exploring import EXPLORATION
from stream.recommending.fragments import ItemFragments, Texts, join

CATALOGUE = "catalogue"  # not a source of candidates, but what fills a list when there are too few
VARIANTS = (b"plain", b"explore")  # of lists, by whether they were drawn to try something
REASONS = {
    CATALOGUE: "from the catalogue",
    "popular": "popular with everybody",
    "popular-new": "many take it for the first time",
    "session-start": "what visits begin with",
    "first-taken": "what newcomers take",
    "repeats": "you have had it before",
    "content": "like what you took",
    "together": "taken together with what you took",
    "next": "taken after what you took last",
    "window": "taken after what you took",
    "contexts": "follows what you did last",
    "ease": "taken by those who took what you took",
    "item-knn": "taken by those who took the same",
}

Integers = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Published:
    """Where m lists come from and what they were made with."""

    user_id: Sequence[str]
    list_id: Sequence[str]  # of letters, digits and hyphens
    user_seq: Integers
    explores: npt.NDArray[np.bool_]  # whether the list was drawn to try something new
    propensity: npt.NDArray[np.float64]  # with which its last item came to be tried; 0: it was not
    cluster: Integers  # -1 where there is none
    partition: Integers
    offset: Integers  # of the last event taken in
    offsets: Sequence[Sequence[int]] | None  # of all of them, where provenance is asked for
    events: Integers
    event_time: Integers
    ingest_time: Integers
    model_version: int
    encoder_id: str


class ListWriter:
    """Writes the lists of a batch; what is the same in many of them is written as JSON once."""

    def __init__(
        self,
        fragments: ItemFragments,
        clusters: SharedClusters,
        item_ids: Mapping[int, str],
        sources: Sequence[str],
    ) -> None:
        self._fragments = fragments
        self._clusters = clusters
        self._item_ids = item_ids
        self._sources = sources

    def write(
        self,
        published: Published,
        item: npt.NDArray[np.int32],
        score: npt.NDArray[np.float32],
        source: npt.NDArray[np.uint8],
    ) -> list[bytes]:
        """Give m records; ``item`` (m, k) are rows, best first, -1 behind the last; ``source`` (m, k) theirs.

        Raises ArithmeticError where a score is no number.
        """
        clusters, of = np.unique(published.cluster, return_inverse=True)
        named = clusters.tolist()
        heads = self._heads(published, [self._cluster(c) for c in named], of.tolist())
        endings = [ending for c in named for ending in self._endings(c)]
        ending = of[:, None] * len(self._sources) + source
        tries = published.propensity > 0
        chances, of_chance = np.unique(published.propensity[tries], return_inverse=True)
        last = (item[tries] >= 0).sum(axis=1) - 1
        ending[tries, last] = len(endings) + of_chance
        endings += map(_tried, chances.tolist())
        openings = self._fragments.openings(item[item >= 0], self._item_ids)
        return join(Texts(heads), Texts(_tails(published)), openings, Texts(endings), item, score, ending)

    def _heads(self, published: Published, clusters: list[bytes], of: list[int]) -> list[bytes]:
        return [
            b'{"user_id":%b,"list_id":"%b","user_seq":%d,"variant":"%b","cluster":%b,"items":['
            % (orjson.dumps(user), list_id.encode(), seq, VARIANTS[explores], clusters[c])
            for user, list_id, seq, explores, c in zip(
                published.user_id,
                published.list_id,
                published.user_seq.tolist(),
                published.explores.tolist(),
                of,
                strict=True,
            )
        ]

    def _cluster(self, cluster: int) -> bytes:
        if cluster < 0:
            return b"null"
        label = self._clusters.labels.get(cluster, "")
        return orjson.dumps({"id": cluster, "label": label, "segments": self._clusters.path(cluster)})

    def _endings(self, cluster: int) -> list[bytes]:
        """How an entry ends, by source."""
        label = self._clusters.labels.get(cluster, "") or "your cluster"
        reasons = REASONS | {"trending": f"popular in {label}"}
        said = [orjson.dumps({"source": name, "reason": reasons[name]}) for name in self._sources]
        return [b"," + text[1:] for text in said]


def _tried(propensity: float) -> bytes:
    """How an entry ends that exploration chose."""
    said = {"source": EXPLORATION, "reason": "new here", "propensity": propensity}
    return b"," + orjson.dumps(said)[1:]


def _tails(published: Published) -> list[bytes]:
    """What comes behind the entries."""
    encoder_id = orjson.dumps(published.encoder_id)
    same = b'],"model_version":%d,"encoder_id":%b' % (published.model_version, encoder_id)
    columns = (published.event_time, published.ingest_time, published.partition, published.offset)
    tails = [
        b'%b,"event_time":%d,"ingest_time":%d,"source":{"partition":%d,"offset":%d,"events":%d'
        % (same, *values)
        for values in zip(*(c.tolist() for c in (*columns, published.events)), strict=True)
    ]
    if published.offsets is None:
        return [tail + b"}}" for tail in tails]
    pairs = zip(tails, published.offsets, strict=True)
    return [b'%b,"offsets":%b}}' % (tail, orjson.dumps(offsets)) for tail, offsets in pairs]
