"""The service's own quality as tables: how lists were met, by whom, by source, and what came of what was shown."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from consumers.untrusted import shown
from stream.recommending.quality import LiveQuality, Shown

WORDS = {
    "all": "all items",
    "new": "items new to their user",
    "first_session": "users in their first session",
    "returning": "users who came back",
}
PLACES = 10  # of lists, that are shown with what came of them
OF_LATE = "of late: counts fade with a half-life of 20,000 events"


def quality_view(lately: LiveQuality, ever: LiveQuality, listed: float, k: int) -> RenderableType:
    """Show the quality of late, and since the beginning; ``listed`` different items stood in lists of late."""
    if not ever.among:
        return Text("no list was met yet by an event that followed it", "dim")
    parts: list[RenderableType] = [rates_view(lately, ever, k), "", sources_view(lately)]
    parts.append(Text(f"about {listed:,.0f} different items in lists of late", "dim"))
    if ever.shown.impressions or ever.shown.clicks or any(_any(part) for part in ever.astray.values()):
        parts += ["", shown_view(ever)]
    return Group(*parts)


def rates_view(lately: LiveQuality, ever: LiveQuality, k: int) -> Table:
    """How events met the lists last published for their users, beside what is popular."""
    table = Table("", box=None, padding=(0, 2, 0, 0), caption=OF_LATE, caption_justify="left")
    for name in (f"hit rate@{k}", "popular", f"NDCG@{k}", "popular", "events"):
        table.add_column(name, justify="right", style="dim" if name == "popular" else "")
    for when, quality in (("of late", lately), ("in all", ever)):
        for name, rates in quality.among.items():
            figures = (rates.hit_rate, rates.popular_hit_rate, rates.ndcg, rates.popular_ndcg)
            cells = [f"{figure:.4f}" for figure in figures]
            table.add_row(f"{WORDS[name]}, {when}", *cells, f"{rates.scored:,.0f}")
    return table


def sources_view(quality: LiveQuality) -> Table:
    """What each source contributed."""
    table = Table("source", box=None, padding=(0, 2, 0, 0))
    for name in ("places", "hits", "hits per place"):
        table.add_column(name, justify="right")
    for name, source in quality.sources.items():
        table.add_row(
            shown(name), f"{source.places:.1%}", f"{source.hits:.1%}", f"{source.hits_per_place:.4f}"
        )
    return table


def shown_view(quality: LiveQuality) -> Table:
    """What came of places that were shown, by the events that name the list they answer."""
    table = Table("shown", box=None, padding=(0, 2, 0, 0))
    for name in ("impressions", "clicks", "clicks per impression"):
        table.add_column(name, justify="right")
    _row(table, "in all", quality.shown)
    _rows(table, "variant", quality.variants)
    _rows(table, "source", quality.shown_sources)
    _rows(table, "place", {str(place + 1): one for place, one in list(quality.places.items())[:PLACES]})
    for name, words in (
        ("earlier_list", "of a list before the last"),
        ("other_list", "of a list not known"),
        ("not_listed", "not at their place"),
    ):
        if _any(quality.astray[name]):
            _row(table, words, quality.astray[name])
    return table


def _rows(table: Table, what: str, parts: Mapping[str, Shown]) -> None:
    for name, part in parts.items():
        _row(table, f"{what} {name}", part)


def _row(table: Table, name: str, part: Shown) -> None:
    rate = "" if part.click_rate is None else f"{part.click_rate:.4f}"
    table.add_row(shown(name), f"{part.impressions:,.0f}", f"{part.clicks:,.0f}", rate)


def _any(part: Shown) -> bool:
    return bool(part.impressions or part.clicks)
