"""The JSON of items, written once per item and put together by a kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
from numba import njit

from stream.catalogue import Catalogue

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]

SCORE_LIMIT = 1e12  # a score is cut to this: its digits fit into 64 bits, and no ranker comes near
# Of a written score: sign, 13 digits, point, 5 decimals.
SCORE_BYTES = 20
CLOSING = (34, 125)  # "} behind a name
# Of what a reason names, in characters: a title is cut to it. Shorter leaves titles that all begin alike, longer makes
# each list longer by up to twenty times as much.
LONGEST_NAME = 60


class Texts:
    """Pieces of text by number as one array of bytes, which grows.

    Examples
    --------
    >>> texts = Texts([b"ab", b"", b"c"])
    >>> texts.data[:3].tobytes(), texts.start.tolist(), texts.size.tolist()
    (b'abc', [0, 2, 2], [2, 0, 1])
    """

    def __init__(self, pieces: list[bytes]) -> None:
        self.data: Bytes = np.frombuffer(b"".join(pieces), np.uint8)
        self.size: Places = np.fromiter(map(len, pieces), np.int64, len(pieces))
        self.start: Places = np.cumsum(self.size) - self.size
        self.end = len(self.data)

    def set(self, numbers: Places, pieces: list[bytes]) -> None:
        """Put ``pieces`` at ``numbers``; what stood there is left behind unused."""
        more = Texts(pieces)
        needed = self.end + more.end
        if needed >= len(self.data):  # also where all are empty: what was there first cannot be written to
            self.data = np.concatenate([self.data[: self.end], np.empty(needed, np.uint8)])
        self.data[self.end : needed] = more.data
        self.start[numbers] = self.end + more.start
        self.size[numbers] = more.size
        self.end = needed

    def reserve(self, n: int) -> None:
        """Have at least ``n`` pieces; those that are new are empty."""
        if n > len(self.size):
            blank = np.zeros(max(n, 2 * len(self.size)) - len(self.size), np.int64)
            self.start, self.size = (np.concatenate([old, blank]) for old in (self.start, self.size))

    def arrays(self) -> tuple[Bytes, Places, Places]:
        """What the kernel reads: bytes, and where each piece starts and how long it is."""
        return self.data, self.start, self.size


Write = Callable[[int, Mapping[int, str]], bytes]


class _Pieces:
    """Pieces by number, written when they are first wanted, and all anew when the catalogue has moved on."""

    def __init__(self, catalogue: Catalogue, write: Write) -> None:
        self._catalogue = catalogue
        self._write = write
        self._version = -1
        self._texts = Texts([])

    def wanted(self, numbers: npt.NDArray[np.integer[Any]], item_ids: Mapping[int, str]) -> Texts:
        if self._version != self._catalogue.version:
            self._texts, self._version = Texts([]), self._catalogue.version
        self._texts.reserve(int(numbers.max(initial=-1)) + 1)
        missing = numbers[self._texts.size[numbers] == 0]
        if len(missing):
            new = np.unique(missing).astype(np.int64)
            self._texts.set(new, [self._write(number, item_ids) for number in new.tolist()])
        return self._texts


class ItemFragments:
    """What stands of items in lists, as JSON; ``item_ids`` name those of which there is no entry."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._openings = _Pieces(catalogue, self._open)
        self._names = _Pieces(catalogue, self._name)

    def openings(self, rows: npt.NDArray[np.int32], item_ids: Mapping[int, str]) -> Texts:
        """How entries begin, by item row, those of ``rows`` (n,) written: the item's own fields, up to its score."""
        return self._openings.wanted(rows, item_ids)

    def names(self, numbers: npt.NDArray[np.int64], item_ids: Mapping[int, str]) -> Texts:
        """What reasons name, those of ``numbers`` (n,) written: see ``title_of``. Without quotes; empty if unknown."""
        return self._names.wanted(numbers, item_ids)

    def _open(self, row: int, item_ids: Mapping[int, str]) -> bytes:
        item = self._catalogue.fragment(row) or orjson.dumps({"item_id": item_ids.get(row, "")})
        return item[:-1] + b',"score":'

    def _name(self, number: int, item_ids: Mapping[int, str]) -> bytes:
        row, is_category = divmod(number, 2)
        item = self._catalogue.item(row)
        if item is None:
            text = "" if is_category else item_ids.get(row, "")
        else:
            text = item.category if is_category else item.title or item.item_id
        return orjson.dumps(shortened(text))[1:-1]


def shortened(text: str) -> str:
    """Cut a name to ``LONGEST_NAME`` characters.

    Examples
    --------
    >>> shortened("Fell shoe"), len(shortened("word " * 99)), shortened("word " * 99)[-6:]
    ('Fell shoe', 60, ' word…')
    """
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1].rstrip() + "…"


@njit(cache=True, inline="always")
def _copy(data, start, size, out, at):  # type: ignore[no-untyped-def]
    # Unsigned: an index that may be negative keeps the compiler from copying many bytes at once.
    source, target = np.uint64(start), np.uint64(at)
    for i in range(np.uint64(size)):
        out[target + i] = data[source + i]
    return at + size


@njit(cache=True)
def put_score(score, out, at):  # type: ignore[no-untyped-def]
    """Write ``score`` with five decimals to ``out`` from ``at`` on; returns where it ends."""
    value = min(max(np.float64(score), -SCORE_LIMIT), SCORE_LIMIT)
    scaled = np.int64(np.rint(abs(value) * 1e5))
    if value < 0 and scaled > 0:
        out[at] = 45  # -
        at += 1
    digits = 6  # five decimals, and one before the point
    power = np.int64(1_000_000)
    while scaled >= power:
        digits += 1
        power *= 10
    for place in range(digits, 0, -1):
        if place == 5:
            out[at] = 46  # .
            at += 1
        power //= 10
        out[at] = 48 + scaled // power % 10
        at += 1
    return at


@njit(cache=True)
def join_records(heads, tails, openings, endings, names, item, score, ending, named, out, ends):  # type: ignore[no-untyped-def]
    """Write m records one behind the other into ``out`` (bytes,); ``ends`` (m,) says where each ends.

    A record is its head, entries parted by commas, its tail. An entry is its item's opening, its score, and
    the ending whose number stands in ``ending`` (m, k); where ``named`` (m, k) is a number of a name and not -1, that
    ending is open: the name and ``CLOSING`` follow. ``item`` (m, k) holds item rows, -1 where a list ends. ``heads``,
    ``tails``, ``openings``, ``endings`` and ``names`` are ``Texts.arrays``.
    """
    at = 0
    for u in range(len(item)):
        at = _copy(heads[0], heads[1][u], heads[2][u], out, at)
        for q in range(item.shape[1]):
            row = item[u, q]
            if row < 0:
                break
            if q:
                out[at] = 44  # a comma
                at += 1
            at = _copy(openings[0], openings[1][row], openings[2][row], out, at)
            at = put_score(score[u, q], out, at)
            e = ending[u, q]
            at = _copy(endings[0], endings[1][e], endings[2][e], out, at)
            name = named[u, q]
            if name >= 0:
                at = _copy(names[0], names[1][name], names[2][name], out, at)
                out[at], out[at + 1] = CLOSING
                at += 2
        at = _copy(tails[0], tails[1][u], tails[2][u], out, at)
        ends[u] = at


def join(
    heads: Texts,
    tails: Texts,
    openings: Texts,
    endings: Texts,
    names: Texts,
    item: npt.NDArray[np.int32],
    score: npt.NDArray[np.float32],
    ending: npt.NDArray[np.int64],
    named: npt.NDArray[np.int64],
) -> list[bytes]:
    """Give the m records of ``join_records``. Raises ArithmeticError where a score is no number."""
    listed = item >= 0
    if not np.isfinite(score[listed]).all():
        raise ArithmeticError("the ranker gives scores that are no numbers: its weights are damaged")
    entries = int(openings.size[item[listed]].sum() + endings.size[ending[listed]].sum())
    entries += int(names.size[named[named >= 0]].sum())
    room = heads.end + tails.end + entries + (SCORE_BYTES + 1 + len(CLOSING)) * int(listed.sum())
    out, ends = np.empty(room, np.uint8), np.empty(len(item), np.int64)
    join_records(
        heads.arrays(), tails.arrays(), openings.arrays(), endings.arrays(), names.arrays(),
        item, score, ending, named, out, ends,
    )  # fmt: skip
    written = out[: int(ends[-1]) if len(ends) else 0].tobytes()
    bounds = [0, *ends.tolist()]
    return [written[a:b] for a, b in pairwise(bounds)]
