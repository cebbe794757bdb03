"""What an evaluation found, as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from consumers.charts import line_chart, safe, table
from consumers.lists import cluster_name

Found = Mapping[str, Any]

PROTOCOLS = ("fresh", "live")
AMONG = {"all": "all items", "new": "items new to their user"}
# The page asks nobody for anything, and runs nothing, whatever stands in it.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = """
:root{color-scheme:light dark}body{font:15px/1.45 system-ui,sans-serif;max-width:1000px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem}section>div{display:flex;flex-wrap:wrap;gap:1rem}
table{border-collapse:collapse;margin:.6rem 0}th,td{padding:.2rem .7rem .2rem 0;text-align:left}th{opacity:.65}
td.n{text-align:right;font-variant-numeric:tabular-nums}tr+tr td{border-top:1px solid #8883}
figure{margin:0;width:455px;max-width:100%}figcaption{font-weight:600}figure p{margin:.2rem 0;font-size:.85rem}
svg text{font-size:11px;fill:currentColor;opacity:.75}svg polyline{fill:none;stroke-width:2}.grid{stroke:#8884}
span{margin-right:1rem}i{display:inline-block;width:.8rem;height:.8rem;margin-right:.3rem}pre{overflow:auto;opacity:.8}
"""


def report_page(metrics: Found, run: Found, k: int) -> str:
    """Draw the page from what ``metrics.json`` and ``run.json`` hold."""
    log = metrics["log"]
    sections = {
        "How lists were met": _lists(metrics, k),
        "Over the log": _curves(metrics["over_time"], k),
        "Who asked, for what, and when": _slices(metrics["slices"], k),
        "Where lists come from": _sources(metrics["sources"]),
        "How widely they reach": _coverage(metrics["coverage"]),
        "Clusters": _clusters(metrics["clusters"], metrics["quality"]),
        "Speed and settings": _speed(run),
    }
    body = "".join(f"<section><h2>{safe(title)}</h2>{html}</section>" for title, html in sections.items())
    summary = (
        f"{log['events']:,} events, {log['items']:,} items, {metrics['fresh']['all']['steps']:,} steps scored"
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width"><title>Shoal: evaluation</title>'
        f"<style>{STYLE}</style></head><body><h1>Evaluation</h1><p>{safe(summary)}</p>{body}</body></html>\n"
    )


def _lists(metrics: Found, k: int) -> str:
    rows = list(_score_rows(metrics, k))
    told = (
        "<p>A step is the events of one user with one time. Fresh lists are made just before it, from what came "
        "strictly before; live ones are those last published. The first tenth of the steps only teach.</p>"
    )
    return told + table(("lists", "among", f"recall@{k}", f"NDCG@{k}", f"hit rate@{k}", "steps"), rows)


def _score_rows(found: Found, k: int) -> Iterator[tuple[object, ...]]:
    named = {protocol: found[protocol] for protocol in PROTOCOLS} | found["comparators"]
    for name, scores in named.items():
        for among, words in AMONG.items():
            one = scores[among]
            if one["steps"]:
                yield name, words, one[f"recall@{k}"], one[f"ndcg@{k}"], one[f"hit_rate@{k}"], one["steps"]


def _curves(periods: Sequence[Found], k: int) -> str:
    times = [period["time"] for period in periods]
    charts = []
    for metric, title in ((f"recall@{k}", f"recall@{k}"), (f"ndcg@{k}", f"NDCG@{k}")):
        for among, words in AMONG.items():
            lines = {name: [p[name][among][metric] for p in periods] for name in PROTOCOLS}
            lines["popular"] = [p["fresh"]["popular"][among][metric] for p in periods]
            charts.append(line_chart(f"{title}, {words}", times, lines))
    return _row(charts)


def _slices(slices: Found, k: int) -> str:
    heads = ["slice", "among", f"recall@{k}", "popular", f"NDCG@{k}", "popular", "live recall", "steps"]
    rows = []
    for name, found in slices.items():
        for among, words in AMONG.items():
            fresh, live, popular = (
                found["fresh"][among],
                found["live"][among],
                found["fresh"]["popular"][among],
            )
            both = [one[f"{metric}@{k}"] for metric in ("recall", "ndcg") for one in (fresh, popular)]
            rows.append((name.replace("_", " "), words, *both, live[f"recall@{k}"], fresh["steps"]))
    told = "<p>Cold users have at most 2 earlier events; cold items first came less than 50 events ago, or never.</p>"
    return told + table(heads, rows)


def _sources(sources: Found) -> str:
    rows = [
        (name, AMONG[among], one["places"], one["hits"], one["precision"])
        for among, by_name in sources.items()
        for name, one in by_name.items()
    ]
    return table(("source", "among", "share of places", "share of hits", "hits per place"), rows)


def _coverage(coverage: Found) -> str:
    rows = [(name, *(float(found[among]) for among in AMONG)) for name, found in coverage.items()]
    return "<p>Share of all items that were in any list.</p>" + table(("lists", *AMONG.values()), rows)


def _clusters(clusters: Sequence[Found], quality: Sequence[Found]) -> str:
    times = [look["time"] for look in quality]
    wanted = {
        "clusters": ("clusters", "empty"),
        "users active within a half-life": ("users",),
        "silhouette": ("silhouette",),
        "Davies-Bouldin index": ("davies_bouldin",),
        "error over that of batch k-means with hindsight": ("against_batch",),
        "share of idle users moved": ("churn", "churn_per_day"),
        "adjusted Rand index": ("adjusted_rand", "adjusted_rand_batch"),
    }
    charts = [
        line_chart(title, times, {name.replace("_", " "): [look[name] for look in quality] for name in names})
        for title, names in wanted.items()
        if quality and names[0] in quality[0]
    ]
    order = sorted(clusters, key=lambda one: (-one["users"], one["id"]))
    rows = [(one["id"], cluster_name(one["id"], one["label"]), one["users"]) for one in order]
    return _row(charts) + table(("id", "cluster", "users at the end"), rows)


def _speed(run: Found) -> str:
    facts = [(name, run[name]) for name in ("shoal", "python", "machine", "cores", "events_per_second")]
    facts += [(f"seconds, {name}", value) for name, value in run["seconds"].items()]
    return table(("what", "value"), facts) + f"<pre>{safe_lines(run['settings'])}</pre>"


def safe_lines(text: str) -> str:
    """As ``safe``, with line ends kept."""
    return "\n".join(map(safe, text.splitlines()))


def _row(charts: Sequence[str]) -> str:
    return f"<div>{''.join(charts)}</div>"
