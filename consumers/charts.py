"""Small charts and tables as HTML and inline SVG: no script, nothing from outside, every text escaped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from itertools import cycle

from consumers.untrusted import plain

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 460, 220, 52, 8, 12, 24  # px, with margins for the labels
# Told apart by colour-blind readers too (Okabe and Ito, 2008).
COLOURS = ("#0072b2", "#d55e00", "#999999", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
TICKS = 4
DAY_MS = 86_400_000


def safe(text: object) -> str:
    """Give ``text`` for HTML, without control characters.

    Examples
    --------
    >>> safe("<b>&")
    '&lt;b&gt;&amp;'
    """
    return escape(plain(text))


def line_chart(title: str, times: Sequence[int], series: Mapping[str, Sequence[float]]) -> str:
    """Draw lines over ``times`` (n,) in ms, each of n values; the axis starts at 0 where all are positive."""
    values = [value for line in series.values() for value in line]
    if not times or not values:
        return ""
    low, high, step = _axis(min(0.0, *values), max(values))
    span = max(times[-1] - times[0], 1)
    across, down = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def point(time: int, value: float) -> str:
        x = LEFT + across * (time - times[0]) / span
        return f"{x:.1f},{TOP + down * (high - value) / (high - low):.1f}"

    parts = []
    for tick in _ticks(low, high, step):
        y = TOP + down * (high - tick) / (high - low)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:.4g}</text>')
    for anchor, time, x in (("start", times[0], LEFT), ("end", times[-1], WIDTH - RIGHT)):
        parts.append(f'<text x="{x}" y="{HEIGHT - 6}" text-anchor="{anchor}">{date(time, span)}</text>')
    for colour, (name, line) in zip(cycle(COLOURS), series.items(), strict=False):
        points = " ".join(point(t, v) for t, v in zip(times, line, strict=True))
        parts.append(f'<polyline stroke="{colour}" points="{points}"><title>{safe(name)}</title></polyline>')
    legend = " ".join(
        f'<span><i style="background:{colour}"></i>{safe(name)}</span>'
        for colour, name in zip(cycle(COLOURS), series, strict=False)
    )
    svg = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{safe(title)}">{"".join(parts)}</svg>'
    return f"<figure><figcaption>{safe(title)}</figcaption>{svg}<p>{legend}</p></figure>"


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Draw a table; numbers stand to the right, shares with four digits."""
    head = "".join(f"<th>{safe(name)}</th>" for name in heads)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def date(time_ms: int, span_ms: int = 0) -> str:
    """Give the day of a time, with the hour where the log is short."""
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return f"{moment:%Y-%m-%d %H:%M}" if span_ms < 3 * DAY_MS else f"{moment:%Y-%m-%d}"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f'<td class="n">{value:.4f}</td>'
    if isinstance(value, int):
        return f'<td class="n">{value:,}</td>'
    return f"<td>{safe(value)}</td>"


def _axis(low: float, high: float) -> tuple[float, float, float]:
    """Give round ends of an axis, and the distance of its ticks.

    Examples
    --------
    >>> _axis(0.0, 0.37)
    (0.0, 0.4, 0.1)
    """
    rough = max(high - low, 1e-9) / TICKS
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough * (1 - 1e-9))
    first, last = math.floor(low / step), max(math.ceil(high / step), math.floor(low / step) + 1)
    return first * step, last * step, step


def _ticks(low: float, high: float, step: float) -> list[float]:
    return [low + i * step for i in range(round((high - low) / step) + 1)]
