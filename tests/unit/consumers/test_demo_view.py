"""The demonstration's state and screen, without Kafka."""

from __future__ import annotations

import io
import json
import os
import threading
from contextlib import nullcontext

import pytest
from pydantic import SecretStr
from rich.console import Console

from consumers.demo.feed import BROKEN, NOBODYS, Feed, rounds
from consumers.demo.run import DEMO_SETTINGS, demo_settings, how_to_look
from consumers.demo.run import _kafka as own_kafka
from consumers.demo.state import DemoState, Rate
from consumers.demo.summary import summary
from consumers.demo.view import line, screen
from consumers.demo.worker_process import environment
from consumers.lists import ListedCluster, ListedItem, UserList
from producers.synthetic import SyntheticLog, SyntheticSettings
from stream.broker.interface import Records
from stream.broker.memory import MemoryBroker
from stream.broker.topics import Topics, ensure_topics
from stream.clock import ManualClock
from stream.config import EventSettings, KafkaSettings, Settings, load
from stream.events.decode import decode

HOSTILE = "\x1b[2Jgone[red]"


def a_list(user: str, cluster: int | None, seq: int = 1, title: str = "A title") -> UserList:
    of = None if cluster is None else ListedCluster(cluster)
    return UserList(
        user, f"{user}-{seq}", seq, [ListedItem("i", title, reason="taken with what you took")], of
    )


def state_of(*lists: UserList) -> DemoState:
    state = DemoState(1_000)
    for listed in lists:
        state.take(listed)
    return state


def rendered(renderable: object, width: int = 100, height: int = 30) -> str:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    console.print(renderable)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_the_first_cluster_of_a_user_is_no_move() -> None:
    state = state_of(a_list("a", None), a_list("a", 1, 2), a_list("a", 1, 3), a_list("b", 1))
    assert state.moved == 0
    assert state.clusters() == [(1, 2)]


def test_users_move_and_sizes_follow() -> None:
    state = state_of(a_list("a", 1), a_list("b", 1), a_list("a", 2, 2), a_list("b", 2, 2), a_list("a", 1, 3))
    assert [(m.user_id, m.before, m.after) for m in state.moves] == [("a", 1, 2), ("b", 1, 2), ("a", 2, 1)]
    assert state.clusters() == [(1, 1), (2, 1)]
    assert state.moved == 3
    assert state.lists == 5


def test_a_rate_forgets_what_is_long_ago() -> None:
    rate = Rate()
    for second in range(100):
        rate.note(float(second), second if second < 50 else 50 + 10 * (second - 50))
    assert rate.per_second == pytest.approx(10.0)


def test_the_screen_shows_everything() -> None:
    state = state_of(a_list("anna", 1), a_list("anna", 2, 2, title="Trail shoes"))
    state.tally.labels = {1: "jazz, vinyl", 2: "trail, running"}
    state.tally.counts.update({"records": 40, "events": 40, "scored": 10, "hits": 3, "popular_hits": 1})
    state.sent, state.activity, state.attach = 50, "feeds", "shoal tail"
    text = rendered(screen(state, 30))
    for expected in (
        "anna", "jazz, vinyl", "trail, running", "→", "Trail shoes", "taken with what you took",
        "lag 10", "30.0%", "10.0%", "50 of 1,000", "shoal tail",
    ):  # fmt: skip
        assert expected in text, expected


@pytest.mark.parametrize("height", [20, 30, 60])
def test_the_screen_fits(height: int) -> None:
    lists = [a_list(f"u{n}", n % 20, title="x" * 200) for n in range(60)]
    lists += [a_list(f"u{n}", (n + 1) % 20, 2) for n in range(60)]
    text = rendered(screen(state_of(*lists), height), height=height)
    assert len(text.splitlines()) <= height
    assert max(map(len, text.splitlines())) <= 100


def test_hostile_titles_labels_and_names_do_nothing() -> None:
    state = state_of(a_list(HOSTILE, 1, title=HOSTILE), a_list(HOSTILE, 2, 2, title=HOSTILE))
    state.tally.labels = {1: HOSTILE, 2: HOSTILE}
    for text in (rendered(screen(state, 30)), rendered(summary(state, 0.5)), line(state)):
        assert "\x1b[2J" not in text
        assert "gone[red]" in text or "gone" in text


def test_an_empty_state_can_be_shown() -> None:
    assert "the worker starts" in rendered(screen(DemoState(None), 30))
    assert "too few users" in rendered(summary(DemoState(10), None))
    assert "0 lists out" in line(DemoState(None))


def test_the_summary_adds_up_or_says_so() -> None:
    state = state_of(a_list("a", 1))
    state.tally.counts.update({"records": 5, "events": 3, "dropped.duplicate": 1, "dead.bad_json": 1})
    assert "unaccounted" not in rendered(summary(state, 0.25))
    assert "0.250" in rendered(summary(state, 0.25))
    state.tally.counts["records"] += 1
    assert "unaccounted" in rendered(summary(state, 0.25))


def small_log() -> SyntheticLog:
    return SyntheticLog(SyntheticSettings(users=20, events=300, days=2))


def test_the_feed_sends_all_of_it_and_counts_it() -> None:
    settings = KafkaSettings(partitions=1)
    broker, topics = MemoryBroker(ManualClock(2_000_000_000_000)), Topics(settings)
    ensure_topics(broker, topics, settings)
    feed = Feed(broker.publisher(), topics.events.name, small_log(), None, False)
    feed.run()
    found = list(broker.reader(topics.events.name, "earliest").read_to_end(1.0))
    records = Records.concat(topics.events.name, found)
    assert feed.records == len(records) == 300 + 1 + len(BROKEN) + len(NOBODYS)
    decoded = decode(records, EventSettings(), {0: 1})
    assert len({letter.reason for letter in decoded.dead}) == len(decoded.dead) == len(BROKEN)
    assert decoded.drops == {"no_identity": len(NOBODYS)}


def test_a_feed_without_end_can_be_stopped() -> None:
    settings = KafkaSettings(partitions=1)
    broker, topics = MemoryBroker(ManualClock()), Topics(settings)
    ensure_topics(broker, topics, settings)
    feed = Feed(broker.publisher(), topics.events.name, small_log(), None, True)
    thread = threading.Thread(target=feed.run)
    thread.start()
    feed.stop()
    thread.join(20)
    assert not thread.is_alive()


def test_months_follow_each_other_with_new_users_and_ids() -> None:
    chunks = rounds(small_log(), forever=True)
    first, second = next(chunks), next(chunks)
    assert max(e.timestamp for e in first) < min(e.timestamp for e in second)
    assert not {e.user_id for e in first} & {e.user_id for e in second}
    assert not {e.event_id for e in first} & {e.event_id for e in second}
    assert {e.item_id for e in first} == {e.item_id for e in second}


def test_the_workers_environment_holds_all_settings_and_no_others() -> None:
    settings = Settings.model_validate(
        {
            "kafka": {"librdkafka": {"sasl.password": SecretStr("geheim")}, "prefix": "x."},
            "encoder": {"cache": None},
            "recommending": {"popular_half_lives": (10.0,)},
            "logging": {"json": True},
        }
    )
    inherited = {"PATH": "p", "SHOAL_KAFKA__PREFIX": "other.", "SHOAL_CACHE": "c"}
    found = environment(settings, inherited)
    assert found["PATH"] == "p"
    assert found["SHOAL_CACHE"] == "c"
    again = load(env=found)
    assert again == settings
    assert again.kafka.librdkafka["sasl.password"].get_secret_value() == "geheim"
    assert json.loads(found["SHOAL_KAFKA"])["prefix"] == "x."
    assert "SHOAL_KAFKA" not in os.environ


def test_given_settings_stand_over_the_demonstrations() -> None:
    assert demo_settings(Settings()).kafka.partitions == DEMO_SETTINGS["kafka", "partitions"]
    given = Settings.model_validate({"kafka": {"partitions": 7}})
    assert demo_settings(given).kafka.partitions == 7


def test_how_to_look_names_a_prefix_of_its_own() -> None:
    assert (
        how_to_look(KafkaSettings(bootstrap_servers="h:1")) == "SHOAL_KAFKA__BOOTSTRAP_SERVERS=h:1 shoal tail"
    )
    assert "SHOAL_KAFKA__PREFIX=p." in how_to_look(KafkaSettings(bootstrap_servers="h:1", prefix="p."))


def test_on_a_kafka_of_ones_own_no_topic_and_no_group_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = MemoryBroker()
    monkeypatch.setattr("consumers.demo.run.connected", lambda _: nullcontext(broker))
    own = load(overrides={"kafka.bootstrap_servers": "somewhere:9092"})
    ensure_topics(broker, Topics(own.kafka), own.kafka)
    others = broker.topics("")
    with own_kafka(own) as at:
        topics = Topics(at.kafka)
        ensure_topics(broker, topics, at.kafka)
        # On a topic that stays, as this broker forgets the groups of one that goes.
        stays = Topics(own.kafka).events.name
        broker.subscribe(stays, topics.group("workers")).close()
        killed = broker.subscribe(stays, topics.group("learner"))
        broker.subscribe(stays, "shoal.g1.workers").close()
    assert broker.topics("") == others
    assert broker.groups("") == sorted(["shoal.g1.workers", topics.group("learner")])
    killed.close()
