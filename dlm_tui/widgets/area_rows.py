"""What the rows of the document's text area show: which part of which line, and its marks by line."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from textual._cells import cell_width_to_column_index
from textual.document._document import DocumentBase
from textual.geometry import Offset
from textual.widgets.text_area import Location, WrappedDocument

from dlm_core.document.model import Diagnostic
from dlm_tui.widgets.graphemes import before, column_at, in_cells, shown

T = TypeVar("T")


class _InCells(Sequence[str]):
    """The lines of a document in cells (see `graphemes`), made as they are asked for."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[str]:
        return (in_cells(shown(line)).text for line in self._lines)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [in_cells(shown(line)).text for line in self._lines[index]]
        return in_cells(shown(self._lines[index])).text


class _Shown:
    """A document as wrapping sees it: `lines` in cells, a single line as it is shown."""

    def __init__(self, document: DocumentBase) -> None:
        self._document = document

    @property
    def lines(self) -> Sequence[str]:
        return _InCells(self._document.lines)

    @property
    def line_count(self) -> int:
        return self._document.line_count

    def get_line(self, index: int) -> str:
        return shown(self._document.get_line(index))

    __getitem__ = get_line


class RowPlaces(WrappedDocument):
    """A wrapped document that knows what each of its rows shows, without counting or dividing lines.

    Rows are cut between grapheme clusters, and columns are found by cluster.
    """

    cells = 0
    """The width that rows are wrapped to, 0 for none. Between a resize and the next wrap it is an old one."""

    def __init__(self, document: DocumentBase, width: int = 0, tab_width: int = 4) -> None:
        super().__init__(cast(DocumentBase, _Shown(document)), width, tab_width)

    def wrap(self, width: int, tab_width: int | None = None) -> None:
        self.cells = width
        super().wrap(width, tab_width)
        if width:
            self._to_columns(0, len(self._wrap_offsets))

    def wrap_range(self, start: Location, old_end: Location, new_end: Location) -> None:
        super().wrap_range(start, old_end, new_end)
        if self._width:
            last = len(self._wrap_offsets) - 1
            first = min(start[0], old_end[0], last)
            self._to_columns(first, min(max(start[0], new_end[0]), last) + 1)

    def _to_columns(self, first: int, end: int) -> None:
        """Turn cuts that count clusters into columns, in the lines that were just wrapped."""
        for line in range(first, end):
            if offsets := self._wrap_offsets[line]:
                cells = in_cells(self.document.get_line(line))
                if cells.begins is not None:
                    self._wrap_offsets[line] = [cells.column(offset) for offset in offsets]

    def offset_to_location(self, offset: Offset) -> Location:
        if self._width:
            return super().offset_to_location(offset)
        line = min(max(0, offset.y), len(self._wrap_offsets) - 1)
        text = self.document.get_line(line)
        return line, column_at(text, max(0, offset.x), self._tab_width, cell_width_to_column_index)

    def get_target_document_column(self, line_index: int, x_offset: int, y_offset: int) -> int:
        sections = self.get_sections(line_index)
        section = sections[y_offset]
        begin = sum(map(len, sections[:y_offset]))
        column = column_at(section, x_offset, self._tab_width, cell_width_to_column_index)
        if y_offset not in (
            len(sections) - 1,
            -1,
        ):  # beyond the end the cursor rests on a line's last row alone
            column = min(column, before(section, len(section)))
        return begin + column

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
