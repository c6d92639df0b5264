"""BM25 over hashed terms, words or character n-grams, kept text by text, so that an edit costs its own texts.

bm25s scores every term of every text ahead, which takes seconds for n-grams of three thousand sections, and
anew after each edit. Here a text's terms and counts stay as they are, and scores are worked out per query.
"""

import re
import unicodedata
import zlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["words", "ngrams"]
_BUCKETS = 1 << 20
_GRAM = 4
_K1, _B = 1.5, 0.75  # as in bm25s and most of the literature


class Terms:
    """The terms of some texts: text i has buckets `ids[ends[i-1]:ends[i]]`, each `counts` times."""

    def __init__(
        self, kind: Kind, ends: NDArray[np.int64], ids: NDArray[np.int32], counts: NDArray[np.int32]
    ) -> None:
        self.kind, self.ends, self.ids, self.counts = kind, ends, ids, counts
        self._starts = np.concatenate([[0], ends[:-1]]).astype(np.int64) if len(ends) else ends
        lengths = np.add.reduceat(np.append(counts, 0), self._starts) if len(ends) else ends
        lengths = np.where(self._starts < ends, lengths, 0)
        mean = max(1.0, float(lengths.mean()) if len(lengths) else 1.0)
        of_text = np.repeat(lengths, ends - self._starts)
        # [terms]: how much of a term's weight one text earns, from 0 to 1 (Robertson and Zaragoza, 2009)
        self._earned = (counts / (counts + _K1 * (1 - _B + _B * of_text / mean))).astype(np.float32)
        frequency = np.bincount(ids, minlength=_BUCKETS)
        self._weights = np.log(1 + (len(ends) - frequency + 0.5) / (frequency + 0.5)).astype(np.float32)

    @classmethod
    def of(cls, kind: Kind, texts: Sequence[str]) -> "Terms":
        """The terms of `texts`."""
        rows = [np.unique(_buckets(kind, text), return_counts=True) for text in texts]
        sizes = np.array([len(ids) for ids, _ in rows], np.int64)
        empty = np.zeros(0, np.int32)
        return cls(
            kind,
            np.cumsum(sizes),
            np.concatenate([empty, *(ids for ids, _ in rows)]).astype(np.int32),
            np.concatenate([empty, *(counts for _, counts in rows)]).astype(np.int32),
        )

    def scores(self, query: str) -> NDArray[np.float32]:
        """BM25 of every text [texts], as a share of what a text with all terms of the query could reach."""
        wanted = np.unique(_buckets(self.kind, query))
        if not len(wanted) or not len(self.ends):
            return np.zeros(len(self.ends), np.float32)
        value = np.zeros(_BUCKETS, np.float32)
        value[wanted] = self._weights[wanted] / self._weights[wanted].sum()
        earned = np.append(value[self.ids] * self._earned, np.float32(0))
        sums = np.add.reduceat(earned, self._starts)
        return np.where(self._starts < self.ends, sums, np.float32(0))


def _buckets(kind: Kind, text: str) -> NDArray[np.int64]:
    folded = unicodedata.normalize("NFKC", text).casefold()
    found = re.findall(r"\w+", folded)
    if kind == "words":
        return np.array(
            [zlib.crc32(word.encode("utf-8", "surrogatepass")) % _BUCKETS for word in found], np.int64
        )
    letters = np.array([ord(c) for c in f" {' '.join(found)} "], np.uint64)
    if len(letters) < _GRAM:
        return np.zeros(0, np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(letters, _GRAM)
    hashed = np.zeros(len(windows), np.uint64)
    for i in range(_GRAM):
        hashed = (hashed ^ windows[:, i]) * np.uint64(0x100000001B3)  # FNV-1a, over characters
    return ((hashed >> np.uint64(20)) % np.uint64(_BUCKETS)).astype(np.int64)
