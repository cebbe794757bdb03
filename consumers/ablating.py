"""What an evaluation does without, as settings: to see what each part brings."""

from __future__ import annotations

from collections.abc import Sequence

from stream.config_lists import ALL_SOURCES
from stream.errors import ConfigError

# What is no source, and the sources that rest on it.
PARTS = {"clusters": ("trending", "content"), "vectors": ("content",)}


def ablation(sources: str | None, without: Sequence[str]) -> dict[str, object]:
    """Settings, by name with two underscores, that leave ``sources`` (all, if None) but not what stands in ``without``.

    Without a source its candidates are gone, and all it says of those of others. Raises ConfigError.

    Examples
    --------
    >>> ablation("popular, trending", ["clusters"])
    {'recommending__sources': ['popular'], 'recommending__clusters': False}
    """
    known = (*ALL_SOURCES, *PARTS)
    for name in without:
        if name not in known:
            raise ConfigError(
                f"--no-{name}: there is no such thing to do without; take some of {', '.join(known)}"
            )
    if sources is None and not without:
        return {}
    gone = {source for name in without for source in PARTS.get(name, (name,))}
    left = [name for name in (ALL_SOURCES if sources is None else names_in(sources)) if name not in gone]
    return {"recommending__sources": left} | {f"recommending__{p}": False for p in PARTS if p in without}


def names_in(text: str) -> list[str]:
    """Names with commas between them.

    Examples
    --------
    >>> names_in("als, bm25,")
    ['als', 'bm25']
    """
    return [name.strip() for name in text.split(",") if name.strip()]
