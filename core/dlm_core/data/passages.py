"""Pages of headings and text to questions and answers, whether Markdown or HTML gave the pieces.

A heading is a question where it reads like one, or where at least half of its level do. What stands under
none is a passage: kept as prose, or noted.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from dlm_core.data.rows import Item, Note, Place, Row, Topic
from dlm_core.document.model import SectionKind

Headings = Literal["auto", "all", "none"]
BOLD, SUMMARY, TERM = 7, 8, 9
"""Levels below those of headings: a bold line, the summary of details, the term of a definition list."""

_LABEL = re.compile(
    r"^(?:q(?:uestion)?\s{0,3}\.?\s{0,3}\d{0,5}\s{0,3}[:.)\-–]|\(?\d+(?:\.\d+)*[.):]|\d+(?:\.\d+)+)\s+",
    re.IGNORECASE,
)
_QUESTION_MARK = re.compile(r"[?？؟]['\"”’)*_]*\s*$")
_Q = re.compile(r"^q(?:uestion)?\s{0,3}\d{0,5}\s{0,3}[:.)]\s", re.IGNORECASE)
_A = re.compile(r"^(?:\*\*|__)?a(?:nswer)?\s{0,3}\d{0,5}\s{0,3}[:.](?:\*\*|__)?\s+", re.IGNORECASE)
_UP = re.compile(r"^\W*(?:\[[^\]]*\]\(#[^)]*\)|\[(?:back to )?top\]\([^)]*\))\W*$", re.IGNORECASE)
_LONGEST_LINK = 200
_FEW = (
    5  # a page of which no fifth of the headings asks is prose, though one of them may end in a question mark
)
_FAQ = re.compile(r"\bfaqs?\b|frequently|\bq\s?&\s?a\b|questions|fragen|preguntas|вопрос", re.IGNORECASE)


@dataclass(frozen=True)
class Heading:
    """A line that stands over text; `asks` says whether it is a question by its form.

    A bold line may begin a paragraph: `rest` is what follows it there, `written` the paragraph as it stands.
    """

    level: int
    text: str
    line: int
    asks: bool
    rest: str = ""
    written: str = ""


@dataclass(frozen=True)
class Text:
    """A block of Markdown."""

    text: str
    line: int


@dataclass(frozen=True)
class End:
    """Here ends what an element at this level held."""

    level: int


Piece = Heading | Text | End


def heading(level: int, text: str, line: int, *, rest: str = "", written: str = "") -> Heading:
    """A heading without the number or `Q:` before it."""
    text = " ".join(text.split())
    bare = _LABEL.sub("", text).strip() or text
    asks = bool(_QUESTION_MARK.search(text) or _Q.match(f"{text} ")) or level in (SUMMARY, TERM)
    return Heading(level, bare, line, asks, rest, written)


@dataclass
class _Open:
    """A question, or a passage (`asked` empty), whose text is still being gathered."""

    level: int
    line: int
    asked: list[str] = field(default_factory=list)
    title: str = ""
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        texts = list(self.texts)
        while texts and not texts[-1].strip("-*_ \n"):
            texts.pop()
        return _A.sub("", "\n\n".join(texts).strip("\n"), count=1)


def read_pieces(
    pieces: Sequence[Piece], source: str, *, headings: Headings = "auto", prose: bool = False
) -> Iterator[Item]:
    """The rows of a page.

    `headings`: which of them are questions, those that read like one, all that have text, or none. `prose`:
    text under no question is a prose row. A page without a question is prose in any case.
    """
    asking = _asking(pieces, headings)
    row = passage = 0
    for opened in _gathered(pieces, asking):
        text = opened.text
        if opened.asked:
            row += 1
            place = Place(source, row, opened.line)
            if not text.strip():
                yield Note(Topic.EMPTY, place, f"nothing stands under {opened.asked[-1]!r}")
                continue
            for asked in opened.asked:
                yield Row(SectionKind.INSTRUCTION, place, asked, text)
        elif text.strip():
            passage += 1
            place = Place(source, passage, opened.line)
            if prose or not asking:
                yield Row(SectionKind.PROSE, place, answer=f"{opened.title}\n\n{text}".strip("\n"))
            else:
                words = " ".join(f"{opened.title} {text}".split())
                yield Note(Topic.PASSAGE, place, f"text under no question: {words[:60]}")


def _asking(pieces: Sequence[Piece], mode: Headings) -> set[int]:
    """Which pieces, by number, are questions."""
    if mode == "none":
        return set()
    titles = [
        (i, piece)
        for i, piece in enumerate(pieces)
        if isinstance(piece, Heading)
        and (piece.level in (SUMMARY, TERM) or piece.rest or _has_text(pieces, i))
    ]
    asks = Counter(h.level for _, h in titles if h.asks)
    of_level = Counter(h.level for _, h in titles)
    halves = {level for level in asks if 2 * asks[level] >= of_level[level] and asks[level] > 1}
    if not asks and _is_faq(pieces):
        titles = [(i, h) for i, h in titles if not _FAQ.search(h.text)]
        halves = {level for level in of_level if level > 1}
    chosen = {i for i, h in titles if mode == "all" or h.asks or h.level in halves}
    if len(chosen) * _FEW < len(titles):
        return set()
    return chosen | {i for i, p in enumerate(pieces) if isinstance(p, Heading) and p.asks and p.level != BOLD}


def _is_faq(pieces: Sequence[Piece]) -> bool:
    first = next((p for p in pieces if isinstance(p, Heading)), None)
    return first is not None and bool(_FAQ.search(first.text))


def _has_text(pieces: Sequence[Piece], number: int) -> bool:
    after = pieces[number + 1] if number + 1 < len(pieces) else None
    return isinstance(after, Text)


def _gathered(pieces: Sequence[Piece], asking: set[int]) -> Iterator[_Open]:
    opened = _Open(0, 1)
    for number, piece in enumerate(pieces):
        match piece:
            case Text(text, _):
                opened.texts += [] if len(text) < _LONGEST_LINK and _UP.match(text) else [text]
            case End(level):
                if opened.level == level:
                    yield opened
                    opened = _Open(0, opened.line)
            case Heading(level, text, line):
                asks = number in asking
                if opened.asked and _belongs(piece, opened, asks=asks):
                    opened.texts.append(_as_written(piece))
                elif asks and level == TERM == opened.level and not opened.texts:
                    opened.asked.append(text)
                else:
                    yield opened
                    opened = _Open(level, line, [text] if asks else [], "" if asks else _as_written(piece))
                    opened.texts += [piece.rest] if asks and piece.rest else []
    yield opened


def _belongs(piece: Heading, opened: _Open, *, asks: bool) -> bool:
    """Whether a heading is part of the answer that stands before it."""
    if piece.level == BOLD:
        return opened.level != BOLD
    return piece.level > opened.level and not asks


def _as_written(piece: Heading) -> str:
    if piece.level >= BOLD:
        return piece.written or f"**{piece.text}**"
    return f"{'#' * piece.level} {piece.text}"
