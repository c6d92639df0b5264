"""What holds where a line of a document begins, and whether training predicts the line."""

from dataclasses import dataclass
from functools import lru_cache

from dlm_core.document.fences import PROBE_HEADING, heading
from dlm_core.document.highlight import START, HighlightKind, HighlightSpan, LineState, highlight_line
from dlm_core.document.model import SectionKind

LOSS_PARTS = ("A", "Chosen", "Rejected")
"""Headings whose text is learned."""


@dataclass(frozen=True)
class Place:
    """What a line is part of: its section's kind and adapter, its heading, and whether it is learned.

    `tokens` is how many of its tokens carry loss, None where that is known by line only; `wordings` how many
    trained ones stand above an answer.
    """

    section: SectionKind | None
    adapter: str | None
    part: str
    learned: bool
    tokens: int | None
    wordings: int = 0


@dataclass(frozen=True)
class AreaState:
    """What holds where a line begins: the highlighter's state, the heading the text stands under, and how
    many trained wordings of its question stand above it.
    """

    line: LineState = START
    part: str = ""
    wordings: int = 0


@lru_cache(maxsize=16_384)
def read_line(
    text: str, state: AreaState, adapters: tuple[str, ...]
) -> tuple[AreaState, tuple[HighlightSpan, ...]]:
    """The state after a line, and its spans. Pure, so it may be remembered."""
    after, spans = highlight_line(text, state.line, adapters or None)
    part, wordings = state.part, state.wordings
    if after.region == "fenced" and (spans or state.line.region != "fenced"):
        part, wordings = "", 0
    elif spans and spans[0].kind is HighlightKind.HEADING:
        part = heading(text) or ""
        if part != "A":
            above = wordings if state.part in ("Q", PROBE_HEADING) else 0
            wordings = above + (part == "Q")
    return AreaState(after, part, wordings), spans


def asks_once(text: str, after: AreaState) -> bool:
    """Whether a line is the heading of an answer whose question has a single wording."""
    return after.part == "A" and after.wordings == 1 and heading(text) == "A"


def carries_loss(text: str, state: AreaState, after: AreaState) -> bool:
    """Whether training predicts this line: prose, answers, and both sides of a preference."""
    line = after.line
    if line.region not in ("body", "code") or line.section is None or not text.strip():
        return False
    if state.part != after.part or state.line.region in ("frontmatter", "yaml-block"):
        return False
    if line.section is SectionKind.PROSE:
        return True
    return after.part in LOSS_PARTS and (after.part != "A" or after.wordings > 0)
