"""Those for whom lists are made, as the recommender sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.config import RecommendingSettings
from stream.hashing import HashIndex
from stream.profiles.layout import Rows

Rows32 = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Readers:
    """m users for whom lists are made, or might have been."""

    history: Rows32  # (m, R) item rows of what they like, newest first, -1 none
    seen: Rows32  # (m, H) item rows that they are not to be shown, -1 none
    length: npt.NDArray[np.int64]  # (m,) items in their history
    cluster: npt.NDArray[np.int64]  # (m,) cluster id, -1 none
    vectors: npt.NDArray[np.float32]  # (m, d) projected unit vectors, zeros where there is none


def read_profiles(
    rows: Rows,
    cluster: npt.NDArray[np.int64],
    vectors: npt.NDArray[np.float32],
    index: HashIndex,
    settings: RecommendingSettings,
) -> Readers:
    """Read the users of profile ``rows`` (m,)."""
    items = item_rows(rows["history_item"], index)
    recent = slice(None, settings.recent)
    liked = np.where(rows["history_weight"][:, recent] > 0, items[:, recent], np.int32(-1))
    seen = items if settings.exclude_seen else items[:, :0]
    length = np.count_nonzero(rows["history_item"], axis=1).astype(np.int64)
    return Readers(np.ascontiguousarray(liked), seen, length, cluster, vectors)


def item_rows(items: npt.NDArray[np.uint64], index: HashIndex) -> Rows32:
    """Rows of item hashes of any shape, -1 for 0 and for unknown ones."""
    return index.find(np.ascontiguousarray(items).ravel()).astype(np.int32).reshape(items.shape)
