"""What an evaluation found, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from consumers.evaluating import Evaluated
from consumers.lists import cluster_name
from consumers.status_view import counts_view
from consumers.untrusted import shown

PROTOCOLS = ("fresh", "live")
METRICS = ("hit_rate", "recall", "ndcg")
AMONG = {"all": "all", "new": "new"}
LEGEND = "fresh: lists made just before each step; live: as last published; new: items new to their user"


def report_view(done: Evaluated, k: int) -> RenderableType:
    """All that ``shoal evaluate`` prints."""
    report = done.report
    parts: list[RenderableType] = [counts_view(report.counts)]
    if done.skipped:
        left_out = ", ".join(f"{reason} {n:,}" for reason, n in done.skipped.items())
        parts.append(Text(f"left out by the mapping: {left_out}", "dim"))
    parts += ["", scores_view(report.scores, k), "", clusters_view(report.clusters)]
    parts += quality_lines(report.quality)
    seconds = report.seconds
    speed = done.events / max(seconds["run"], 1e-9)
    took = f"{seconds['run']:.1f} s, {speed:,.0f} events/s; {seconds['encode']:.1f} s to encode {done.items:,} items"
    parts.append(Text(f"\n{took}", "dim"))
    return Group(*parts)


def scores_view(scores: Mapping[str, Any], k: int) -> Table:
    """Lists beside popularity, by protocol; those that scored nothing are left out."""
    table = Table("lists", "items", box=None, padding=(0, 2, 0, 0), caption=LEGEND, caption_justify="left")
    for name in (f"hit@{k}", "popular", f"recall@{k}", "popular", f"ndcg@{k}", "popular"):
        table.add_column(name, justify="right", style="dim" if name == "popular" else "")
    table.add_column("steps", justify="right")
    for protocol in PROTOCOLS:
        for among, words in AMONG.items():
            mine, popular = scores[protocol][among], scores[protocol]["popular"][among]
            if not mine["steps"]:
                continue
            cells: list[str] = []
            for metric in METRICS:
                cells += [f"{found[f'{metric}@{k}']:.4f}" for found in (mine, popular)]
            table.add_row(protocol, words, *cells, f"{int(mine['steps']):,}")
    for name, found in scores["comparators"].items():
        for among, words in AMONG.items() if name != "popular" else ():
            cells = [x for metric in METRICS for x in (f"{found[among][f'{metric}@{k}']:.4f}", "")]
            table.add_row(shown(name), words, *cells, f"{int(found[among]['steps']):,}")
    return table


def quality_lines(quality: Sequence[Mapping[str, float]]) -> list[Text]:
    """Say how good the clusters are at the end of the log."""
    if not quality:
        return []
    last = quality[-1]
    lines = []
    if "adjusted_rand" in last:
        found = (f"{last['adjusted_rand']:.3f}", "bold green")
        beside = f"   batch k-means with hindsight {last['adjusted_rand_batch']:.3f}"
        lines.append(Text.assemble("\nadjusted Rand index against the personas ", found, beside))
    silhouette, against = last["silhouette"], last["against_batch"]
    lines.append(Text(f"silhouette {silhouette:.3f}   error {against:.3f} of batch k-means with hindsight"))
    looks = quality[1:] or quality
    churn = sum(look["churn_per_day"] for look in looks) / len(looks)
    lines.append(Text(f"idle users moved to another cluster in a day {churn:.2%}, in the mean over the log"))
    return lines


def clusters_view(clusters: list[dict[str, int | str]]) -> RenderableType:
    """Show clusters by size."""
    if not clusters:
        return Text("no clusters: the log shows too few users", "dim")
    table = Table("id", "cluster", box=None, padding=(0, 2, 0, 0))
    table.add_column("users", justify="right")
    for cluster in sorted(clusters, key=lambda c: (-int(c["users"]), int(c["id"]))):
        name = cluster_name(int(cluster["id"]), str(cluster["label"]))
        table.add_row(str(cluster["id"]), shown(name, style="cyan"), f"{cluster['users']:,}")
    return table
