"""Drafting from the document: a model that was trained to say what the document says is best foretold by the
document itself.

The last two tokens are looked up in the document's own answers; of several places the one that agrees longest
with the reply so far goes on, and among equals the answer whose question shares most words with this one's. A
proposal that fails makes the next ones rarer, one that passes whole makes the next one longer.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_TOKENS = 8
_TOKENS_AT_MOST = 16
_AGREE_AT_MOST = 32
_PAUSE_AT_MOST = 32
_READ_AT_MOST = 400_000  # tokens of a document that are looked up


@dataclass(frozen=True)
class Passage:
    """Ids of one trained row; those at `begin` and after it are what the model learned to say."""

    ids: tuple[int, ...]
    begin: int


@dataclass(frozen=True)
class Place:
    """The position in a passage that comes next."""

    passage: int
    next: int


class Passages:
    """What a document teaches, looked up by two tokens."""

    def __init__(self, passages: Iterable[Passage]) -> None:
        self.passages: list[Passage] = []
        self._places: dict[tuple[int, int], list[Place]] = {}
        self._questions: list[frozenset[int]] = []
        read = 0
        for passage in passages:
            read += len(passage.ids)
            if read > _READ_AT_MOST:
                break
            number = len(self.passages)
            self.passages.append(passage)
            self._questions.append(frozenset(passage.ids[: passage.begin]))
            for at in range(max(2, passage.begin), len(passage.ids)):
                self._places.setdefault(passage.ids[at - 2 : at], []).append(Place(number, at))  # type: ignore[arg-type]

    def after(self, ids: Sequence[int], reply: int, question: frozenset[int]) -> Place | None:
        """Where a document says what `ids` end with; `reply` counts the ids that are the reply's own."""
        if len(ids) < 2:
            return None
        left = self._places.get((ids[-2], ids[-1]), [])
        for back in range(3, min(reply, _AGREE_AT_MOST) + 1):
            if len(left) < 2:
                break
            nearer = [
                p
                for p in left
                if p.next >= back and self.passages[p.passage].ids[p.next - back] == ids[-back]
            ]
            if not nearer:
                break
            left = nearer
        return max(left, key=lambda p: self._likeness(p.passage, question), default=None)

    def _likeness(self, passage: int, question: frozenset[int]) -> float:
        """Jaccard index of the tokens of both questions."""
        own = self._questions[passage]
        return len(own & question) / max(1, len(own | question))


class Drafter:
    """Proposes the tokens of one reply, and counts how many were drawn."""

    def __init__(self, passages: Passages, prompt: Sequence[int]) -> None:
        self._passages = passages
        self._prompt, self._question = len(prompt), frozenset(prompt)
        self._length = _TOKENS
        self._failures = 0
        self._resume = 0
        self.proposed = 0
        self.accepted = 0
        self._last = 0

    def propose(self, ids: Sequence[int], room: int) -> list[int]:
        """Up to `room` ids that the document says after `ids`."""
        self._last = len(ids)
        if room < 1 or len(ids) < self._resume:
            return []
        place = self._passages.after(ids, len(ids) - self._prompt, self._question)
        if place is None:
            return []
        ids_there = self._passages.passages[place.passage].ids
        return list(ids_there[place.next : place.next + min(self._length, room)])

    def judged(self, proposed: int, accepted: int) -> None:
        self.proposed += proposed
        self.accepted += accepted
        if accepted == 0:
            self._failures += 1
            self._resume = self._last + min(2**self._failures, _PAUSE_AT_MOST)
        else:
            self._failures = 0
        self._length = _TOKENS_AT_MOST if accepted == proposed else _TOKENS
