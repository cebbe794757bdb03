"""Evaluations over files: what is read, and what is written."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest

from consumers.ablating import ablation
from consumers.charts import line_chart, table
from consumers.evaluating import before
from consumers.evaluating_report import report_page
from stream.config_lists import ALL_SOURCES
from stream.errors import ConfigError
from stream.events.schema import EventRecord

EVIL = "</pre><script>alert(1)</script>\x1b[31m"


class Page(HTMLParser):
    """Collects tags, attributes and texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def scores(recall: float = 0.25) -> dict[str, Any]:
    one = {"recall@20": recall, "ndcg@20": 0.125, "hit_rate@20": 0.5, "steps": 1234}
    both = {"all": one, "new": one}
    return {
        "fresh": {**both, "popular": both},
        "live": {**both, "popular": both},
        "comparators": {"popular": both, "als": both},
    }


@pytest.fixture
def metrics() -> dict[str, Any]:
    look = {
        "clusters": 3, "users": 40, "empty": 0, "silhouette": 0.2, "davies_bouldin": 1.5,
        "against_batch": 1.01, "churn": 0.01, "churn_per_day": 0.002,
    }  # fmt: skip
    source = {"places": 0.5, "hits": 0.75, "precision": 0.1}
    return {
        **scores(),
        "slices": {"cold_users": scores()},
        "over_time": [{"time": day * 86_400_000, **scores(day / 10)} for day in range(5)],
        "sources": {"all": {EVIL: source}, "new": {"popular": source}},
        "coverage": {"fresh": {"all": 0.5, "new": 1}},
        "clusters": [{"id": 7, "label": EVIL, "segments": [1], "users": 9}],
        "quality": [{"time": day * 86_400_000, **look} for day in (1, 2)],
        "log": {"events": 5_000, "items": 60, "left_out": {}},
    }


RUN = {
    "shoal": "0", "python": "3", "machine": "x", "cores": 2, "seconds": {"run": 1.5}, "events_per_second": 9.0,
    "settings": f'a = "{EVIL}"\nb = 1',
}  # fmt: skip


def test_the_report_asks_for_nothing_and_runs_nothing(metrics: dict[str, Any]) -> None:
    html = report_page(metrics, RUN, 20)
    page = Page(html)
    assert page.open == []  # all is closed
    assert not {"script", "link", "img", "iframe", "object", "a"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("src", "href")]
    assert "url(" not in html
    assert "@import" not in html
    assert "<script>alert(1)</script>" in page.text  # as a text, in the label, the source and the settings
    assert "\x1b" not in html
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes


def test_the_report_shows_what_was_found(metrics: dict[str, Any]) -> None:
    page = Page(report_page(metrics, RUN, 20))
    for word in ("0.2500", "1,234", "als", "cold users", "churn per day", "events_per_second", "fresh"):
        assert word in page.text
    assert page.tags.count("svg") == 4 + 6  # curves of quality, and of clusters


def test_a_log_of_which_nothing_is_scored_has_a_report_too(metrics: dict[str, Any]) -> None:
    empty = metrics | {"over_time": [], "quality": [], "clusters": []}
    assert Page(report_page(empty, RUN, 20)).tags.count("svg") == 0


def test_lines_stay_within_their_chart() -> None:
    html = line_chart("t", [0, 50, 100], {"a": [0.0, 0.37, 0.2], "b": [-0.4, 0.1, 0.0]})
    points = [p.split(",") for line in html.split('points="')[1:] for p in line.split('"')[0].split()]
    assert len(points) == 6
    assert all(52 <= float(x) <= 452 and 12 <= float(y) <= 196 for x, y in points)
    assert float(points[1][1]) < float(points[2][1])  # more is further up
    flat = line_chart("t", [5], {"a": [0.0]})
    assert "nan" not in flat + html


def test_cells_are_escaped_and_numbers_stand_to_the_right() -> None:
    html = table(["<h>"], [["<i>", 1, 0.5]])
    assert "<th>&lt;h&gt;</th>" in html
    assert '<td>&lt;i&gt;</td><td class="n">1</td><td class="n">0.5000</td>' in html


def test_a_log_is_cut_at_a_number_or_a_time() -> None:
    start = 1_736_150_400_000  # 2025-01-06T08:00Z
    events = [
        EventRecord(user_id="u", action="view", item_id="i", timestamp=start + n * 3_600_000)
        for n in range(5)
    ]
    assert before(events, None) == events
    assert before(events, "2") == events[:2]
    assert before(events, "2025-01-06T10:00:00Z") == events[:2]
    assert before(events, str(start + 1)) == events[:1]
    with pytest.raises(ConfigError, match="--until soon"):
        before(events, "soon")


def test_a_part_goes_with_the_sources_that_rest_on_it() -> None:
    assert ablation(None, []) == {}
    found = ablation(None, ["vectors", "repeats"])
    assert found["recommending__vectors"] is False
    assert set(ALL_SOURCES) - set(found["recommending__sources"]) == {"content", "repeats"}  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match=r"--no-magic.*trending"):
        ablation(None, ["magic"])
