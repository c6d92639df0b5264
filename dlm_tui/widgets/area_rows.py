"""What the rows of the document's text area show: which part of which line, and its marks by line."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from textual.widgets.text_area import Location, WrappedDocument

from dlm_core.document.model import Diagnostic
from dlm_core.safetext import visible_line

T = TypeVar("T")


class RowPlaces(WrappedDocument):
    """A wrapped document that knows what each of its rows shows, without counting or dividing lines."""

    cells = 0
    """The width that rows are wrapped to, 0 for none. Between a resize and the next wrap it is an old one."""

    def wrap(self, width: int, tab_width: int | None = None) -> None:
        self.cells = width
        super().wrap(width, tab_width)

    @property
    def height(self) -> int:
        return len(self._offset_to_line_info)

    def place(self, row: int) -> tuple[int, int] | None:
        """The line of `row`, and which of its rows that is, both from 0; None after the end."""
        return self._offset_to_line_info[row] if row < len(self._offset_to_line_info) else None

    def rows_of(self, line: int) -> Sequence[int]:
        """The columns at which the rows of `line` begin."""
        return [0, *self._wrap_offsets[line]]


@dataclass(frozen=True, slots=True)
class Frame:
    """What the rows of one painting have in common: the place in the text, and what their look depends on."""

    top: int
    left: int
    gutter: int
    width: int
    """Cells of a row's text."""
    first: Location
    last: Location
    """What is selected; both are the cursor where nothing is."""


def by_line(marks: Iterable[tuple[int, T]]) -> dict[int, tuple[T, ...]]:
    """What is marked, by line, in the order given."""
    lines: dict[int, list[T]] = defaultdict(list)
    for line, mark in marks:
        lines[line].append(mark)
    return {line: tuple(found) for line, found in lines.items()}


def columns(diagnostic: Diagnostic, length: int) -> tuple[int, int]:
    """Where (from 0, end excluded) a problem is underlined in its line of `length` characters."""
    span = diagnostic.span
    start = min(max(0, span.column - 1), max(0, length - 1))
    end = span.end_column - 1 if span.end_line == span.line else length
    return start, max(start + 1, min(end, max(length, 1)))


def shown(raw: str) -> str:
    """The line with control characters shown as single signs, so that columns stay what they are."""
    if raw.isprintable() or not any(not c.isprintable() and c != "\t" for c in raw):
        return raw
    return "".join(c if c.isprintable() or c == "\t" else _one_cell(c) for c in raw)


def _one_cell(character: str) -> str:
    shown = visible_line(character)
    return shown if len(shown) == 1 else "\N{REPLACEMENT CHARACTER}"
