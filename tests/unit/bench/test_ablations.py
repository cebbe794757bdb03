"""Which part of which log the ablations are measured on."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.ablations import EVENTS, SIZES, cut_logs
from bench.cluster_log import LOGS


def test_each_log_is_cut_to_its_number_of_events_in_the_order_of_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = '{"event_id": "%d", "user_id": "u", "action": "view", "item_id": "i", "timestamp": %d}\n'
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "items.jsonl").write_text('{"item_id": "i", "title": "Soap"}\n')
        (tmp_path / name / "events.jsonl").write_text(
            "".join(line % (n, EVENTS + 10 - n) for n in range(EVENTS + 5))
        )
    monkeypatch.setenv(LOGS, f"{tmp_path / 'first'}:{tmp_path / 'second'}")
    monkeypatch.setenv(SIZES, "3")
    first, second = cut_logs()
    assert [event.timestamp for event in first.events] == [6, 7, 8]
    assert len(second.events) == EVENTS
