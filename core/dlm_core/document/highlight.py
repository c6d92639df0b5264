"""Colouring for editors, line by line: what each stretch of a line is, given the state where it begins.

    state ─┐
    line ──┴─▶ highlight_line ──▶ state at the next line, spans of this one

An editor keeps the state at the beginning of every line. After an edit it goes on from the first changed line
until a line's state comes out as it was. Everything is decided from one line and its state, in time linear in
the line.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from dlm_core.document import fences
from dlm_core.document.model import SectionKind

Region = Literal["start", "frontmatter", "yaml-block", "fenced", "body", "code", "provenance", "outside"]


class HighlightKind(StrEnum):
    """What a stretch of text is; a theme gives each a style."""

    DELIMITER = "delimiter"
    KEY = "key"
    VALUE = "value"
    COMMENT = "comment"
    FENCE = "fence"
    FENCE_TAG = "fence-tag"
    HEADING = "heading"
    CODE = "code"
    PROVENANCE = "provenance"
    ERROR = "error"


@dataclass(frozen=True)
class LineState:
    """What is open where a line begins.

    `region`: before the first line; in the frontmatter or one of its block texts; right after a fence; in the
    body, a code block or a provenance comment; `outside` in a text without frontmatter. `ticks` are the
    backticks that opened the code block, `indent` the indentation of the key that opened the block text,
    `section` and `adapter` those of the section.
    """

    region: Region = "start"
    ticks: int = 0
    indent: int = 0
    section: SectionKind | None = None
    adapter: str | None = None


@dataclass(frozen=True)
class HighlightSpan:
    """Columns `start` to `end` (from 0, end excluded) are of `kind`; `adapter` says whose, where known."""

    start: int
    end: int
    kind: HighlightKind
    adapter: str | None = None


Highlighted = tuple[LineState, tuple[HighlightSpan, ...]]
START = LineState()


def highlight_line(
    text: str, state: LineState = START, adapters: Collection[str] | None = None
) -> Highlighted:
    """The state after a line, and its spans in order, without overlap. Plain text has no span.

    `adapters` are the declared names; a fence's tag that is not among them is an error. Without them, every
    well-formed tag is taken for good.
    """
    match state.region:
        case "start":
            if text.rstrip() == "---":
                return LineState("frontmatter"), _whole(text, HighlightKind.DELIMITER)
            return LineState("outside"), _whole(text, HighlightKind.ERROR)
        case "outside":
            return state, ()
        case "frontmatter" | "yaml-block":
            return _frontmatter_line(text, state)
        case "code":
            after = replace(state, region="body", ticks=0) if fences.closes_code(text, state.ticks) else state
            return after, _whole(text, HighlightKind.CODE, state.adapter)
        case "provenance":
            after = replace(state, region="body") if "-->" in text else state
            fence = fences.read_fence(text)
            if fence is None:
                return after, _whole(text, HighlightKind.PROVENANCE, state.adapter)
    return _body_line(text, state, adapters)


def _whole(text: str, kind: HighlightKind, adapter: str | None = None) -> tuple[HighlightSpan, ...]:
    return (HighlightSpan(0, len(text), kind, adapter),) if text else ()


def _body_line(text: str, state: LineState, adapters: Collection[str] | None) -> Highlighted:
    if state.region == "body" and not text.startswith("#") and fences.is_plain(text):
        return state, ()
    ticks = fences.code_ticks(text)
    if ticks:
        return replace(state, region="code", ticks=ticks), _whole(text, HighlightKind.CODE, state.adapter)
    fence = fences.read_fence(text)
    if fence is not None:
        return _fence_line(text, fence, adapters)
    if state.region == "fenced":
        if not text.strip():
            return state, ()
        if text.startswith(fences.PROVENANCE_OPENING):
            region: Region = "body" if "-->" in text else "provenance"
            return replace(state, region=region), _whole(text, HighlightKind.PROVENANCE, state.adapter)
    after = replace(state, region="body")
    word = fences.heading(text)
    if word is not None and word in _headings(state.section):
        mark = text.find("!")
        if mark < 0:
            return after, _whole(text, HighlightKind.HEADING, state.adapter)
        return after, (
            HighlightSpan(0, mark, HighlightKind.HEADING, state.adapter),
            HighlightSpan(mark, len(text.rstrip()), HighlightKind.FENCE_TAG, state.adapter),
        )
    slip = fences.heading_slip(text)
    if slip is not None and slip[0] in _headings(state.section):
        return after, _whole(text, HighlightKind.ERROR)
    return after, ()


def _headings(section: SectionKind | None) -> tuple[str, ...]:
    match section:
        case SectionKind.INSTRUCTION:
            return (*fences.QUESTION_HEADINGS, fences.PROBE_HEADING, *fences.TURN_HEADINGS)
        case SectionKind.PREFERENCE:
            return (*fences.PREFERENCE_HEADINGS, *fences.TURN_HEADINGS)
    return ()


def _fence_line(text: str, fence: fences.Fence, adapters: Collection[str] | None) -> Highlighted:
    if fence.problem is not None:
        return LineState("fenced", section=fence.kind), _whole(text, HighlightKind.ERROR)
    known = fence.tag is not None and (
        fences.is_adapter_name(fence.tag) if adapters is None else fence.tag in adapters
    )
    adapter = fence.tag if known else None
    after = LineState("fenced", section=fence.kind, adapter=adapter)
    if fence.tag is None:
        return after, _whole(text, HighlightKind.FENCE)
    tag_kind = HighlightKind.FENCE_TAG if known else HighlightKind.ERROR
    spans = (
        HighlightSpan(0, fence.tag_start - 1, HighlightKind.FENCE, adapter),
        HighlightSpan(fence.tag_start - 1, fence.tag_end, tag_kind, adapter),
        HighlightSpan(fence.tag_end, len(text), HighlightKind.FENCE, adapter),
    )
    return after, spans


def _frontmatter_line(text: str, state: LineState) -> Highlighted:
    if text.startswith("---") and text.rstrip() == "---":
        return LineState("body", section=SectionKind.PROSE), _whole(text, HighlightKind.DELIMITER)
    bare = text.lstrip(" ")
    indent = len(text) - len(bare)
    if state.region == "yaml-block" and (not bare or indent > state.indent):
        return state, _whole(text, HighlightKind.VALUE)
    after = LineState("frontmatter")
    spans: list[HighlightSpan] = []
    at = indent
    while text.startswith("- ", at):
        spans.append(HighlightSpan(at, at + 1, HighlightKind.DELIMITER))
        at += 2
        at += len(text) - at - len(text[at:].lstrip(" "))
    comment = _comment_start(text, at)
    colon = _key_end(text, at, comment)
    value = at
    if colon is not None:
        spans.append(HighlightSpan(at, colon, HighlightKind.KEY))
        spans.append(HighlightSpan(colon, colon + 1, HighlightKind.DELIMITER))
        value = colon + 1
    written = text[value:comment]
    first = value + len(written) - len(written.lstrip())
    last = value + len(written.rstrip())
    if first < last:
        spans.append(HighlightSpan(first, last, HighlightKind.VALUE))
        if colon is not None and text[first] in "|>" and last - first <= 3:
            after = LineState("yaml-block", indent=at)
    if comment < len(text):
        spans.append(HighlightSpan(comment, len(text), HighlightKind.COMMENT))
    return after, tuple(spans)


def _comment_start(text: str, at: int) -> int:
    """Where a comment begins: a `#` after a blank, outside quotes. The line's end if there is none."""
    quote = ""
    before = " "
    for column in range(at, len(text)):
        character = text[column]
        if quote:
            quote = "" if character == quote and not (quote == '"' and before == "\\") else quote
        elif character in "\"'" and before in " [{,:":
            quote = character
        elif character == "#" and before in " \t":
            return column
        before = character
    return len(text)


def _key_end(text: str, at: int, end: int) -> int | None:
    """The column of the colon that ends a key, if the line has one outside quotes and brackets."""
    if at < end and text[at] in "[{\"'|>":
        return None
    colon = text.find(": ", at, end)
    if colon < 0:
        stripped = len(text[:end].rstrip())
        colon = stripped - 1 if stripped > at and text[stripped - 1] == ":" else -1
    return colon if colon > at else None
