"""What clusters are called: the words that set a cluster's items apart, in whatever language they are."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import log

# A word must be this many times as frequent in the cluster as over all of them. Words below it say nothing of
# the cluster in any language, so they are its stop words; far above it, small clusters find no words.
LIFT = 1.3
# Han and kana are written without spaces: their runs are cut into pairs of characters, which is what most
# words are.
_UNSPACED = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+)")
_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")


def tokenise(text: str) -> list[str]:
    """Words of ``text`` in lower case, without numbers and single letters; Han and kana as overlapping pairs.

    Examples
    --------
    >>> tokenise("Trail-running shoes, 42 EU")
    ['trail-running', 'shoes', 'eu']
    >>> tokenise("越野跑鞋 GTX")
    ['越野', '野跑', '跑鞋', 'gtx']
    """
    tokens: list[str] = []
    for piece in _UNSPACED.split(text.lower()):
        if _UNSPACED.fullmatch(piece):
            tokens.extend(piece[i : i + 2] for i in range(max(1, len(piece) - 1)))
        else:
            tokens.extend(word for word in _WORD.findall(piece) if len(word) > 1 and not word.isdigit())
    return tokens


def label_clusters(
    documents: Sequence[Sequence[str]], weights: Sequence[Sequence[float]] | None = None, words: int = 3
) -> list[list[str]]:
    """Find the ``words`` that tell each cluster from the others, best first, or as many as its texts have.

    Class-based TF-IDF (Grootendorst, 2022): a cluster's texts are one document, a word counts by its share of
    that document times log(1 + A / f), with A the mean weight of a document and f that of the word over all
    of them. Stop words are learnt: a word that is about as frequent everywhere is none of this cluster's.

    Parameters
    ----------
    documents
        Texts of each cluster, such as titles and categories of its top items.
    weights
        What each text counts for, shaped as ``documents``; by default all the same.

    Examples
    --------
    >>> label_clusters([["the red shoe", "the blue shoe"], ["the long film", "the short film"]], words=1)
    [['shoe'], ['film']]
    """
    counts = [
        _count(texts, weights[i] if weights is not None else [1.0] * len(texts))
        for i, texts in enumerate(documents)
    ]
    overall: dict[str, float] = defaultdict(float)
    for count in counts:
        for word, weight in count.items():
            overall[word] += weight
    return [_choose(count, overall, len(counts), words) for count in counts]


def _count(texts: Iterable[str], weights: Iterable[float]) -> dict[str, float]:
    # Each text counts once whatever its length: one long description must not name a cluster.
    count: dict[str, float] = defaultdict(float)
    for text, weight in zip(texts, weights, strict=True):
        tokens = set(tokenise(text))
        for token in tokens:
            count[token] += weight
    return count


def _choose(count: dict[str, float], overall: dict[str, float], clusters: int, words: int) -> list[str]:
    total, everything = sum(count.values()), sum(overall.values())
    if total <= 0:
        return []
    mean = everything / clusters

    def score(word: str) -> float:
        return count[word] / total * log(1 + mean / overall[word])

    special = [w for w in count if count[w] / total >= LIFT * overall[w] / everything]
    # Equal scores in the order of the words, so that the same texts give the same label everywhere.
    ranked = sorted(special or count, key=lambda w: (-score(w), w))
    chosen: list[str] = []
    for word in ranked:
        if len(chosen) == words:
            break
        if not any(_overlaps(word, other) for other in chosen):
            chosen.append(word)
    return chosen


def _overlaps(word: str, other: str) -> bool:
    """Whether both are neighbouring pairs of one run of characters."""
    pair = _UNSPACED.fullmatch(word) and _UNSPACED.fullmatch(other) and len(word) == len(other) == 2
    return bool(pair) and (word[0] == other[1] or word[1] == other[0])
