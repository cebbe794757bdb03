"""The record that is published for a user, as JSON: ``docs/schemas/recommendations.schema.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from stream.clustering.shared import SharedClusters
from stream.recommending.exploring import EXPLORATION, VARIANTS
from stream.recommending.fragments import ItemFragments, Texts, join
from stream.recommending.reasons import REASONS

TRENDING = "trending"  # whose reason names the cluster
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
        sources: tuple[str, ...],
        reasons: bool = True,
    ) -> None:
        self._fragments = fragments
        self._clusters = clusters
        self._item_ids = item_ids
        self._sources = sources
        self._reasons = reasons

    def write(
        self,
        published: Published,
        item: npt.NDArray[np.int32],
        score: npt.NDArray[np.float32],
        source: npt.NDArray[np.uint8],
        named: npt.NDArray[np.int64],
    ) -> list[bytes]:
        """Give m records.

        ``item`` (m, k) are rows, best first, -1 behind the last; ``source`` (m, k) theirs; ``named`` (m, k) what their
        reasons name, see ``name_reasons``. Raises ArithmeticError where a score is no number.
        """
        clusters, of = np.unique(published.cluster, return_inverse=True)
        heads = self._heads(published, [self._cluster(c) for c in clusters.tolist()], of.tolist())
        names = self._fragments.names(named[named >= 0], self._item_ids)
        # What has no name is not named.
        named = np.where((named >= 0) & (np.append(names.size, 0)[named] > 0), named, -1)
        endings, ending = self._endings(published, clusters, of, item, source, named)
        openings = self._fragments.openings(item[item >= 0], self._item_ids)
        pieces = Texts(heads), Texts(_tails(published)), openings, Texts(endings), names
        return join(*pieces, item, score, ending, named)

    def _heads(self, published: Published, clusters: list[bytes], of: list[int]) -> list[bytes]:
        variants = [variant.encode() for variant in VARIANTS]
        return [
            b'{"user_id":%b,"list_id":"%b","user_seq":%d,"variant":"%b","cluster":%b,"items":['
            % (orjson.dumps(user), list_id.encode(), seq, variants[explores], clusters[c])
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
        return orjson.dumps(
            {
                "id": self._clusters.numbering.published(cluster),
                "label": label,
                "segments": self._clusters.path(cluster),
            }
        )

    def _endings(
        self,
        published: Published,
        clusters: Integers,
        of: Integers,
        item: npt.NDArray[np.int32],
        source: npt.NDArray[np.uint8],
        named: npt.NDArray[np.int64],
    ) -> tuple[list[bytes], npt.NDArray[np.int64]]:
        """How entries end, and which of these each does (m, k): an open ending before a name, else a closed one."""
        endings = [*_all_endings(self._sources, self._reasons)]
        ending = 2 * source.astype(np.int64) + (named >= 0)
        trending = np.array([name == TRENDING for name in self._sources])[source]
        ending[trending] = (len(endings) + np.broadcast_to(of[:, None], source.shape))[trending]
        labels = [self._clusters.labels.get(cluster, "") for cluster in clusters.tolist()]
        endings += [_ending(TRENDING, label, self._reasons) for label in labels]
        tries = published.propensity > 0
        if not tries.any():
            return endings, ending
        chances, of_chance = np.unique(published.propensity[tries], return_inverse=True)
        last = (item[tries] >= 0).sum(axis=1) - 1
        ending[tries, last] = len(endings) + 2 * of_chance + (named[tries, last] >= 0)
        for chance in chances.tolist():
            endings += _both_endings(EXPLORATION, self._reasons, propensity=chance)
        return endings, ending


@cache
def _all_endings(sources: tuple[str, ...], reasons: bool) -> tuple[bytes, ...]:
    """How an entry ends by source, closed and open by turns."""
    return tuple(ending for name in sources for ending in _both_endings(name, reasons))


def _both_endings(source: str, reasons: bool, **more: float) -> tuple[bytes, bytes]:
    """How an entry of ``source`` ends, closed, and open for a name to follow."""
    return _ending(source, "", reasons, **more), _ending(source, "?", reasons, **more)[: -len('?"}')]


def _ending(source: str, name: str, reasons: bool, **more: float) -> bytes:
    """How an entry of ``source`` ends; its reason, if there are ``reasons``, names ``name`` unless that is empty."""
    reason = REASONS[source]
    said = {"source": source, **more}
    if reasons:
        said["reason"] = reason.before + name if name else reason.text
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
