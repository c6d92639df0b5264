"""What of the document is learned: the engine's rows over the text, and words for the line of the cursor."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from rich.style import Style
from rich.text import Text

from dlm_core.document import Document, Section, SectionKind
from dlm_core.events import MaskedRow
from dlm_tui.widgets.document_area import DocumentArea
from dlm_tui.widgets.looks import Looks
from dlm_tui.widgets.loss_marks import Marks, Passage, Stretch, marks_of


@dataclass(frozen=True)
class Laid:
    """Tokens that carry loss by line (from 0), the lines known `exact`ly, and whether that is all of them."""

    marks: Marks
    exact: frozenset[int]
    whole: bool


def laid_over(area: DocumentArea, document: Document, rows: Sequence[MaskedRow]) -> Laid:
    """`rows` over the sections of `document` as `area` shows it; a section whose text is another has none."""
    marks: dict[int, tuple[Stretch, ...]] = {}
    exact: set[int] = set()
    whole = True
    by_section: dict[str, list[MaskedRow]] = {}
    for row in rows:
        by_section.setdefault(row.section, []).append(row)
    for section in document.sections:
        if section.source is not None:
            continue
        first, end = section.span.line - 1, section.span.end_line
        passages = area.passages(first, end)
        own = by_section.get(section.content_hash, [])
        own = [row for row in own if row.adapter == own[0].adapter]
        if section.kind is SectionKind.INSTRUCTION:
            passages, own = _of_answers(section, passages, own)
        found = marks_of(passages, own, prose=section.kind is SectionKind.PROSE) if own else None
        if found is None:
            whole = whole and not passages
            continue
        marks.update(found)
        exact.update(range(first, end))
    return Laid(marks, frozenset(exact), whole)


def _of_answers(
    section: Section, passages: Sequence[Passage], rows: Sequence[MaskedRow]
) -> tuple[list[Passage], list[MaskedRow]]:
    """The passages of answers that are trained, and the row of each answer's first wording."""
    spans = [question.span for question in section.questions]
    taught = [p for p in passages if any(s.line - 1 <= p.first < s.end_line for s in spans)]
    firsts = accumulate((len(question.wordings) for question in section.questions), initial=0)
    return taught, [rows[at] for at in firsts if at < len(rows)]


def place_text(area: DocumentArea, looks: Looks) -> Text:
    """Where the cursor stands: line, column, section, and whether training predicts the line."""
    row, column = area.cursor_location
    muted = Style(color=looks.colors.secondary)
    text = Text(no_wrap=True, overflow="ellipsis", end="").append(f"{row + 1}:{column + 1}", style=muted)
    place = area.place_of(row)
    if place.section is None:
        return text
    text.append("  ")
    if place.adapter is not None:
        text.append_text(looks.label(place.adapter)).append(" ")
    text.append(place.section.value + (f", {place.part}" if place.part else ""), style=muted)
    how = "" if place.tokens is None else f", {place.tokens} tokens"
    text.append(f"  learned{how}" if place.learned else "", style=muted)
    return text.append("  · one wording" if place.part == "A" and place.wordings == 1 else "", style=muted)
