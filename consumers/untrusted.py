"""Texts that others wrote (titles, ids, dead records), made fit for a terminal."""

from __future__ import annotations

import re

from rich.cells import cell_len, set_cell_size
from rich.text import Text

# Control characters move cursors and paint screens (ESC, and CSI as U+009B); bidirectional and invisible ones
# make a text look like another; lone surrogates cannot be written. Joiners (U+200C, U+200D) stay, since
# Persian words and emoji need them.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_UNSAFE_IN_LINES = re.compile(rf"(?!\n){_UNSAFE.pattern}")
MARK = "\N{REPLACEMENT CHARACTER}"


def plain(text: object, width: int | None = None) -> str:
    r"""Give ``text`` as one line without anything that a terminal would obey, cut to ``width`` columns.

    Examples
    --------
    >>> plain("a\x1b[31mb\n")
    'a\ufffd[31mb\ufffd'
    >>> plain("a long title", width=7)
    'a long\u2026'
    """
    safe = _UNSAFE.sub(MARK, str(text))
    if width is not None and cell_len(safe) > width:
        return set_cell_size(safe, max(width - 1, 0)).rstrip() + "…"
    return safe


def plain_lines(text: object) -> str:
    """As ``plain``, with line ends kept."""
    return _UNSAFE_IN_LINES.sub(MARK, str(text))


def shown(text: object, width: int | None = None, style: str = "") -> Text:
    """As ``plain``, for rich; markup in it, such as ``[red]``, is text like any other."""
    return Text(plain(text, width), style=style)
