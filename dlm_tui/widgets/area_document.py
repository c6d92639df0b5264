"""The editor's document: lines end at LF and CRLF alone, and every line keeps the end that it came with."""

from rich.cells import cell_len
from textual.document._document import Document, EditResult
from textual.geometry import Size
from textual.widgets.text_area import Location

from dlm_tui.widgets.graphemes import shown

_LF, _CRLF = "\n", "\r\n"


class AreaDocument(Document):
    """Textual's document takes form feeds, U+2028 and others for line ends, and makes all ends alike."""

    def __init__(self, text: str) -> None:
        super().__init__("")
        self._lines, self._ends = _cut(text)
        self._newline = self._ends[0] if self._ends else _LF  # type: ignore[assignment]

    @property
    def text(self) -> str:
        """The whole text, letter for letter."""
        return _joined(self._lines, self._ends)

    def get_size(self, tab_width: int) -> Size:
        """Cells of the longest line as it is shown, and lines."""
        widths = (cell_len(shown(line).expandtabs(tab_width)) for line in self._lines)
        return Size(max(widths, default=0), len(self._lines))

    def replace_range(self, start: Location, end: Location, text: str) -> EditResult:
        """Put `text`, line ends and all, in place of a stretch."""
        (top, left), (bottom, right) = sorted((self._inside(start), self._inside(end)))
        replaced = self.get_text_range((top, left), (bottom, right))
        lines, ends = _cut(text)
        column = len(lines[-1]) + (left if len(lines) == 1 else 0)
        after = self._lines[bottom][right:]
        lines[0] = self._lines[top][:left] + lines[0]
        lines[-1] += after
        self._lines[top : bottom + 1] = lines
        self._ends[top:bottom] = ends
        return EditResult((top + len(lines) - 1, column), replaced)

    def get_text_range(self, start: Location, end: Location) -> str:
        """The text of a stretch, with the line ends that stand in it."""
        (top, left), (bottom, right) = sorted((self._inside(start), self._inside(end)))
        if top == bottom:
            return self._lines[top][left:right]
        lines = [self._lines[top][left:], *self._lines[top + 1 : bottom], self._lines[bottom][:right]]
        return _joined(lines, self._ends[top:bottom])

    def _inside(self, location: Location) -> Location:
        row, column = location
        if row >= len(self._lines):
            return self.end
        return max(0, row), min(max(0, column), len(self._lines[max(0, row)]))


def _cut(text: str) -> tuple[list[str], list[str]]:
    """Lines, and the end of each but the last."""
    *whole, last = text.split(_LF)
    ends = [_CRLF if line.endswith("\r") else _LF for line in whole]
    return [*(line.removesuffix("\r") for line in whole), last], ends


def _joined(lines: list[str], ends: list[str]) -> str:
    first = ends[0] if ends else _LF
    if ends.count(first) == len(ends):  # all alike: every key asks for the whole text
        return first.join(lines)
    return "".join(part for pair in zip(lines, [*ends, ""], strict=True) for part in pair)
