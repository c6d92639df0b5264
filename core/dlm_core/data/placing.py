"""Text put into a section so that it stays text: fences and headings in it, and code blocks left open."""

from dataclasses import dataclass

from dlm_core.document import fences
from dlm_core.document.body import trimmed
from dlm_core.document.lines import normalised
from dlm_core.document.model import SectionKind
from dlm_core.safetext import whole

_MARK = "\ufeff"


@dataclass(frozen=True)
class Settled:
    """A text that may stand in a section, and what had to be done for it: lines that were `indented` by a
    space because they would have been fences or headings, and whether a code block was `closed`.
    """

    text: str
    indented: int = 0
    closed: bool = False


def settled(text: str, kind: SectionKind) -> Settled:
    """`text` with LF line ends, without blank lines around it, so that a section of that kind reads it back.

    Lines inside code blocks stay as they are: there nothing is a fence.
    """
    rows = _trimmed(normalised(whole(text)).split("\n"))
    while rows and rows[0].startswith(_MARK):  # a byte order mark is no text
        rows = _trimmed([rows[0].lstrip(_MARK), *rows[1:]])
    ticks = indented = 0
    for number, row in enumerate(rows):
        if ticks:
            ticks = 0 if fences.closes_code(row, ticks) else ticks
        elif row.lstrip(" \t")[:1] not in ("`", ":", "#"):
            continue  # nothing that begins otherwise means anything
        elif fences.code_ticks(row):
            ticks = fences.code_ticks(row)
        elif _means_something(row, kind):
            rows[number] = f" {row}"
            indented += 1
    if ticks:
        rows.append("`" * ticks)
    return Settled("\n".join(rows), indented, bool(ticks))


def _trimmed(rows: list[str]) -> list[str]:
    """The rows without the blank ones at both ends."""
    first, end = trimmed(rows, 0, len(rows))
    return rows[first:end]


def _means_something(row: str, kind: SectionKind) -> bool:
    """Whether a line would be read as more than text, or refused for being nearly that."""
    if fences.read_fence(row) is not None:
        return True
    if kind is SectionKind.PROSE:
        return False
    words = (*fences.PREFERENCE_HEADINGS, *fences.TURN_HEADINGS)
    if kind is SectionKind.INSTRUCTION:
        words = (*fences.QUESTION_HEADINGS, fences.PROBE_HEADING, *fences.TURN_HEADINGS)
    if fences.heading(row) in words:
        return True
    slip = fences.heading_slip(row)
    return slip is not None and slip[1] and slip[0] in words
