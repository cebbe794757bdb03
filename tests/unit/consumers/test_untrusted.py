"""Others' texts do nothing to a terminal."""

from __future__ import annotations

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from consumers.untrusted import MARK, plain, plain_lines, shown

ATTACKS = [
    "\x1b[2J",  # clears the screen
    "\x1b]0;title\x07",  # sets the window's title
    "\x9b31m",  # CSI as one character
    "a\rb",  # writes over the line
    "a\x08b",
    "a\u202egpj.exe",  # right to left
    "a\u2066b\u2069",
    "a\u200bb",  # invisible
    "\ud800",  # cannot be written
    "\U000e0041",  # a tag, invisible
]


@pytest.mark.parametrize("text", ATTACKS)
def test_what_a_terminal_obeys_is_replaced(text: str) -> None:
    assert MARK in plain(text)
    assert MARK in plain_lines(text)


@given(st.text())
def test_nothing_but_printable_characters_is_left(text: str) -> None:
    safe = plain(text)
    assert not {c for c in safe if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")}
    safe.encode()


@given(st.text(), st.integers(1, 30))
def test_a_text_is_cut_to_its_columns(text: str, width: int) -> None:
    assert cell_len(plain(text, width)) <= width


def test_ordinary_texts_stay_as_they_are() -> None:
    for text in ("Crème brûlée", "跑步鞋", "نیم‌فاصله", "👩‍👩‍👧", "a \\ [b]"):
        assert plain(text) == text


def test_lines_are_kept_where_asked() -> None:
    assert plain_lines("a\nb\x1b") == f"a\nb{MARK}"
    assert plain("a\nb") == f"a{MARK}b"


def test_markup_in_a_title_is_text() -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="truecolor")
    console.print(shown("[bold red]sale[/bold red] :boom: [link=file:///etc]x[/link]"))
    out = console.file.getvalue()  # type: ignore[attr-defined]
    assert out == "[bold red]sale[/bold red] :boom: [link=file:///etc]x[/link]\n"
