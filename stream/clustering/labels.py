"""What clusters are called: the words that set a cluster's items apart, in whatever language they are."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt

# A word must be this many times as frequent in the cluster as over all of them. Words below it say nothing of
# the cluster in any language, so they are its stop words; far above it, small clusters find no words.
LIFT = 1.3
# And so many standard deviations above what as many items drawn from all would show: among the hundred words of a
# cluster, chance alone makes some frequent that name nothing. Lower lets "the" through, higher leaves small clusters
# without a name.
SURE = 3.0
RARE = 0.001  # share of items that words are taken to stand in at least; the sample of items says no more of them
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


def word_shares(texts: Iterable[str]) -> dict[str, float]:
    """In what share of ``texts`` each word stands.

    Examples
    --------
    >>> word_shares(["the red shoe", "the film"])["the"], word_shares([])
    (1.0, {})
    """
    texts = list(texts)
    counts = Counter(word for text in texts for word in set(tokenise(text)))
    return {word: count / len(texts) for word, count in counts.items()}


def label_clusters(
    documents: Sequence[Sequence[str]],
    weights: Sequence[Sequence[float]] | None = None,
    words: int = 3,
    usual: Mapping[str, float] | None = None,
) -> list[list[str]]:
    """Find the ``words`` that tell each cluster from the others, best first, or as many as are sure to.

    Class-based TF-IDF (Grootendorst, 2022): a cluster's texts are one document, a word counts by its share of
    that document times log(1 + A / f), with A the mean weight of a document and f that of the word over all
    of them; here also by how much more frequent it is than usual. Stop words are learnt: a word that is about as
    frequent everywhere is none of this cluster's, nor is one that stands in a single text. Only where nothing is
    sure, as of a few texts, what is likely must do.

    Parameters
    ----------
    documents
        Texts of each cluster, such as titles and categories of its top items.
    weights
        What each text counts for, shaped as ``documents``; by default all the same.
    usual
        ``word_shares`` of the whole catalogue or a sample of it; by default of the documents.

    Examples
    --------
    >>> label_clusters([["the red shoe", "the blue shoe"], ["the long film", "the short film"]], words=1)
    [['shoe'], ['film']]
    """
    if usual is None:
        usual = word_shares(text for texts in documents for text in texts)
    clusters = [
        _count(texts, weights[i] if weights is not None else [1.0] * len(texts))
        for i, texts in enumerate(documents)
    ]
    overall: dict[str, float] = defaultdict(float)
    for cluster in clusters:
        for word, weight in cluster.weight.items():
            overall[word] += weight
    return [_choose(cluster, overall, len(clusters), words, usual) for cluster in clusters]


@dataclass(frozen=True, slots=True)
class _Words:
    """The words of one cluster's texts."""

    weight: dict[str, float]  # of the texts that hold it
    texts: Counter[str]  # how many hold it
    total: float  # weight of all texts
    even: float  # texts of equal weight that would say as much


def _count(texts: Iterable[str], weights: Iterable[float]) -> _Words:
    # Each text counts once whatever its length: one long description must not name a cluster.
    weight: dict[str, float] = defaultdict(float)
    held: Counter[str] = Counter()
    total = squares = 0.0
    for text, each in zip(texts, weights, strict=True):
        total, squares = total + each, squares + each * each
        tokens = set(tokenise(text))
        held.update(tokens)
        for token in tokens:
            weight[token] += each
    return _Words(weight, held, total, total * total / squares if squares else 0.0)


def _choose(
    cluster: _Words, overall: dict[str, float], clusters: int, words: int, usual: Mapping[str, float]
) -> list[str]:
    total, everything = sum(cluster.weight.values()), sum(overall.values())
    if total <= 0:
        return []
    mean = everything / clusters

    def score(word: str) -> float:
        # Times how much more frequent it is than usual: "an" before all kinds of espresso is theirs, yet no name.
        lift = cluster.weight[word] / cluster.total / max(usual.get(word, 0.0), RARE)
        return cluster.weight[word] / total * log(1 + mean / overall[word]) * log(max(lift, 1.0) + 1)

    def sure(word: str) -> bool:
        share, expected = cluster.weight[word] / cluster.total, usual.get(word, 0.0)
        chance = sqrt(max(expected * (1 - expected), 1e-9) / cluster.even)
        return cluster.texts[word] > 1 and share >= expected + SURE * chance

    special = [w for w in cluster.weight if cluster.weight[w] / total >= LIFT * overall[w] / everything]
    # Equal scores in the order of the words, so that the same texts give the same label everywhere.
    likely = [word for word in special if sure(word)] or special or cluster.weight
    ranked = sorted(likely, key=lambda w: (-score(w), w))
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
