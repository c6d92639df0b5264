"""Adapters by topic: sections grouped by what they mean, or by the words in them; each group is named by the
words that set it apart.

Spherical k-means over a sentence encoder's vectors, without one over tf-idf
(https://nlp.stanford.edu/IR-book/html/htmledition/k-means-1.html), started by k-means++; the number of groups
is the one with the best silhouette (Rousseeuw 1987, on cosine distance).
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlm_core.data.entries import Entry
from dlm_core.data.naming import Names
from dlm_core.errors import DataError

_WORD = re.compile(r"[^\W\d_]{3,}")
_FEWEST = 8  # sections below which there is nothing to group
_VOCABULARY = 3000
_FITTED = 3000  # sections that the groups are fitted to; the others join the nearest group
_SCORED = 600
_MOST = 8
_ROUNDS = 30
_TOLD = 6
_SPOKEN = 0.15  # share of all words from which the function words of a language are taken for such
_COMMON = 0.6  # share of the sections from which a word tells nothing
_Matrix = NDArray[np.float32]
Meaning = Callable[[Sequence[str]], _Matrix | None]
"""Gives texts their vectors [texts, width], of unit length; those of like meaning lie close. None where there
is no encoder after all.
"""


@dataclass(frozen=True)
class Topic:
    """One group: the name of its adapter, how many sections it has, and the words that set it apart."""

    adapter: str
    sections: int
    words: tuple[str, ...]


@dataclass(frozen=True)
class Grouping:
    """For each section the adapter of its topic, and the topics, largest first. `by_meaning`: a sentence
    encoder told them apart, not their words alone.
    """

    adapters: tuple[str, ...]
    topics: tuple[Topic, ...]
    by_meaning: bool


def find_topics(entries: Sequence[Entry], seed: int = 0, meaning: Meaning | None = None) -> Grouping:
    """Group sections by topic.

    Args:
        meaning: what sections are grouped by; None for their words.

    Raises:
        DataError: there are too few sections, or nothing in their words tells them apart.
    """
    if len(entries) < _FEWEST:
        raise DataError(
            f"{len(entries)} sections are too few to be told apart by topic",
            "`--adapter NAME` takes one adapter for all",
        )
    counts = [Counter(_words(entry)) for entry in entries]
    vocabulary = _vocabulary(counts, _function_words(counts))
    generator = np.random.default_rng(seed)
    chosen = generator.permutation(len(entries))[:_FITTED]
    words_of = _vectors([counts[i] for i in chosen], vocabulary)
    if not vocabulary or not words_of.any():
        raise DataError("no words recur in these sections", "`--adapter NAME` takes one adapter for all")
    meant: dict[int, int] = {}
    vectors = None if meaning is None else meaning([_whole(entries[i]) for i in chosen])
    if vectors is None:
        centres = _best_centres(words_of, generator)
    else:
        groups = _groups(vectors, generator)
        meant = dict(zip(chosen.tolist(), groups.tolist(), strict=True))
        centres = np.concatenate(
            [_unit(words_of[groups == g].sum(axis=0, keepdims=True)) for g in range(groups.max() + 1)]
        )
    by_words = (
        int(g)
        for start in range(0, len(entries), _FITTED)
        for g in np.argmax(_vectors(counts[start : start + _FITTED], vocabulary) @ centres.T, axis=1)
    )
    group_of = [meant.get(i, group) for i, group in enumerate(by_words)]
    sizes = Counter(group_of)
    names = Names()
    topics, name_of = [], {}
    inverse = sorted(vocabulary, key=vocabulary.__getitem__)
    for group, size in sizes.most_common():
        others = np.delete(centres, group, axis=0).max(axis=0)
        apart = np.argsort(others - centres[group], kind="stable")[:_TOLD]
        words = tuple(inverse[i] for i in apart if centres[group][i] > others[i])
        name_of[group] = names.of(words[0] if words else "topic")
        topics.append(Topic(name_of[group], size, words))
    return Grouping(tuple(name_of[group] for group in group_of), tuple(topics), vectors is not None)


def _whole(entry: Entry) -> str:
    """Questions and answer of a section in one text."""
    return " ".join((*(turn.question for turn in entry.before), *entry.texts, entry.answer))


def _words(entry: Entry) -> list[str]:
    """The words of a section; those of its questions count double."""
    asked = " ".join((*(turn.question for turn in entry.before), *entry.texts)).casefold()
    return [*_WORD.findall(asked), *_WORD.findall(asked), *_WORD.findall(entry.answer.casefold())]


def _function_words(counts: Sequence[Counter[str]]) -> frozenset[str]:
    """The function words of the languages that the sections are in: those make up much of any text."""
    from bm25s import stopwords  # half a second that only topics should wait for

    total: Counter[str] = Counter()
    for words in counts:
        total.update(words)
    lists = [frozenset(getattr(stopwords, name)) for name in dir(stopwords) if name.startswith("STOPWORDS_")]
    least = _SPOKEN * sum(total.values())
    spoken = [words for words in lists if sum(total[word] for word in words) >= least]
    return frozenset().union(*spoken)


def _vocabulary(counts: Sequence[Counter[str]], left_out: frozenset[str]) -> dict[str, int]:
    """The words that stand in several sections and not in most, the commonest first."""
    in_sections = Counter(word for words in counts for word in words)
    most = max(2, _COMMON * len(counts))
    told = [word for word, n in in_sections.most_common() if 2 <= n <= most and word not in left_out]
    return {word: i for i, word in enumerate(told[:_VOCABULARY])}


def _vectors(counts: Sequence[Counter[str]], vocabulary: dict[str, int]) -> _Matrix:
    """tf-idf [sections, words], each row of length one or zero."""
    matrix = np.zeros((len(counts), len(vocabulary)), np.float32)
    for row, words in enumerate(counts):
        for word, n in words.items():
            column = vocabulary.get(word)
            if column is not None:
                matrix[row, column] = 1 + np.log(n)
    rarity = np.log((1 + len(counts)) / (1 + (matrix > 0).sum(axis=0))) + 1
    return _unit(np.asarray(matrix * rarity, np.float32))


def _unit(matrix: _Matrix) -> _Matrix:
    length = np.linalg.norm(matrix, axis=1, keepdims=True)
    unit: _Matrix = (matrix / np.where(length > 0, length, 1)).astype(np.float32)
    return unit


def _groups(vectors: _Matrix, generator: np.random.Generator) -> NDArray[np.intp]:
    """The group of each vector, counted from 0 without a gap."""
    nearest = np.argmax(vectors @ _best_centres(vectors, generator).T, axis=1)
    groups: NDArray[np.intp] = np.unique(nearest, return_inverse=True)[1]
    return groups


def _best_centres(vectors: _Matrix, generator: np.random.Generator) -> _Matrix:
    best, best_score = None, -np.inf
    scored = vectors[:_SCORED]
    distance = 1 - scored @ scored.T
    for k in range(2, min(_MOST, len(vectors) // 3) + 1):
        centres = _k_means(vectors, k, generator)
        score = _silhouette(distance, np.argmax(scored @ centres.T, axis=1))
        if score > best_score + 1e-6:
            best, best_score = centres, score
    assert best is not None
    return best


def _k_means(vectors: _Matrix, k: int, generator: np.random.Generator) -> _Matrix:
    centres = vectors[[int(generator.integers(len(vectors)))]]
    while len(centres) < k:
        away = np.clip(1 - (vectors @ centres.T).max(axis=1), 0, None).astype(np.float64) ** 2
        share = away / away.sum() if away.sum() > 0 else None
        centres = np.vstack([centres, vectors[[int(generator.choice(len(vectors), p=share))]]])
    groups = np.full(len(vectors), -1)
    for _ in range(_ROUNDS):
        fresh = np.argmax(vectors @ centres.T, axis=1)
        if (fresh == groups).all():
            break
        groups = fresh
        for group in range(k):
            members = vectors[groups == group]
            if len(members):
                centres[group] = _unit(members.sum(axis=0, keepdims=True))[0]
    return centres


def _silhouette(distance: _Matrix, groups: NDArray[np.intp]) -> float:
    """The mean silhouette; -1 where all stand in one group."""
    present = np.unique(groups)
    if len(present) < 2:
        return -1.0
    means = np.stack([distance[:, groups == g].sum(axis=1) for g in present], axis=1)
    sizes = np.array([(groups == g).sum() for g in present])
    own = np.searchsorted(present, groups)
    at = np.arange(len(groups))
    inside = means[at, own] / np.maximum(sizes[own] - 1, 1)
    means = means / sizes
    means[at, own] = np.inf
    outside = means.min(axis=1)
    scores = np.where(sizes[own] > 1, (outside - inside) / np.maximum(np.maximum(inside, outside), 1e-9), 0)
    return float(scores.mean())
