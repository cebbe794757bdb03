"""Settings of lists: what they are made of, what they may hold, which are published. Each as in ``stream.config``."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

from stream.config_section import Section


def _power_of_two(value: int) -> int:
    if value & (value - 1):
        below = 1 << (value.bit_length() - 1)
        raise ValueError(f"must be a power of two, such as {below} or {2 * below}")
    return value


class RuleSettings(Section):
    """What a list may not, and should, hold, whatever the ranker says. Nothing of it is on by default."""

    # Ids of items, and categories, that are never listed; an entry of the catalogue may say so of itself (`blocked`).
    blocked_items: tuple[str, ...] = ()
    blocked_categories: tuple[str, ...] = ()
    # Items of one category in a list, at most; 0: no limit. ``categories`` has other limits for some, by name.
    per_category: int = Field(default=0, ge=0)
    categories: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    # Of maximal marginal relevance: 0 lists by likelihood alone; towards 1 the items of a list become unlike each
    # other, and it is met less often.
    diversity: float = Field(default=0.0, ge=0, le=1)
    # Items less likely than this share of the likeliest are left out, even where a list stays short; 0: none.
    min_score: float = Field(default=0.0, ge=0, le=1)
    # Share of lists whose last place tries an item that hardly anybody has taken yet; a bandit chooses which. Each such
    # place is met less often, and without them what is never listed is never learnt.
    explore: float = Field(default=0.0, ge=0, le=1)


class ItemModelSettings(Section):
    """EASE and item-kNN: which items go with which, made anew by the learner now and then."""

    # The heaviest ones, which the models know; others are left to the other sources. Cost and memory of a fit grow
    # with the cube and the square: of 4,096 one core makes them in 2.3 s and 225 MB, of 2,048 in 0.6 s and 58 MB.
    items: int = Field(default=4_096, ge=1, le=16_384)
    # Kept per item and model, 6 bytes each in the log. Fewer forget what speaks against; more cost each list time.
    neighbours: int = Field(default=32, ge=1, le=256)
    # First takings of an item by a user from which they are made, 24 bytes each. Fewer than about three half-lives hold
    # forget what would still count.
    window: int = Field(default=524_288, ge=1_024)
    # In events; shorter follows fashion, longer has more to count from. From 150,000 to none at all made no difference
    # beyond noise on two logs; 50,000 lost a fourteenth of the hits on one of them.
    half_life: float = Field(default=150_000.0, gt=0)
    # In events, at most; a young log's models are made when a quarter is new. A service does it in a thread, which
    # rests nine times as long as it worked.
    refit_every: int = Field(default=20_000, ge=1)


class SequenceSettings(Section):
    """The source ``sequence``: a small transformer over what users took, trained by the learner as it goes."""

    # It makes a list several times as dear; docs/evaluation.md says what it found. Another value is another model: a
    # service that has begun needs a new kafka.generation.
    enabled: bool = False
    # Of an item's vector. Fewer tell items apart less well; the cost of a list, and of training, grows with them.
    dimensions: int = Field(default=64, ge=2, multiple_of=2)
    # Of attention. One sees what came before; more see what came before that, and cost time in proportion.
    layers: int = Field(default=2, ge=1, le=8)
    # Items of a user that it looks back on; time grows with them. At most profiles.history are remembered.
    length: int = Field(default=32, ge=1, le=255)
    # The most frequent ones, which it knows; others are left to the other sources. At 64 dimensions 128 bytes each in
    # every decision and snapshot, and a multiplication for each in every list.
    items: int = Field(default=4_096, ge=1, le=65_536)
    # Pieces of ``length`` items that it is trained on, the latest, out of item_models.window; 4 bytes an item while it
    # is. Fewer forget what is rare, more dwell on what is over.
    sequences: int = Field(default=20_000, ge=64)
    # Of Adam, of 64 pieces, each time that it is trained. Not seconds, for the same log gives the same model; a step
    # takes about 0.05 s of a core at the other defaults. Fewer leave it half-taught; four times as many found no more
    # on a log that follows fashion.
    steps: int = Field(default=50, ge=1)
    # In events, at most; a young log's is trained when a quarter is new. A service does it in a thread of its own,
    # which rests nine times as long as it worked.
    retrain_every: int = Field(default=20_000, ge=1)


# The sources of candidates, as the output names them; in the order of ``stream.recommending.sources``.
Source = Literal[
    "popular", "popular-new", "session-start", "first-taken", "repeats", "trending", "content", "together", "next",
    "window", "contexts", "ease", "item-knn", "new", "sequence",
]  # fmt: skip
ALL_SOURCES: tuple[Source, ...] = get_args(Source)


class RecommendingSettings(Section):
    """How lists are made."""

    k: int = Field(default=20, ge=1, le=255)
    candidates: int = Field(default=40, ge=1)  # per chart and list; more costs time and finds little
    # Kept per item and sense in which items go together, and per context; memory is 8 bytes each.
    neighbours: int = Field(default=32, ge=1, le=255)
    # Contexts kept, a power of two, each with ``neighbours`` successors: 64 MB as it stands. Fewer forget rare
    # sequences of actions, which say most where users browse.
    context_rows: Annotated[int, AfterValidator(_power_of_two)] = Field(default=2**18, ge=16)
    trending: int = Field(default=256, ge=1)  # items kept per cluster
    # What is popular, at several half-lives in events; the service learns which to trust. Short ones follow
    # fashion.
    popular_half_lives: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(100.0, 500.0, 4_000.0, 30_000.0, 1e7), min_length=1, max_length=8
    )
    # The same in hours of event time, for logs whose pace changes.
    popular_hours: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(6.0, 24.0, 168.0, 720.0), max_length=8
    )
    # In events, of counts of takers to whom an item was new: what the others have had for long tells them nothing.
    new_half_lives: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(4_000.0, 30_000.0), min_length=1, max_length=8
    )
    # Of other counts, in events: shorter follows fashion, longer has more to count from.
    half_life: float = Field(default=150_000.0, gt=0)
    # Sources of candidates; without one, its candidates and all it says of others are gone: for measuring. `sequence`
    # is one only where sequence.enabled says so.
    sources: tuple[Source, ...] = ALL_SOURCES
    # Whether lists know of clusters, and of vectors of texts; without, what these say is gone: for measuring.
    clusters: bool = True
    vectors: bool = True
    # Items in a user's history are not listed to them again: true, false, or by action for how long, in ms or
    # "forever"; an action that is not named keeps nothing out. Changed windows hold for later events.
    exclude_seen: bool | dict[str, Annotated[int, Field(ge=1)] | Literal["forever"]] = True

    @property
    def windows(self) -> dict[str, int | Literal["forever"]]:
        """How long each action keeps its item out of lists, in ms; empty where it does not depend on the action."""
        return {} if isinstance(self.exclude_seen, bool) else self.exclude_seen


class PublishSettings(Section):
    """Which of the lists that are made are published. Those held back change nothing in what their users have."""

    # always: one for each user of a batch. changed: only where its items, or their order, differ from those of the list
    # published last. interval: to one user no oftener than every ``interval_ms``, by the time the log took events in.
    mode: Literal["always", "changed", "interval"] = "always"
    # Shorter floods subscribers, longer leaves them with lists that do not know the last events.
    interval_ms: int = Field(default=60_000, ge=1)
    # Hold back lists for events that the log took in longer than ``catch_up_ms`` ago: processing a log again, or after
    # an outage, does not flood subscribers with lists of the past. Who does nothing afterwards keeps the list they had.
    after_catch_up: bool = False
    # Shorter than the lag of a busy day holds back lists that are wanted.
    catch_up_ms: int = Field(default=300_000, ge=1_000)
    # Each item of a list says why it is there, in words for people, such as "after Fell shoe". Without, lists are
    # shorter by three tenths; ``source`` still says it for machines.
    reasons: bool = True
