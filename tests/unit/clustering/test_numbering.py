from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.clustering.numbering import Numbering, match_clusters

K = 6
users = st.lists(st.tuples(st.integers(0, K - 1), st.integers(0, K - 1)), max_size=60)


@given(st.permutations(range(K)), st.integers(2, 20))
def test_clusters_of_the_same_users_keep_their_ids(order: list[int], size: int) -> None:
    ours = np.repeat(np.arange(K), size)
    theirs = np.repeat(10 * np.array(order), size)
    found = match_clusters(ours, theirs, np.arange(K), np.sort(10 * np.array(order)), 50)
    numbering = Numbering()
    numbering.go_on(found)
    assert [numbering.published(cluster) for cluster in range(K)] == [10 * o for o in order]
    assert not len(found.gone)


@given(users, st.integers(1, K), st.integers(0, K))
def test_no_id_is_given_to_two_and_none_that_is_given_up_comes_back(
    pairs: list[tuple[int, int]], living: int, known: int
) -> None:
    ours, theirs = np.array(pairs, np.int64).reshape(-1, 2).T
    found = match_clusters(ours, theirs, np.arange(living), np.arange(known), known - 1)
    numbering = Numbering()
    numbering.go_on(found)
    ids = [numbering.published(cluster) for cluster in range(2 * K)]  # those too that are born later
    assert len(set(ids)) == len(ids)
    assert not set(ids) & set(found.gone.tolist())
    assert set(found.theirs.tolist()) | set(found.gone.tolist()) == set(range(known))
    assert set(found.heirs.tolist()) <= set(range(living))
    assert all(numbering.published(cluster) >= known for cluster in range(2 * K) if cluster not in found.ours)


def test_clusters_that_share_few_users_are_not_the_same() -> None:
    # Ours: all of cluster 3 with as many of others, and the rest.
    ours = np.array([0] * 40 + [1] * 60)
    theirs = np.array([3] * 10 + [4] * 15 + [5] * 15 + [4] * 30 + [5] * 30)
    found = match_clusters(ours, theirs, np.arange(2), np.array([3, 4, 5]), 9)
    assert found.theirs.tolist() in ([4], [5])
    assert found.ours.tolist() == [1]
    assert 3 in found.gone.tolist()
    assert found.heirs[found.gone.tolist().index(3)] == 0


def test_without_users_in_common_all_ids_are_new() -> None:
    nobody = np.empty(0, np.int64)
    found = match_clusters(nobody, nobody, np.arange(2), np.array([0, 1, 7]), 7)
    assert not len(found.ours)
    assert found.gone.tolist() == [0, 1, 7]
    numbering = Numbering()
    numbering.go_on(found)
    assert numbering.published(0) > 7
    # And without clusters nobody could be an heir.
    assert not len(match_clusters(nobody, nobody, nobody, np.array([3]), 3).gone)
