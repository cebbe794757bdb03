"""The generated log: the same every time, and with the properties that it claims."""

from __future__ import annotations

import gzip
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from producers.synthetic import START_MS, SyntheticLog, SyntheticSettings
from producers.synthetic_behaviour import ACTIONS, DAY_MS, Lots
from producers.vocabulary import DOMAINS, load_vocabulary
from stream.errors import ConfigError
from stream.events.schema import EventRecord, ItemRecord

SMALL = SyntheticSettings(users=50, items=100, events=2_000, seed=7, shift_day=20.0)


@pytest.fixture(scope="module")
def log() -> SyntheticLog:
    return SyntheticLog(SyntheticSettings())


@pytest.fixture(scope="module")
def events(log: SyntheticLog) -> list[EventRecord]:
    return list(log.events())


@pytest.fixture(scope="module")
def items(log: SyntheticLog) -> dict[str, ItemRecord]:
    return {item.item_id: item for item in log.items}


def digest(*parts: Iterable[msgspec.Struct]) -> str:
    lines = (msgspec.json.encode(record) for part in parts for record in part)
    return hashlib.sha256(b"\n".join(lines)).hexdigest()


def by_session(events: list[EventRecord]) -> dict[str, list[EventRecord]]:
    sessions = defaultdict(list)
    for event in events:
        sessions[event.session_id].append(event)
    return sessions


class TestDeterminism:
    def test_the_log_is_the_one_it_has_always_been(self):
        # Benchmarks compare figures over time, so change this only together with what was meant to change.
        log = SyntheticLog(SMALL)
        assert digest(log.events(), log.items, log.truth())[:16] == "21a35d0c3c6ee62d"

    def test_same_seed_same_log_other_seed_other_log(self):
        again = digest(SyntheticLog(SMALL).events())
        assert again == digest(SyntheticLog(SMALL).events())
        assert again != digest(SyntheticLog(replace(SMALL, seed=8)).events())

    def test_events_can_be_walked_twice(self):
        log = SyntheticLog(SMALL)
        assert digest(log.events()) == digest(log.events())

    def test_more_events_leave_items_and_users_as_they_are(self):
        few, many = SyntheticLog(SMALL), SyntheticLog(replace(SMALL, events=4_000))
        assert digest(few.items, few.truth()) == digest(many.items, many.truth())


class TestEvents:
    def test_number_order_and_ids(self, log, events):
        assert len(events) == log.settings.events
        times = [e.timestamp for e in events]
        assert times == sorted(times)
        assert times[0] >= START_MS
        assert times[-1] < START_MS + (log.settings.days + 1) * DAY_MS
        assert len({e.event_id for e in events}) == len(events)

    def test_ids_of_two_seeds_do_not_clash(self):
        ids = [
            {e.event_id for e in SyntheticLog(SyntheticSettings(events=100, seed=s)).events()} for s in (1, 2)
        ]
        assert not ids[0] & ids[1]

    def test_every_item_and_user_is_known(self, log, events, items):
        assert all(e.item_id in items for e in events if e.action != "search")
        assert all(log.persona_of(e.user_id, e.timestamp) for e in events)

    def test_actions_come_in_sensible_proportions(self, events):
        share = {a: n / len(events) for a, n in Counter(e.action for e in events).items()}
        assert set(share) == set(ACTIONS)
        assert 0.35 < share["view"] < 0.65
        assert share["view"] > share["cart"] > share["purchase"] > 0.01
        assert share["watch"] > share["like"] > share["share"] > 0.01

    def test_a_search_has_words_and_no_item_and_nothing_else_has_words(self, events):
        for event in events:
            assert (event.action == "search") == (event.item_id is None) == bool(event.text)

    def test_what_is_bought_was_seen_and_has_its_price(self, events, items):
        for session in by_session(events).values():
            seen = set()
            for event in session:
                if event.action == "view":
                    seen.add(event.item_id)
                if event.action in ("cart", "purchase"):
                    assert event.item_id in seen
                    assert event.value == items[event.item_id].price
                else:
                    assert event.value is None

    def test_nothing_happens_to_an_item_before_it_arrives(self, events, items):
        assert 0.05 < sum(i.available_from > START_MS for i in items.values()) / len(items) < 0.25
        assert all(e.timestamp >= items[e.item_id].available_from for e in events if e.item_id)

    def test_activity_is_heavy_tailed(self, events):
        counts = np.sort(list(Counter(e.user_id for e in events).values()))[::-1]
        busiest = counts[: len(counts) // 10].sum() / counts.sum()
        assert 0.3 < busiest < 0.7
        assert counts[0] / counts.sum() < 0.1

    def test_sessions_hold_several_events_of_one_user(self, events):
        sessions = by_session(events)
        assert 4 < len(events) / len(sessions) < 10
        for session in sessions.values():
            assert len({e.user_id for e in session}) == 1
            assert session[-1].timestamp - session[0].timestamp < 36 * 600_000


class TestPopularity:
    def test_zipf_in_a_topic(self):
        log = SyntheticLog(SyntheticSettings(items=4_800, events=100_000, fashion=0.0, arrivals=0.0))
        counts = np.bincount(log.columns.item, minlength=4_800).reshape(48, 100)
        shares = np.sort(counts, axis=1)[:, ::-1].sum(axis=0) / counts.sum()
        assert shares[:10].sum() > 0.35  # uniform would be 0.1
        assert shares[0] > 2 * shares[3] > 0

    @pytest.mark.parametrize(("fashion", "moves"), [(0.0, False), (2.0, True)])
    def test_fashion_changes_what_is_popular(self, fashion, moves):
        log = SyntheticLog(SyntheticSettings(events=100_000, fashion=fashion, arrivals=0.0, drift=0.0))
        early, late = (np.bincount(part, minlength=300) for part in np.array_split(log.columns.item, 10)[::9])
        assert (np.corrcoef(early, late)[0, 1] < 0.85) == moves

    def test_companions_follow_each_other(self):
        log = SyntheticLog(SyntheticSettings(items=4_800, events=200_000, fashion=0.0))
        columns = log.columns
        order = np.lexsort((columns.time, columns.session))
        item, session = columns.item[order], columns.session[order]
        topic = item // 100
        # Steps to another domain of the same subject; without companions they would go anywhere in 200 items.
        crossing = (
            (session[1:] == session[:-1]) & (topic[1:] != topic[:-1]) & (topic[1:] // 3 == topic[:-1] // 3)
        )
        assert crossing.sum() > 0.1 * len(item)
        following = defaultdict(Counter)
        for first, then in zip(item[:-1][crossing].tolist(), item[1:][crossing].tolist(), strict=True):
            following[first][then] += 1
        often = [n for n in following.values() if n.total() >= 30]
        assert len(often) > 100
        assert np.mean([sum(count for _, count in n.most_common(3)) / n.total() for n in often]) > 0.6


class TestCatalogue:
    def test_titles_differ_and_read_well(self, items):
        titles = [item.title for item in items.values()]
        assert len(set(titles)) == len(titles) == 300
        assert all(10 < len(t) < 110 and t[0].isupper() and "{" not in t for t in titles)
        assert all(item.description.endswith(".") and item.brand and item.category for item in items.values())

    def test_domains_have_equal_parts_and_shops_have_prices(self, items):
        assert Counter(i.split("-")[0] for i in items) == dict.fromkeys(DOMAINS, 100)
        assert all((item.price is not None) == item.item_id.startswith("shop") for item in items.values())

    def test_titles_stay_different_when_the_words_run_out(self):
        log = SyntheticLog(SyntheticSettings(items=48 * 1_000, events=1))
        assert len({item.title for item in log.items}) == 48_000

    def test_personas_like_subjects_that_exist(self):
        vocabulary = load_vocabulary()
        subjects = {s.name for s in vocabulary.subjects}
        assert len({p.name for p in vocabulary.personas}) == len(vocabulary.personas)
        for persona in vocabulary.personas:
            assert set(persona.taste) <= subjects
            assert set(persona.domains) == set(DOMAINS)


class TestPersonas:
    def test_texts_of_one_persona_are_closer_than_of_two(self, items):
        log = SyntheticLog(SyntheticSettings(drift=0.0))
        texts, persona = defaultdict(list), {}
        for event in log.events():
            if event.item_id:
                texts[event.user_id].append(items[event.item_id].title)
                persona[event.user_id] = log.persona_of(event.user_id, event.timestamp)
        users = [u for u in texts if len(texts[u]) >= 10]
        vectors = TfidfVectorizer(sublinear_tf=True).fit_transform(" ".join(texts[u]) for u in users)
        alike = (vectors @ vectors.T).toarray()
        names = np.array([persona[u] for u in users])
        same = names[:, None] == names
        others = ~np.eye(len(users), dtype=bool)
        assert alike[same & others].mean() > 3 * alike[~same].mean()
        np.fill_diagonal(alike, 0.0)
        assert (names[alike.argmax(axis=1)] == names).mean() > 0.9

    def test_exploration_is_the_share_outside_the_taste(self):
        tastes = {p.name: p.taste for p in load_vocabulary().personas}
        for exploration in (0.0, 0.4):
            log = SyntheticLog(SyntheticSettings(drift=0.0, exploration=exploration, events=10_000))
            subject = {i.item_id: s for i, s in zip(log.items, self.subjects(log), strict=True)}
            outside = np.mean(
                [
                    subject[e.item_id] not in tastes[log.persona_of(e.user_id, e.timestamp)]
                    for e in log.events()
                    if e.item_id
                ]
            )
            assert abs(outside - exploration * 13 / 16) < 0.05

    @staticmethod
    def subjects(log):
        names = {getattr(s, d): s.name for s in load_vocabulary().subjects for d in DOMAINS}
        return [names[item.category] for item in log.items]

    def test_truth_is_what_persona_of_says(self):
        log = SyntheticLog(SMALL)
        for row in log.truth():
            assert log.persona_of(row.user_id, row.from_time_ms) == row.persona

    def test_a_share_of_users_drifts_once_to_another_persona(self, log):
        rows = defaultdict(list)
        for row in log.truth():
            rows[row.user_id].append(row)
        assert len(rows) == 400
        moved = [r for r in rows.values() if len(r) > 1]
        assert 0.1 < len(moved) / 400 < 0.2
        assert all(len(r) == 2 and r[0].persona != r[1].persona for r in moved)
        assert log.persona_of(moved[0][0].user_id, moved[0][1].from_time_ms - 1) == moved[0][0].persona

    def test_who_drifts_behaves_differently_afterwards(self):
        log = SyntheticLog(SyntheticSettings(drift=1.0, exploration=0.0, events=50_000))
        tastes = {p.name: p.taste for p in load_vocabulary().personas}
        subject = {i.item_id: s for i, s in zip(log.items, self.subjects(log), strict=True)}
        hits = {True: [], False: []}
        for e in log.events():
            if e.item_id:
                new = log.persona_of(e.user_id, e.timestamp)
                old = log.persona_of(e.user_id, START_MS)
                hits[new == old].append(subject[e.item_id] in tastes[old])
        assert np.mean(hits[True]) > 0.97
        assert np.mean(hits[False]) < 0.4

    def test_an_abrupt_shift_brings_a_new_persona_on_its_day(self):
        log = SyntheticLog(SyntheticSettings(users=2_000, shift_day=10.5, shift_share=0.25))
        newest = load_vocabulary().personas[13].name
        times = [row.from_time_ms for row in log.truth() if row.persona == newest]
        assert set(times) == {START_MS + int(10.5 * DAY_MS)}
        assert 0.2 < len(times) / 2_000 < 0.3

    def test_a_stranger_is_a_key_error(self, log):
        for user in ("user-400", "user--1", "u1", "user-"):
            with pytest.raises(KeyError):
                log.persona_of(user, START_MS)


class TestFiles:
    def test_written_files_read_back(self, tmp_path):
        log = SyntheticLog(SMALL)
        log.write(tmp_path / "log")
        read = {p.name: p.read_bytes().splitlines() for p in (tmp_path / "log").iterdir()}
        assert set(read) == {"events.jsonl", "items.jsonl", "truth.jsonl"}
        assert [msgspec.json.decode(x, type=EventRecord) for x in read["events.jsonl"]] == list(log.events())
        assert [msgspec.json.decode(x, type=ItemRecord) for x in read["items.jsonl"]] == log.items
        assert msgspec.json.decode(read["truth.jsonl"][0])["from_time_ms"] == START_MS

    def test_compressed_events_are_the_same_bytes_every_time(self, tmp_path):
        for name in ("a", "b"):
            SyntheticLog(SMALL).write(tmp_path / name, compress=True)
        first = (tmp_path / "a" / "events.jsonl.gz").read_bytes()
        assert first == (tmp_path / "b" / "events.jsonl.gz").read_bytes()
        assert first[4:8] == bytes(4)  # the time in the header
        assert len(gzip.decompress(first).splitlines()) == SMALL.events


class TestSettings:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("users", 0),
            ("items", 47),
            ("events", 0),
            ("days", 0),
            ("personas", 2),
            ("personas", 17),
            ("drift", 1.5),
            ("shift_day", 31.0),
            ("exploration", -0.1),
            ("seed", -1),
            ("fashion", float("nan")),
        ],
    )
    def test_impossible_ones_are_refused_by_name(self, field, value):
        with pytest.raises(ConfigError, match=rf"synthetic {field} = .*must be"):
            SyntheticSettings(**{field: value})

    @given(
        st.builds(
            SyntheticSettings,
            users=st.integers(1, 200),
            items=st.integers(48, 400),
            events=st.integers(1, 500),
            days=st.integers(1, 60),
            personas=st.integers(3, 16),
            drift=st.floats(0, 1),
            shift_day=st.none() | st.floats(0, 1),
            fashion=st.floats(0, 100),
            arrivals=st.floats(0, 1),
            exploration=st.floats(0, 1),
            seed=st.integers(0, 2**40),
        )
    )
    def test_every_possible_one_gives_its_log(self, settings):
        log = SyntheticLog(settings)
        assert len(list(log.events())) == settings.events
        assert len(log.items) == settings.items
        assert np.all(np.diff(log.columns.time) >= 0)

    def test_a_million_users_are_no_matter(self):
        log = SyntheticLog(SyntheticSettings(users=1_000_000, items=50_000, events=50_000))
        assert sum(1 for _ in log.events()) == 50_000
        assert len(np.unique(log.columns.user)) > 4_000


@given(
    st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=1, max_size=9), st.floats(0, 1, exclude_max=True)
)
def test_lots_never_draw_what_has_no_weight(weights, luck):
    weights[-1] = 1.0
    assert weights[Lots(weights).draw(0, len(weights), np.array([luck]))[0]] > 0
