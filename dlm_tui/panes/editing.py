"""Edits of a document that are more than typing: sections put in, problems put right, lines commented out."""

import re
from collections.abc import Sequence

from textual.widgets.text_area import Selection

from dlm_core.document import Diagnostic, SectionKind
from dlm_core.document.identity import id_span, new_id
from dlm_core.document.model import Span
from dlm_core.errors import DocumentError
from dlm_core.teaching import Edit
from dlm_tui.widgets.dialogs import Choice
from dlm_tui.widgets.document_area import DocumentArea
from dlm_tui.widgets.drawer import REMEDY
from dlm_tui.widgets.looks import Looks

_BODIES = {
    SectionKind.INSTRUCTION.value: "### Q\n\n### A\n",
    SectionKind.PREFERENCE.value: "### Prompt\n\n### Chosen\n\n### Rejected\n",
}


def append_section(area: DocumentArea, adapter: str) -> int:
    """Open an instruction section for `adapter` at the end; answers the line where its question goes."""
    row = area.document.line_count - 1
    last = area.document.get_line(row)
    after_gap = not last.strip() and row > 0 and not area.document.get_line(row - 1).strip()
    lead = "" if after_gap else "\n\n" if last.strip() else "\n"
    area.history.checkpoint()
    end = area.document.end
    area.put(f"{lead}::instruction#{adapter}::\n{_BODIES['instruction']}", end, end)
    return area.cursor_location[0] - 2


def section_choices(looks: Looks) -> list[Choice]:
    """What may be put in: every kind for every adapter, then without a tag; each key is "kind name"."""
    choices = [
        Choice(f"{kind.value} {name}", f"{looks.sign(name)} ::{kind.value}#{name}::")
        for kind in (SectionKind.INSTRUCTION, SectionKind.PROSE, SectionKind.PREFERENCE)
        for name in looks.names
    ]
    return choices + [Choice(f"{kind.value} ", f"  ::{kind.value}::", "no tag") for kind in SectionKind]


def insert_section(area: DocumentArea, kind: str, adapter: str) -> int:
    """Open a section after the cursor's line; answers the line where its text goes."""
    row = area.cursor_location[0]
    here = area.document.get_line(row)
    tag = f"#{adapter}" if adapter else ""
    lead = "\n\n" if here.strip() else "\n"
    area.history.checkpoint()
    end = (row, len(here))
    area.put(f"{lead}::{kind}{tag}::\n{_BODIES.get(kind, chr(10))}", end, end)
    return row + lead.count("\n") + (2 if kind in _BODIES else 1)


def put_edit(area: DocumentArea, edit: Edit) -> None:
    """Make an edit of the text as one that can be undone, and select what is new.

    Raises DocumentError: the text is another than the edit was made for.
    """
    if area.text != edit.before:
        raise DocumentError("the document changed meanwhile, and is left as it is", "do it once more")
    changed, old = edit.stretch, edit.before.split("\n")
    rows = [row.removesuffix("\r") for row in changed.rows]
    area.history.checkpoint()
    if changed.end < len(old):
        start, end = (changed.first, 0), (changed.end, 0)
        area.replace("".join(f"{row}\n" for row in rows), start, end, maintain_selection_offset=False)
    if area.text != edit.after:  # at the very end, or where line ends differ
        area.replace_all(edit.after)
    area.history.checkpoint()
    first = edit.line - 1
    last = changed.first + len(rows) - 1
    while last > first and not rows[last - changed.first].strip():
        last -= 1
    area.move_cursor((first, 0), center=True)
    area.selection = Selection((first, 0), (last, len(area.document.get_line(last))))


def renew_id(area: DocumentArea) -> bool:
    """Give the document another id, as one undoable edit; answers whether it has one."""
    span = id_span(area.text)
    if span is None:
        return False
    _put_at(area, span, new_id())
    return True


def _put_at(area: DocumentArea, span: Span, text: str) -> None:
    """Put a text in place of a stretch, as one undoable edit."""
    area.history.checkpoint()
    area.put(text, (span.line - 1, span.column - 1), (span.end_line - 1, span.end_column - 1))


def within(area: DocumentArea, line: int, column: int) -> tuple[int, int]:
    """The place nearest to a line and column (from 0) that the text has."""
    line = min(max(0, line), area.document.line_count - 1)
    return line, min(max(0, column), len(area.document.get_line(line)))


def next_place(problems: Sequence[Diagnostic], row: int) -> Span:
    """The place of the first problem below a row (from 0), round the end; there has to be one."""
    places = sorted(problem.span for problem in problems)
    return next((place for place in places if place.line - 1 > row), places[0])


def put_right(area: DocumentArea, problems: Sequence[Diagnostic]) -> bool:
    """Put in what the first hint suggests, as one undoable edit; answers whether there was one."""
    for problem in problems:
        if (meant := REMEDY.search(problem.hint)) is not None:
            _put_at(area, problem.span, meant[1])
            return True
    return False


def toggle_comment(area: DocumentArea) -> bool:
    """Comment the selected lines out, or back in; False outside the frontmatter, which alone has comments."""
    first, last = sorted((area.selection.start[0], area.selection.end[0]))
    if area.state_at(first).line.region not in ("frontmatter", "yaml-block"):
        return False
    lines = [area.document.get_line(row) for row in range(first, last + 1)]
    area.history.checkpoint()
    end = (last, len(lines[-1]))
    area.replace("\n".join(toggled_comment(lines)), (first, 0), end, maintain_selection_offset=True)
    return True


def toggled_comment(lines: Sequence[str]) -> list[str]:
    """The YAML lines commented out at their common indentation, or back in where all of them are."""
    filled = [line for line in lines if line.strip()]
    if filled and all(line.lstrip().startswith("#") for line in filled):
        return [re.sub(r"^( *)# ?", r"\1", line) for line in lines]
    lead = min((len(line) - len(line.lstrip()) for line in filled), default=0)
    return [f"{line[:lead]}# {line[lead:]}" if line.strip() else line for line in lines]
