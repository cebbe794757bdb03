"""What a demonstration comes to, and how it is said."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from consumers.demo.state import DemoState
from consumers.status_view import counts_view, hit_rate_lines
from consumers.untrusted import shown

NEXT_STEPS = """\
With a broker that stays, each in a terminal of its own:
  shoal broker                            an Apache Kafka on this machine
  shoal generate out                      a log and its catalogue
  shoal items load out/items.jsonl
  shoal replay out/events.jsonl           events in
  shoal worker                            events to lists
  shoal tail                              lists out, as to any Kafka client"""


def summary(state: DemoState, adjusted_rand: float | None) -> RenderableType:
    """Show the sums, the clusters, and how good they and the lists were."""
    parts: list[RenderableType] = ["", Text("what went in, and what came out", "bold")]
    parts += [counts_view(state.tally.counts), "", _clusters(state), ""]
    parts += hit_rate_lines(state.tally.counts, state.k)
    if adjusted_rand is not None:
        found = (f"{adjusted_rand:.3f}", "bold green")
        parts.append(Text.assemble("adjusted Rand index of clusters against the true personas: ", found))
    if state.first_list is not None:
        parts.append(Text(f"first list {state.first_list:.1f} s after the first event", "dim"))
    return Group(*parts, "", Text(NEXT_STEPS))


def _clusters(state: DemoState) -> RenderableType:
    if not state.clusters():
        return Text("no clusters: too few users have been seen", "dim")
    table = Table("users", "cluster", box=None, padding=(0, 2, 0, 0))
    table.columns[0].justify = "right"
    for cluster, users in state.clusters():
        table.add_row(f"{users:,}", shown(state.label(cluster), style="cyan"))
    return table
