"""Which lists are published, and which are held back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.config_lists import PublishSettings
from stream.profiles.layout import Rows


def to_publish(
    rows: Rows,
    items: npt.NDArray[np.uint64],
    ingest_time: npt.NDArray[np.int64],
    taught: npt.NDArray[np.bool_],
    settings: PublishSettings,
    not_before: int | None,
) -> npt.NDArray[np.intp]:
    """Places of the lists to be published, among m users.

    Parameters
    ----------
    rows
        (m,) of the users, with what was published for them last.
    items
        (m, k) items of their new lists, 0 for none.
    ingest_time
        (m,) when the log took in the user's last event, in ms.
    taught
        (m,) whether anything was learnt of the user. Who has a list and was only shown something, as what stands in it,
        keeps it: their next click is to find the list that they see.
    settings
        What to hold back.
    not_before
        In ms: lists for events that the log took in before are held back.
    """
    first = rows["list_time"] == 0
    wanted = first | taught
    if not_before is not None:
        wanted &= ingest_time >= not_before
    if settings.mode == "changed":
        wanted &= first | (rows["list_item"] != items).any(axis=1)
    elif settings.mode == "interval":
        wanted &= first | (ingest_time - rows["list_time"] >= settings.interval_ms)
    return np.flatnonzero(wanted)
