"""Counts of the service as tables."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from consumers.quality_view import quality_view
from consumers.status import Tally, parts_of, rates, unaccounted
from consumers.untrusted import shown
from stream.recommending.quality import LiveQuality


def status_view(tally: Tally, behind: int, k: int) -> RenderableType:
    """All that ``shoal status`` says; ``k`` is the length of lists."""
    table = _grid()
    table.add_row("lag", f"{behind:,}", "events that no worker has taken in yet")
    table.add_row("clusters", f"{tally.clusters:,}", "")
    table.add_row("model version", f"{tally.version:,}", _decisions(tally))
    lags = tally.model_lags()
    workers = ", ".join(f"{who} {missed:,}" for who, missed in lags.items())
    meaning = f"entries that lists were made without, by worker: {workers or 'none has worked yet'}"
    table.add_row("model lag", f"{max(lags.values(), default=0):,}", shown(meaning))
    lately, ever = LiveQuality.of(tally.lately.counts), LiveQuality.of(tally.counts)
    quality = quality_view(lately, ever, tally.lately.listed, k)
    return Group(counts_view(tally.counts), table, "", quality)


def counts_view(counts: Mapping[str, float]) -> RenderableType:
    """Show where all records went, by reason, and whether it adds up."""
    table = _grid()
    table.add_row("records in", f"{int(counts.get('records', 0)):,}", "")
    table.add_row("  events", f"{int(counts.get('events', 0)):,}", "taken in")
    for name, prefix in (("dropped", "dropped."), ("dead letters", "dead.")):
        parts = parts_of(counts, prefix)
        by_reason = ", ".join(f"{reason} {n:,}" for reason, n in parts.items())
        table.add_row(f"  {name}", f"{sum(parts.values()):,}", by_reason)
    table.add_row("lists out", f"{int(counts.get('lists', 0)):,}", "")
    missing = unaccounted(counts)
    if missing:
        table.add_row(Text("unaccounted", "red"), Text(f"{missing:,}", "red"), "records that went nowhere")
    return table


def hit_rate_lines(counts: Mapping[str, float], k: int) -> list[Text]:
    """How the lists last published were met by what users took next, beside what is popular."""
    lines = []
    for prefix, among in (("", "all items"), ("new.", "items new to their user")):
        found = rates(counts, prefix)
        if found:
            lines.append(
                Text.assemble(
                    f"hit rate@{k} {among:<24}",
                    (f"{found[0]:6.1%}", "bold green"),
                    f"   popularity {found[1]:6.1%}",
                )
            )
    return lines


def _decisions(tally: Tally) -> str:
    return "decisions: " + (", ".join(f"{what} {n}" for what, n in sorted(tally.decisions.items())) or "none")


def _grid() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="dim")
    return table
