"""Where a reply comes from: the section that says it, how sure that is, and what of it no section says."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from dlm_core.events import Unsupported

SAYS_FROM = 0.6
"""Word F1 with an answer, or the share of a reply's words in a prose passage, from which it is the source."""
_NUMBER = re.compile(r"(?<![\w.])\d[\d.,:/-]*\d|(?<![\w.])\d")
_CODE = re.compile(r"`([^`\n]+)`")
_NAME = re.compile(
    r"(?<=[a-z0-9,;:] )[^\W\d_a-z]\w*(?:[ -][^\W\d_a-z]\w*)*"  # large inside a sentence
    r"|\b\w*[a-z]\w*[A-Z]\w*\b|\b[A-Z]{2,}\b"  # camelCase, ABC
)
_WORD = re.compile(r"\w+")
_COMMON = frozenset({"I", "I'm", "I'd", "OK", "A"})


@dataclass(frozen=True)
class Source:
    """A trained section as something a reply may say: an answer with its questions, or a prose passage."""

    key: str
    kind: Literal["answer", "prose", "preference"]
    adapter: str | None
    questions: tuple[str, ...]
    text: str


class Sources:
    """What a document was trained to say, to find whose words a reply is."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self.sources = tuple(sources)
        self._bags = [_bag(source.text) for source in self.sources]

    def saying(self, reply: str, candidates: Sequence[Source] = ()) -> Source | None:
        """The source that says what a reply says, one of `candidates` where several do; None if none does."""
        own = _bag(reply)
        if not own:
            return None
        preferred = {(source.key, source.text) for source in candidates}
        best: tuple[float, bool, int] = (0.0, False, -1)
        for place, (source, bag) in enumerate(zip(self.sources, self._bags, strict=True)):
            common = sum((own & bag).values())
            if not common:
                continue
            whole = own.total() if source.kind == "prose" else (own.total() + bag.total()) / 2
            best = max(best, (common / whole, (source.key, source.text) in preferred, place))
        return self.sources[best[2]] if best[0] >= SAYS_FROM else None


def unsupported(reply: str, source: Source, prompt: str = "") -> tuple[Unsupported, ...]:
    """The numbers, names and code of a reply that stand neither in its source nor in the prompt.

    A word is a name where it is written large inside a sentence, or in a way that plain words are not.
    """
    known = " ".join((*source.questions, source.text))
    held = {word.casefold() for word in _WORD.findall(known)} | {n for n in _numbers(known)}
    asked = {word.casefold() for word in _WORD.findall(prompt)} | {n for n in _numbers(prompt)}
    found: dict[tuple[int, int], str] = {}
    for match in _NUMBER.finditer(reply):
        if _plain(match.group()) not in held | asked:
            found[match.span()] = match.group()
    spans = [m.span(1) for m in _CODE.finditer(reply)] + [m.span() for m in _NAME.finditer(reply)]
    for start, end in spans:
        words = [w for w in _WORD.findall(reply[start:end]) if not w.isdigit() and w not in _COMMON]
        if words and not all(word.casefold() in held | asked for word in words):
            found[start, end] = reply[start:end]
    return tuple(
        Unsupported(start=start, end=end, text=text)
        for (start, end), text in sorted(_outermost(found).items())
    )


def _numbers(text: str) -> Iterable[str]:
    return (_plain(match.group()) for match in _NUMBER.finditer(text))


def _plain(number: str) -> str:
    return number.replace(",", "").strip(".:/-")


def _outermost(found: dict[tuple[int, int], str]) -> dict[tuple[int, int], str]:
    return {
        (start, end): text
        for (start, end), text in found.items()
        if not any((a, b) != (start, end) and a <= start and end <= b for a, b in found)
    }


def _bag(text: str) -> Counter[str]:
    return Counter(_WORD.findall(text.casefold()))
