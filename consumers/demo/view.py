"""The demonstration's screen: a function of its state."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from consumers.demo.state import DemoState
from consumers.lists import headline
from consumers.status import rates
from consumers.untrusted import plain, shown

LABEL_WIDTH = 36
USER_WIDTH = 10
# Lines that are not rows of clusters or lists: heads, borders, the last line.
FRAME = 13
FEWEST, MOST = 4, 16  # rows of clusters
ITEMS = 3  # shown of each list
BAR = 12  # columns of the largest cluster


def screen(state: DemoState, height: int) -> RenderableType:
    """Everything, in at most about ``height`` lines."""
    rows = min(max((height - FRAME) * 2 // 3, FEWEST), MOST)
    lists = max((height - FRAME - rows) // (ITEMS + 1), 1)
    middle = Table.grid(expand=True, padding=(0, 1))
    middle.add_column(ratio=1)
    middle.add_column(ratio=1)
    middle.add_row(
        Panel(_clusters(state, rows), title=f"clusters · {len(state.clusters())}", border_style="cyan"),
        Panel(
            _moves(state, rows), title=f"users that change cluster · {state.moved:,}", border_style="magenta"
        ),
    )
    return Group(
        _feed(state),
        _figures(state),
        middle,
        Panel(_lists(state, lists), title="latest lists", border_style="green"),
        Text(state.attach, style="dim", no_wrap=True, overflow="ellipsis"),
    )


def line(state: DemoState) -> str:
    """Everything in one line, where there is no terminal."""
    total = "" if state.total is None else f" of {state.total:,}"
    parts = [
        f"{state.elapsed:4.0f} s",
        state.activity,
        f"{state.sent:,}{total} records in",
        f"{state.lists:,} lists out",
        f"{state.events_rate.per_second:,.0f} events/s",
        f"lag {state.lag:,}",
        f"{len(state.clusters())} clusters",
        f"{state.moved:,} moves",
    ]
    if state.moves:
        move = state.moves[-1]
        parts.append(f"{move.user_id}: {state.label(move.before)} -> {state.label(move.after)}")
    return plain(" · ".join(part for part in parts if part))


def _feed(state: DemoState) -> RenderableType:
    row = Table.grid(expand=True, padding=(0, 1))
    row.add_column(no_wrap=True)
    row.add_column(ratio=1)
    row.add_column(no_wrap=True, justify="right")
    total = "" if state.total is None else f" of {state.total:,}"
    row.add_row(
        Text.assemble(("shoal demo ", "bold"), (state.activity, "dim")),
        ProgressBar(state.total, min(state.sent, state.total or 0), pulse=state.total is None),
        f"{state.sent:,}{total} events fed · {state.elapsed:.0f} s",
    )
    return row


def _figures(state: DemoState) -> RenderableType:
    cells = [
        f"[b]{state.events_rate.per_second:,.0f}[/b] events/s",
        f"[b]{state.lists_rate.per_second:,.0f}[/b] lists/s",
        f"[b]{state.lists:,}[/b] lists",
        f"lag [b]{state.lag:,}[/b]",
    ]
    found = rates(state.tally.counts)
    if found:
        cells.append(f"hit rate@{state.k} [b green]{found[0]:.1%}[/b green], popularity {found[1]:.1%}")
    return Text.from_markup("   ".join(cells))


def _clusters(state: DemoState, rows: int) -> RenderableType:
    found = state.clusters()
    if not found:
        return Text("the first ones are chosen once enough users are known", "dim")
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(ratio=1, no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(width=BAR)
    largest = found[0][1]
    for cluster, users in found[:rows]:
        bar = "█" * max(round(BAR * users / largest), 1)
        table.add_row(shown(state.label(cluster), LABEL_WIDTH), f"{users:,}", Text(bar, "cyan"))
    return table


def _moves(state: DemoState, rows: int) -> RenderableType:
    if not state.moves:
        return Text("nobody yet", "dim")
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, no_wrap=True)
    table.add_column()
    table.add_column(ratio=1, no_wrap=True)
    for move in list(state.moves)[: -rows - 1 : -1]:
        table.add_row(
            shown(move.user_id, USER_WIDTH, "bold"),
            shown(state.label(move.before), LABEL_WIDTH, "dim"),
            "→",
            shown(state.label(move.after), LABEL_WIDTH, "magenta"),
        )
    return table


def _lists(state: DemoState, most: int) -> RenderableType:
    if not state.latest:
        return Text("the worker starts: it loads the encoder and encodes the catalogue", "dim")
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(ratio=3, no_wrap=True)
    table.add_column(ratio=2, no_wrap=True)
    for listed in list(state.latest)[: -most - 1 : -1]:
        table.add_row(headline(listed, LABEL_WIDTH), "")
        for item in listed.items[:ITEMS]:
            table.add_row(
                Text("  ").append(shown(item.title or item.item_id)), shown(item.reason, style="dim")
            )
    return table
