"""BM25 over hashed terms, words or character n-grams, kept text by text, so that an edit costs its own texts.

bm25s scores every term of every text ahead: 4.5 s for the n-grams of three thousand texts, and again after
each edit. Here a text's terms and counts stay as they are, and scores are worked out per query.
"""

import re
import unicodedata
import zlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

TermKind = Literal["words", "ngrams"]
Row = tuple[NDArray[np.int32], NDArray[np.int32]]
"""The buckets of a text's terms, each once, and how often each stands there."""

_BUCKETS = 1 << 18
_GRAM = 4
_SCRIPTS_WITHOUT_SPACES = 0x2E80  # from here on two characters say as much as four of an alphabet
_K1, _B = 1.5, 0.75  # as in bm25s and most of the literature


class Terms:
    """The terms of some texts; what `known` has of them is taken from it."""

    def __init__(self, kind: TermKind, texts: Sequence[str], known: "Terms | None" = None) -> None:
        self.kind = kind
        before = {} if known is None else known.rows
        self.rows: dict[str, Row] = {
            text: before[text] if text in before else row_of(kind, text) for text in texts
        }
        rows = [self.rows[text] for text in texts]
        sizes = np.array([len(ids) for ids, _ in rows], np.int64)
        self._ends = np.cumsum(sizes)
        self._starts = self._ends - sizes
        none = np.zeros(0, np.int32)
        self._ids = np.concatenate([none, *(ids for ids, _ in rows)])
        counts = np.concatenate([none, *(counts for _, counts in rows)])
        upto = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])
        lengths = (upto[self._ends] - upto[self._starts]).astype(np.float32)
        self._mean = max(1.0, float(lengths.mean())) if len(rows) else 1.0
        self._earned = self._earn(counts, np.repeat(lengths, sizes))
        frequency = np.bincount(self._ids, minlength=_BUCKETS)
        self.weights = np.log1p((len(rows) - frequency + 0.5) / (frequency + 0.5)).astype(np.float32)

    def scores(self, query: str) -> NDArray[np.float64]:
        """BM25 of every text [texts] (Robertson and Zaragoza, 2009), as a share, 0 to 1, of what a text could
        reach that has every term of the query often.
        """
        if not len(self._ids) or not (value := self._value(query)).any():
            return np.zeros(len(self._ends))
        sums = np.add.reduceat(np.append(value[self._ids] * self._earned, np.float32(0)), self._starts)
        return np.where(self._starts < self._ends, sums.astype(np.float64), 0.0)

    def score(self, query: str, text: str) -> float:
        """What `scores` would give a further text."""
        ids, counts = row_of(self.kind, text)
        return float((self._value(query)[ids] * self._earn(counts, np.float32(counts.sum()))).sum())

    def weight(self, word: str) -> float:
        """How rare a word is among the texts; for terms that are words."""
        return float(self.weights[_bucket(word)])

    def _value(self, query: str) -> NDArray[np.float32]:
        """The share of a query's weight that every bucket has."""
        value = np.zeros(_BUCKETS, np.float32)
        wanted, _ = row_of(self.kind, query)
        if len(wanted):
            value[wanted] = self.weights[wanted] / self.weights[wanted].sum()
        return value

    def _earn(
        self, counts: NDArray[np.int32], length: NDArray[np.float32] | np.float32
    ) -> NDArray[np.float32]:
        """How much of a term's weight its text earns."""
        found = counts / (counts + _K1 * (1 - _B + _B * length / self._mean))
        return found.astype(np.float32)


def words_of(text: str) -> list[str]:
    """The words of a text, case folded, compatible forms made one."""
    return re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())


def row_of(kind: TermKind, text: str) -> Row:
    """The terms of one text."""
    found = words_of(text)
    if kind == "words":
        buckets = np.array([_bucket(word) for word in found], np.int64)
    else:
        letters = np.array([ord(c) for c in f" {' '.join(found)} "], np.uint64)
        pairs = _hashed(letters, 2)
        dense = (letters[:-1] >= _SCRIPTS_WITHOUT_SPACES) & (letters[1:] >= _SCRIPTS_WITHOUT_SPACES)
        buckets = np.concatenate([_hashed(letters, _GRAM), pairs[dense]])
    ids, counts = np.unique(buckets, return_counts=True)
    return ids.astype(np.int32), counts.astype(np.int32)


def _bucket(word: str) -> int:
    return zlib.crc32(word.encode("utf-8", "surrogatepass")) % _BUCKETS


def _hashed(letters: NDArray[np.uint64], size: int) -> NDArray[np.int64]:
    """The buckets of all stretches of `size` characters: FNV-1a, over characters."""
    if len(letters) < size:
        return np.zeros(0, np.int64)
    hashed = np.full(len(letters) - size + 1, size, np.uint64)
    for i in range(size):
        hashed = (hashed ^ letters[i : len(letters) - size + 1 + i]) * np.uint64(0x100000001B3)
    return ((hashed >> np.uint64(24)) % np.uint64(_BUCKETS)).astype(np.int64)
