"""The catalogue of the generated log: readable items, each with a topic, all of it following from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from producers.vocabulary import DOMAINS, Subject
from stream.events.schema import ItemRecord

SKILL_TITLES = (
    "{skill}, step by step",
    "The quiet art of {skill}",
    "What nobody tells you about {skill}",
    "A beginner's guide to {skill}",
    "Five mistakes when {skill}",
    "{skill} in ten minutes",
    "We tried {skill} for thirty days",
    "{skill}: questions and answers",
)
STORY_TITLES = (
    "{story}: the documentary",
    "Inside {story}",
    "The true story of {story}",
    "Behind the scenes of {story}",
    "Remembering {story}",
)
SKILL_POSTS = (
    "{creator} on {skill}",
    "{creator} asks: who else enjoys {skill}?",
    "{creator}: a first try at {skill}",
    "{creator}: three lessons from {skill}",
)
STORY_POSTS = (
    "{creator}: notes from {story}",
    "{creator} remembers {story}",
    "{creator}: everything about {story}",
)
PRODUCT_POSTS = ("{creator}: my {product}, one year on", "{creator} compares notes on the {product}")
SERIES = {
    "shop": "series",
    "video": "episode",
    "social": "part",
}  # what is counted when a topic's titles run out


@dataclass(frozen=True, slots=True)
class Text:
    """What one item says of itself, and what somebody who looks for it types."""

    title: str
    query: str
    description: str
    maker: str  # brand or creator


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _shop_texts(subject: Subject) -> Iterator[Text]:
    combinations = product(subject.products, subject.brands, subject.traits)
    for i, (thing, brand, trait) in enumerate(combinations):
        skill = subject.skills[i % len(subject.skills)]
        description = f"{_sentence(thing)} {trait}, by {brand}. Good for {skill}."
        yield Text(f"{brand} {thing} {trait}", thing, description, brand)


def _video_texts(subject: Subject) -> Iterator[Text]:
    pairs = [(title.format(skill=s), s) for title, s in product(SKILL_TITLES, subject.skills)]
    pairs += [(title.format(story=s), s) for title, s in product(STORY_TITLES, subject.stories)]
    for i, (title, about) in enumerate(pairs):
        creator = subject.creators[i % len(subject.creators)]
        description = f"{creator} presents {about}. For everyone who loves {subject.name}."
        yield Text(_sentence(title), about, description, creator)


def _social_texts(subject: Subject) -> Iterator[Text]:
    for i, creator in enumerate(subject.creators):
        skill, story = subject.skills[i % len(subject.skills)], subject.stories[i % len(subject.stories)]
        description = f"{creator} writes about {subject.name}, {skill} and {story}."
        for template, name, phrases in (
            *((t, "skill", subject.skills) for t in SKILL_POSTS),
            *((t, "story", subject.stories) for t in STORY_POSTS),
            *((t, "product", subject.products) for t in PRODUCT_POSTS),
        ):
            for phrase in phrases:
                title = template.format(creator=creator, **{name: phrase})
                yield Text(title, phrase, description, creator)


TEXTS = {"shop": _shop_texts, "video": _video_texts, "social": _social_texts}


@dataclass(frozen=True, slots=True)
class Items:
    """n items sorted by topic. A topic is a subject in a domain: number 3 * subject + domain."""

    records: list[ItemRecord]
    queries: list[str]  # (n,) what a search for the item says
    topic: npt.NDArray[np.int64]  # (n,)
    topic_start: npt.NDArray[np.int64]  # (topics + 1,) rows of topic t: topic_start[t] to topic_start[t + 1]


def make_items(subjects: tuple[Subject, ...], count: int, start_ms: int, rng: np.random.Generator) -> Items:
    """Write ``count`` items, spread evenly over the topics, with titles that are all different."""
    topics = [(subject, domain) for subject in subjects for domain in DOMAINS]
    topic = np.arange(count) * len(topics) // count
    records: list[ItemRecord] = []
    queries: list[str] = []
    sizes = np.bincount(topic, minlength=len(topics))
    for (subject, domain), size in zip(topics, sizes.tolist(), strict=True):
        texts = list(TEXTS[domain](subject))
        order = np.argsort(rng.random(len(texts)), kind="stable").tolist()
        for i, luck in enumerate(rng.random(size).tolist()):
            text = texts[order[i % len(order)]]
            round_number = i // len(order)
            title = f"{text.title}, {SERIES[domain]} {round_number + 1}" if round_number else text.title
            number = len(records)
            records.append(
                ItemRecord(
                    item_id=f"{domain}-{number}",
                    title=title,
                    category=getattr(subject, domain),
                    description=text.description,
                    brand=text.maker,
                    price=_price(subject, luck) if domain == "shop" else None,
                    available_from=start_ms,
                    updated_at=start_ms,
                )
            )
            queries.append(text.query)
    return Items(records, queries, topic, np.concatenate(([0], np.cumsum(sizes))))


def _price(subject: Subject, luck: float) -> float:
    # Squared, because a shop has more cheap things than dear ones.
    low, high = subject.price
    return int(low + (high - low) * luck * luck) + 0.99
