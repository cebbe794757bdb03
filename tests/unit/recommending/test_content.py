"""What is near to a user's taste, against a plain softmax."""

from __future__ import annotations

import numpy as np
import pytest

from stream.catalogue import Catalogue
from stream.hashing import HashIndex
from stream.recommending.content import TEMPERATURE, Content, nearest_in
from stream.recommending.tables import Proposals

ITEMS, DIMENSIONS, MOST = 30, 6, 4


@pytest.mark.parametrize("seed", range(4))
def test_the_nearest_of_a_shortlist_are_proposed_with_shares_of_all_of_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors, theirs = (_unit(rng.normal(size=(n, DIMENSIONS))) for n in (ITEMS, 9))
    content = Content(Catalogue(HashIndex(), DIMENSIONS))
    content._vectors = vectors
    shortlists = np.stack([rng.choice(ITEMS, 12, replace=False) for _ in range(3)]).astype(np.int32)
    shortlists[1, 3:], shortlists[2, :] = -1, -1
    cluster = np.array([0, 1, 0, -1, 2, 5, 1, 0, 1])
    found = Proposals.blank(len(cluster), 1, MOST)
    nearest_in(shortlists, content, cluster, theirs, found)
    for u, c in enumerate(cluster.tolist()):
        rows = [row for row in shortlists[c].tolist() if row >= 0] if 0 <= c < len(shortlists) else []
        powers = np.exp((vectors[rows] @ theirs[u] - 1) / TEMPERATURE)
        best = np.sort(np.argsort(-powers)[:MOST])
        n = found.length[u, 0]
        assert found.item[u, 0, :n].tolist() == [rows[q] for q in best]
        np.testing.assert_allclose(found.share[u, 0, :n], powers[best] / max(powers.sum(), 1e-9), rtol=1e-4)


def _unit(x: np.ndarray) -> np.ndarray:
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
