"""The words and the people that the generated log is made of: ``vocabulary.toml`` beside this module."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources

import msgspec

DOMAINS = ("shop", "video", "social")


class Subject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What people can be interested in; it has items in every domain. The lists are phrases for titles."""

    name: str
    shop: str  # category of the subject's items in each domain
    video: str
    social: str
    price: tuple[float, float]  # lowest and highest in the shop
    brands: tuple[str, ...]
    products: tuple[str, ...]
    traits: tuple[str, ...]
    skills: tuple[str, ...]
    stories: tuple[str, ...]
    creators: tuple[str, ...]


class Persona(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of user: relative weights of subjects (by name) and of domains."""

    name: str
    taste: dict[str, float]
    domains: dict[str, float]


class Vocabulary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All subjects and all personas, in the order of the file."""

    subjects: tuple[Subject, ...]
    personas: tuple[Persona, ...]


@cache
def load_vocabulary() -> Vocabulary:
    """Read the vocabulary that ships with the code.

    Examples
    --------
    >>> load_vocabulary().personas[0].name
    'trail runner'
    """
    text = resources.files("producers").joinpath("vocabulary.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Vocabulary)
