"""The row of one user, and which bytes are read as one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stream.config import ProfileSettings
from stream.errors import FormatError
from stream.profiles.layout import RowLayout

LAYOUT = RowLayout.of(
    ProfileSettings(), list_length=20, dimensions=384, encoder_id="hashing:1:384", generation=1
)


def test_a_row_is_small_and_has_no_gaps() -> None:
    dtype = LAYOUT.dtype
    assert dtype.itemsize <= 2_500
    assert dtype.itemsize == sum(dtype[name].itemsize for name in dtype.names or ())
    assert all(dtype[name].base.byteorder in "<|=" for name in dtype.names or ())


def test_blank_rows_know_their_user_and_nothing_else() -> None:
    rows = LAYOUT.blank(np.array([5, 2**64 - 1], np.uint64))
    assert rows["user"].tolist() == [5, 2**64 - 1]
    assert (rows["cluster"] == -1).all()
    assert not rows["history_item"].any()
    assert not rows["vector"].any()


def test_rows_are_decoded_from_their_bytes() -> None:
    rows = LAYOUT.blank(np.arange(1, 4, dtype=np.uint64))
    rows["taste"] = [1, 2, 3]
    back = LAYOUT.decode([row.tobytes() for row in rows])
    assert back.tobytes() == rows.tobytes()
    assert len(LAYOUT.decode([])) == 0


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (replace(LAYOUT, history=63), "bytes"),
        (replace(LAYOUT, dimensions=383), "bytes"),
        (replace(LAYOUT, generation=2), "generation"),
        (replace(LAYOUT, encoder=1), "encoder"),
    ],
)
def test_rows_of_another_layout_are_refused(other: RowLayout, named: str) -> None:
    values = [layout.blank(np.ones(1, np.uint64)).tobytes() for layout in (LAYOUT, other)]
    with pytest.raises(FormatError, match=named):
        LAYOUT.decode(values)


def test_a_row_of_a_later_format_is_refused() -> None:
    row = LAYOUT.blank(np.ones(1, np.uint64))
    row["format"] = 77
    with pytest.raises(FormatError, match=r"format \(77"):
        LAYOUT.decode([row.tobytes()])
