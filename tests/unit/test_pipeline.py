"""The one page, over a small generated log."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pytest

from producers.synthetic import SyntheticLog, SyntheticSettings
from stream.broker.interface import Records
from stream.catalogue import Catalogue
from stream.config import Settings
from stream.config_lists import PublishSettings, RuleSettings
from stream.encoder.hashing import HashingEncoder
from stream.entries import encode_entry
from stream.events.files import to_records
from stream.events.schema import EventRecord, ItemFields, ItemRecord
from stream.hashing import HashIndex, hash_texts
from stream.learner import Learner
from stream.model import MemoryLog, Model
from stream.pipeline import Outcome, Pipeline
from stream.profiles.layout import RowLayout
from stream.profiles.table import ProfileTable

NOW = 1_736_200_000_000
BATCH = 256


class Service:
    """All that a worker has, without a broker."""

    def __init__(self, settings: Settings, items: Iterable[ItemRecord]) -> None:
        encoder, index = HashingEncoder(64), HashIndex()
        self.catalogue = Catalogue(index, encoder.dimensions)
        self.catalogue.upsert(items)
        self.pipeline = Pipeline(settings, encoder, self.catalogue)
        self.pipeline.encode_catalogue()
        self.model = Model(settings, index, encoder.dimensions)
        self.log = MemoryLog(self.model)
        self.learner = Learner(settings, self.catalogue)
        layout = RowLayout.of(
            settings.profiles, settings.recommending.k, encoder.dimensions, encoder.encoder_id, 1
        )
        self.profiles = ProfileTable(layout)
        self._offset = 0

    def upsert(self, *items: ItemRecord) -> None:
        self.catalogue.upsert(items)
        self.pipeline.encode_catalogue()

    def records(self, events: Sequence[EventRecord]) -> Records:
        self._offset += len(events)
        return to_records(events, self._offset - len(events))

    def run(self, records: Records) -> Outcome:
        """A batch, left open: what would be published and folded."""
        self.profiles.begin()
        return self.pipeline(records, {0: 1}, self.profiles, self.model)

    def commit(self, outcome: Outcome) -> None:
        self.profiles.commit()
        self.log.append(outcome.delta)
        while (decision := self.learner.decide(self.model)) is not None:
            self.log.append(decision)

    def take_in(self, events: Sequence[EventRecord]) -> Outcome:
        outcome = self.run(self.records(events))
        self.commit(outcome)
        return outcome

    def bytes_of_profiles(self) -> bytes:
        return self.profiles.rows[: len(self.profiles)].tobytes()


def lists_of(outcome: Outcome) -> dict[str, list[str]]:
    lists = map(json.loads, outcome.lists)
    return {made["user_id"]: [item["item_id"] for item in made["items"]] for made in lists}


def view(user: str, item_id: str | None, time: int = NOW, action: str = "view", **fields: Any) -> EventRecord:
    return EventRecord(user_id=user, action=action, item_id=item_id, timestamp=time, **fields)


@pytest.fixture(scope="module")
def log() -> SyntheticLog:
    return SyntheticLog(SyntheticSettings(users=80, items=96, events=2_500, seed=4))


@pytest.fixture(scope="module")
def events(log: SyntheticLog) -> list[EventRecord]:
    return list(log.events())


@pytest.fixture
def trained(small_settings: Settings, log: SyntheticLog, events: list[EventRecord]) -> Service:
    service = Service(small_settings, log.items)
    for start in range(0, 2_000, BATCH):
        service.take_in(events[start : start + BATCH])
    assert len(service.model.clusters.ids)
    return service


@pytest.fixture
def shop(small_settings: Settings) -> Service:
    """Ten items of which item 0 is the most popular; nobody has taken two, so nothing else is known of them."""
    items = [ItemRecord(item_id=f"i{n}", title=f"thing {n}", category="c") for n in range(10)]
    service = Service(small_settings, items)
    service.take_in([view(f"u{n}-{user}", f"i{n}") for n in range(10) for user in range(20 - n)])
    return service


def test_every_record_is_taken_in_dropped_or_a_dead_letter(
    small_settings: Settings, log: SyntheticLog, events: list[EventRecord]
) -> None:
    service = Service(small_settings, log.items)
    good = service.records([*events[:100], *events[90:100], without_user(events[0])])
    bad = [b"{", b"[]", b'{"user_id": "u"}', None]
    records = Records(
        good.topic,
        np.zeros(len(good) + 4, np.int32),
        np.arange(len(good) + 4),
        np.append(good.timestamp, [NOW] * 4),
        [*good.keys, *[None] * 4],
        [*good.values, *bad],
    )
    outcome = service.run(records)
    service.commit(outcome)
    counts = outcome.delta.counts
    assert counts["records"] == len(records) == 115
    assert counts["events"] == len(outcome.events) == 100
    assert counts["dropped.duplicate"] == 10
    assert counts["dropped.no_identity"] == counts["dropped.tombstone"] == 1
    assert len(outcome.dead) == 3
    parts = [n for name, n in counts.items() if name.startswith(("dropped.", "dead."))]
    assert counts["records"] == counts["events"] + sum(parts)
    assert counts["lists"] == len(outcome.lists) == len(outcome.touched.rows)
    assert outcome.delta.offsets == {0: (0, 114)}
    assert dict(service.model.counts) == counts


def test_reasons_name_what_the_user_did(shop: Service) -> None:
    for n in range(6):  # enough that it counts
        shop.take_in([view(f"w{n}", "i7", NOW + 1), view(f"w{n}", "i3", NOW + 2)])
    (made,) = map(json.loads, shop.take_in([view("somebody", "i7", NOW + 3)]).lists)
    reasons = {item["item_id"]: item["reason"] for item in made["items"]}
    assert reasons["i3"] == "after thing 7"
    shop.pipeline.settings = shop.pipeline.settings.model_copy(
        update={"publish": PublishSettings(reasons=False)}
    )
    (made,) = map(json.loads, shop.take_in([view("another", "i7", NOW + 3)]).lists)
    assert {key for item in made["items"] for key in item} == {
        "item_id",
        "title",
        "category",
        "score",
        "source",
    }


def test_answers_are_attributed_to_the_list_that_is_seen(shop: Service) -> None:
    """What was shown replaces no list, so that the click that follows finds it; after that click there is a new one."""
    (made,) = map(json.loads, shop.take_in([view("somebody", "i7")]).lists)
    items = [item["item_id"] for item in made["items"]]
    answer = {"list_id": made["list_id"]}
    shown = [
        view("somebody", item, NOW + 1, "impression", position=place, **answer)
        for place, item in enumerate(items[:3])
    ]
    assert shop.take_in(shown).lists == []
    (after,) = shop.take_in([view("somebody", items[2], NOW + 2, "click", position=2, **answer)]).lists
    shop.take_in([view("somebody", items[1], NOW + 3, "click", position=1, **answer)])
    counts = shop.model.counts
    assert (counts["impressions"], counts["clicks"], counts["clicks.place.2"]) == (3, 1, 1)
    assert counts[f"clicks.source.{made['items'][2]['source']}"] == 1
    assert counts["clicks.earlier_list"] == 1
    assert json.loads(after)["user_seq"] == 2


def test_answers_are_known_by_variant_for_three_more_lists(shop: Service) -> None:
    (made,) = map(json.loads, shop.take_in([view("late", "i7")]).lists)
    item = made["items"][0]["item_id"]
    for n in range(1, 6):  # each click makes another list
        shop.take_in([view("late", item, NOW + n, "click", list_id=made["list_id"])])
    counts = shop.model.counts
    assert (counts["clicks"], counts["clicks.earlier_list"], counts["clicks.other_list"]) == (1, 3, 1)
    assert counts["clicks.variant.plain"] == 4


def without_user(event: EventRecord) -> EventRecord:
    return EventRecord(action=event.action, item_id="x", timestamp=event.timestamp)


def test_a_rollback_leaves_no_trace(trained: Service, events: list[EventRecord]) -> None:
    before = trained.bytes_of_profiles()
    version, clock = trained.model.version, trained.model.clock
    weights = trained.model.mixture.weights.tolist()
    batch = trained.records([*events[2_000:2_300], view("new", "new item"), view("new", None, text="wool")])
    outcome = trained.run(batch)
    trained.profiles.rollback()
    assert trained.bytes_of_profiles() == before
    assert (trained.model.version, trained.model.clock) == (version, clock)
    assert trained.model.mixture.weights.tolist() == weights
    again = trained.run(batch)
    assert again.lists == outcome.lists
    assert encode_entry(again.delta) == encode_entry(outcome.delta)
    assert again.answers.rank.tolist() == outcome.answers.rank.tolist()


def test_two_runs_over_a_log_give_the_same_bytes(
    small_settings: Settings, log: SyntheticLog, events: list[EventRecord]
) -> None:
    def run(items: Iterable[ItemRecord]) -> tuple[list[bytes], list[bytes]]:
        service, lists = Service(small_settings, items), []
        for start in range(0, len(events), BATCH):
            lists += service.take_in(events[start : start + BATCH]).lists
        return lists, [encode_entry(entry) for entry in service.log.entries]

    lists, entries = run(log.items)
    assert run(log.items) == (lists, entries)
    # The catalogue came in another order, so items have other rows: what is published is the same.
    assert run(log.items[::-1])[0] == lists


def test_a_profile_restored_from_its_bytes_goes_on_as_if_nothing_had_been(
    trained: Service, events: list[EventRecord]
) -> None:
    batch = trained.records(events[2_000:2_200])
    expected = trained.run(batch)
    trained.profiles.rollback()
    rows = np.arange(len(trained.profiles))
    restored = ProfileTable(trained.profiles.layout)
    restored.restore(0, trained.profiles.keys(rows), trained.profiles.serialise(rows))
    trained.profiles = restored
    assert trained.run(batch).lists == expected.lists


def test_an_empty_batch_and_one_of_bad_records(shop: Service) -> None:
    outcome = shop.take_in([])
    assert (outcome.lists, outcome.dead, outcome.delta.events) == ([], [], 0)
    records = Records(
        "events", np.zeros(2, np.int32), np.array([900, 901]), np.full(2, NOW), [None] * 2, [b"?", b"{}"]
    )
    outcome = shop.run(records)
    shop.commit(outcome)
    assert (outcome.lists, len(outcome.dead)) == ([], 2)
    assert outcome.delta.offsets == {0: (900, 901)}
    assert outcome.delta.counts == {"records": 2, "dead.bad_json": 1, "dead.no_action": 1}


def test_nothing_at_all_has_happened_yet(small_settings: Settings) -> None:
    outcome = Service(small_settings, []).take_in([view("u", "i")])
    (made,) = map(json.loads, outcome.lists)
    assert (made["items"], made["cluster"], made["user_seq"]) == ([], None, 1)


def test_a_user_with_one_event_gets_a_list(shop: Service) -> None:
    (items,) = lists_of(shop.take_in([view("somebody new", "i3")])).values()
    assert items[:3] == ["i0", "i1", "i2"]
    assert len(items) == 9


def test_an_event_of_an_unknown_item_counts_and_its_id_is_published(shop: Service) -> None:
    shop.take_in([view(f"v{n}", "unheard of") for n in range(200)])
    outcome = shop.take_in([view("somebody new", "i3")])
    assert lists_of(outcome)["somebody new"][0] == "unheard of"
    shop.upsert(ItemRecord(item_id="unheard of", title="known by now"))
    made = json.loads(shop.take_in([view("somebody else", "i3")]).lists[0])
    assert made["items"][0]["title"] == "known by now"


def test_text_and_fields_that_come_along_describe_an_event(shop: Service) -> None:
    events = [
        view("searcher", None, action="search", text="thing 7"),
        view("bringer", "unheard of", item=ItemFields(title="thing 7")),
        view("viewer", "i7"),
        view("lost", "unheard of, too"),
        view("other", "i7", item=ItemFields(title="nothing of the sort")),
    ]
    outcome = shop.take_in(events)
    rows = shop.profiles.rows[outcome.touched.rows]
    vectors = rows["vector"].astype(np.float32)
    assert vectors[0] @ vectors[1] > 0.99
    assert vectors[0] @ vectors[2] > 0.7
    assert not vectors[3].any()
    np.testing.assert_array_equal(vectors[4], vectors[2])


def test_an_event_of_an_item_and_a_text_is_about_both(shop: Service) -> None:
    outcome = shop.take_in(
        [view("u", "i7"), view("v", None, text="green"), view("w", "i7", text="green", action="rate")]
    )
    item, text, both = shop.profiles.rows["vector"][outcome.touched.rows].astype(np.float32)
    mean = (item + text) / np.linalg.norm(item + text)
    assert both @ mean > 0.99


def test_a_user_with_only_dislikes_gets_what_is_popular(trained: Service, log: SyntheticLog) -> None:
    time = max(event.timestamp for event in log.events())
    disliked = [item.item_id for item in log.items[:3]]
    outcome = trained.take_in([view("grump", item, time, action="dislike") for item in disliked])
    made = json.loads(outcome.lists[0])
    assert made["cluster"] is None
    assert len(made["items"]) == 10
    assert {item["source"] for item in made["items"]} == {"popular"}
    assert not set(disliked) & {item["item_id"] for item in made["items"]}


def test_a_seen_item_is_never_listed(
    small_settings: Settings, events: list[EventRecord], log: SyntheticLog
) -> None:
    service, seen = Service(small_settings, log.items), {}
    for start in range(0, len(events), BATCH):
        batch = events[start : start + BATCH]
        for event in batch:
            seen.setdefault(event.user_id, set()).add(event.item_id)
        for user, items in lists_of(service.take_in(batch)).items():
            # The last 64 are remembered, and nobody here has more.
            assert not seen[user] & set(items)
    assert max(map(len, seen.values())) <= small_settings.profiles.history


def test_seen_items_are_listed_where_settings_say_so(small_settings: Settings) -> None:
    recommending = small_settings.recommending.model_copy(update={"exclude_seen": False})
    service = Service(small_settings.model_copy(update={"recommending": recommending}), [])
    service.take_in([view(f"u{n}", "i0") for n in range(9)])
    assert lists_of(service.take_in([view("u1", "i0", NOW + 1)])) == {"u1": ["i0"]}


def test_what_is_excluded_depends_on_the_action_and_the_time(small_settings: Settings) -> None:
    windows = {"purchase": 60_000, "watch": "forever"}
    recommending = small_settings.recommending.model_copy(update={"exclude_seen": windows})
    service = Service(small_settings.model_copy(update={"recommending": recommending}), [])
    service.take_in([view(f"u{n}", item) for n in range(9) for item in ("bought", "watched", "viewed")])

    def listed(later: int) -> set[str]:
        return set(lists_of(service.take_in([view("ann", "viewed", NOW + later)]))["ann"])

    service.take_in([view("ann", "bought", NOW, "purchase"), view("ann", "watched", NOW, "watch")])
    assert listed(59_000) == {"viewed"}
    assert listed(61_000) == {"viewed", "bought"}


def test_an_item_that_is_not_on_offer_is_never_listed(shop: Service) -> None:
    shop.upsert(ItemRecord(item_id="i0", title="thing 0", available=False))
    shop.catalogue.remove(["i1"])
    (items,) = lists_of(shop.take_in([view("somebody new", "i3")])).values()
    assert not {"i0", "i1"} & set(items)
    assert items[0] == "i2"
    shop.upsert(ItemRecord(item_id="i0", title="thing 0", available=True))
    assert lists_of(shop.take_in([view("somebody else", "i3")]))["somebody else"][0] == "i0"


def test_an_item_is_listed_from_its_time_on(shop: Service) -> None:
    shop.upsert(ItemRecord(item_id="i0", title="thing 0", available_from=NOW + 5_000))
    early = lists_of(shop.take_in([view("early", "i3", NOW + 4_999)]))["early"]
    late = lists_of(shop.take_in([view("late", "i3", NOW + 5_000)]))["late"]
    assert "i0" not in early
    assert late[0] == "i0"


def test_lists_are_numbered_and_answers_are_scored_before_they_are_learnt(shop: Service) -> None:
    first = shop.take_in([view("reader", "i9")])
    items = lists_of(first)["reader"]
    assert (first.answers.rank.tolist(), first.new.tolist()) == ([-2], [True])
    events = [
        view("reader", items[4], NOW + 1),
        view("reader", "i9", NOW + 2),
        view("reader", "no such", NOW + 3),
    ]
    second = shop.take_in([*events, view("reader", items[0], NOW + 4, action="dislike")])
    assert second.answers.rank.tolist() == [4, -1, -1, -2]
    assert second.answers.popular_rank.tolist() == [4, -1, -1, -2]
    assert second.new.tolist() == [True, False, True, True]
    assert {name: second.delta.counts.get(name) for name in ("scored", "hits", "new.scored", "new.hits")} == {
        "scored": 3,
        "hits": 1,
        "new.scored": 2,
        "new.hits": 1,
    }
    (made,) = map(json.loads, second.lists)
    assert made["user_seq"] == 2
    assert made["source"] == {"partition": 0, "offset": second.events.offset[-1], "events": 4}
    assert made["list_id"] == f"g1-0-{second.events.offset[-1]}"


def test_a_late_batch_does_not_turn_the_clock_back(shop: Service) -> None:
    row = shop.take_in([view("u", "i1", NOW + 10_000)]).touched.rows
    made = json.loads(shop.take_in([view("u", "i2", NOW - 10_000)]).lists[0])
    assert made["event_time"] == NOW + 10_000
    assert shop.profiles.rows["time"][row].tolist() == [NOW + 10_000]


def test_clusters_are_found_and_named(trained: Service, events: list[EventRecord]) -> None:
    made = [json.loads(record) for record in trained.take_in(events[2_000:2_256]).lists]
    clusters = {m["cluster"]["id"]: m["cluster"]["label"] for m in made if m["cluster"]}
    assert len(clusters) >= 3
    assert all(clusters.values())
    assert {item["source"] for m in made for item in m["items"]} > {"popular", "contexts"}


def test_the_pipeline_makes_better_lists_than_popularity(trained: Service) -> None:
    counts = trained.model.counts
    assert counts["new.hits"] > counts["new.popular_hits"]


def test_provenance_names_every_offset(small_settings: Settings) -> None:
    worker = small_settings.worker.model_copy(update={"provenance": True})
    service = Service(small_settings.model_copy(update={"worker": worker}), [])
    events = [view(user, "i0", event_id=str(n)) for n, user in enumerate("abaab")]
    outcome = service.take_in([*events, events[3]])
    sources = [json.loads(record)["source"] for record in outcome.lists]
    assert [source["offsets"] for source in sources] == [[0, 2, 3], [1, 4]]
    assert [source["offset"] for source in sources] == [3, 4]
    assert outcome.delta.dropped == {0: [5]}
    assert outcome.delta.offsets == {0: (0, 5)}


def test_without_provenance_nothing_names_offsets(small_settings: Settings) -> None:
    outcome = Service(small_settings, []).take_in([view("a", "i0", event_id="1")] * 2)
    assert "offsets" not in json.loads(outcome.lists[0])["source"]
    assert outcome.delta.dropped is None


def test_the_very_first_lists_are_full(small_settings: Settings, log: SyntheticLog) -> None:
    service = Service(small_settings, log.items)
    late = NOW + 40 * 86_400_000  # all items are on offer by then
    first = service.take_in(
        [
            view("ann", log.items[0].item_id, late),
            view("bob", log.items[1].item_id, late, action="dislike"),
            EventRecord(user_id="eve", action="search", text="anything", timestamp=late),
        ]
    )
    lists = {made["user_id"]: made["items"] for made in map(json.loads, first.lists)}
    k = small_settings.recommending.k
    assert {user: len(items) for user, items in lists.items()} == {"ann": k, "bob": k, "eve": k}
    assert {item["source"] for items in lists.values() for item in items} == {"catalogue"}
    second = json.loads(service.take_in([view("eve", log.items[2].item_id, late + 1)]).lists[0])["items"]
    assert second[0]["source"] != "catalogue"
    assert len(second) == k


def test_some_lists_try_new_items_and_it_is_noted_what_comes_of_it(small_settings: Settings) -> None:
    settings = small_settings.model_copy(update={"rules": RuleSettings(explore=0.5)})
    service = Service(settings, [ItemRecord(item_id=f"i{n}", title=f"thing {n}") for n in range(200)])
    service.take_in([view(f"u{user}", f"i{n}") for n in range(20) for user in range(n, n + 8)])
    records = [json.loads(made) for made in service.take_in([view(f"u{n}", "i1") for n in range(27)]).lists]
    arms = service.pipeline.explorer._arms
    tried = [(made["user_id"], made["items"][-1]) for made in records if "propensity" in made["items"][-1]]
    assert 5 <= len(tried) <= 22
    assert {user for user, _ in tried} <= {
        made["user_id"] for made in records if made["variant"] == "explore"
    }
    for _, item in tried:
        assert item["source"] == "exploration"
        assert int(item["item_id"][1:]) >= 20
        row = service.model.index.find(hash_texts([item["item_id"]]))
        assert item["propensity"] == pytest.approx(0.5 * float(arms.chance[arms.row == row][0]))
    plain = [item["source"] for made in records if made["variant"] == "plain" for item in made["items"]]
    assert "exploration" not in plain
    user, item = tried[0]
    delta = service.take_in([view(user, item["item_id"])]).delta
    assert delta.trials.taken.tolist() == hash_texts([item["item_id"]]).tolist()
    shown = service.model.trials.of(hash_texts(i["item_id"] for _, i in tried))
    assert (shown[:, 0] >= 1).all()
    assert shown[0, 1] == 1


def test_nothing_is_tried_unless_it_is_asked_for(trained: Service, events: list[EventRecord]) -> None:
    outcome = trained.take_in(events[2_000:])
    assert {json.loads(made)["variant"] for made in outcome.lists} == {"plain"}
    assert len(outcome.delta.trials.shown) == 0


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        ({"blocked_items": ("i0", "i8")}, lambda plain: [i for i in plain if i not in {"i0", "i8"}]),
        ({"blocked_categories": ("c",)}, lambda plain: []),
        ({"per_category": 2}, lambda plain: plain[:2]),
        ({"min_score": 1.0}, lambda plain: plain[:1]),
    ],
)
def test_lists_keep_to_the_rules(
    shop: Service, small_settings: Settings, rules: dict[str, Any], left: Callable[[list[str]], list[str]]
) -> None:
    records = shop.records([view("somebody", None, text="anything")])
    (plain,) = lists_of(shop.run(records)).values()
    shop.profiles.rollback()
    settings = small_settings.model_copy(update={"rules": RuleSettings(**rules)})
    shop.pipeline = Pipeline(settings, shop.pipeline.encoder, shop.catalogue)
    (made,) = lists_of(shop.run(records)).values()
    expected = left(plain)
    assert made[: len(expected)] == expected
    assert {"i0", "i8"} & set(made) == {"i0", "i8"} & set(expected)
