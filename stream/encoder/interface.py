"""What every encoder promises, and the steps they share: each text once, its vector back to every place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]


class TextEncoder(Protocol):
    """Turns texts into unit vectors. ``tests/unit/encoder/test_contract.py`` holds all of them to this.

    A vector depends on its text and on ``encoder_id`` alone, not on the texts beside it, up to rounding (1e-5
    in float32). Any number of threads may call ``encode`` at once.
    """

    @property
    def encoder_id(self) -> str:
        """Short name of all that decides a vector: vectors of two ids never mix."""
        ...

    @property
    def dimensions(self) -> int:
        """Length d of a vector."""
        ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of ``texts`` in their order, float32 (n, d), of length 1; zeros for empty and blank texts.

        Raises EncoderError where the model gives no usable vector.
        """
        ...


def distinct(texts: Sequence[str]) -> tuple[list[str], npt.NDArray[np.intp]]:
    """Return the distinct texts that are not blank, and each input's row among them, (n,), -1 if blank.

    Halves of surrogate pairs, which JSON can smuggle in and UTF-8 cannot hold, become question marks.

    Examples
    --------
    >>> distinct(["shoe", " ", "hat", "shoe"])
    (['shoe', 'hat'], array([ 0, -1,  1,  0]))
    """
    if isinstance(texts, str):
        raise TypeError("texts must be a list of texts, not one text")
    rows: dict[str, int] = {}
    index = np.full(len(texts), -1, np.intp)
    for i, text in enumerate(texts):
        if text and not text.isspace():
            valid = text.encode("utf-8", "replace").decode("utf-8")
            index[i] = rows.setdefault(valid, len(rows))
    return list(rows), index


def spread(vectors: Vectors, index: npt.NDArray[np.intp]) -> Vectors:
    """Bring vectors (m, d) of distinct texts to the n places of ``index``, (n, d); zeros where it is -1."""
    out = np.zeros((len(index), vectors.shape[1]), np.float32)
    present = index >= 0
    out[present] = vectors[index[present]]
    return out


def unit(rows: Vectors) -> Vectors:
    """Scale ``rows`` (n, d) to length 1; rows of zeros stay. A row's result depends on no other row."""
    norms: Vectors = np.linalg.norm(rows, axis=1, keepdims=True).astype(np.float32)
    norms[norms == 0] = 1
    return rows / norms
