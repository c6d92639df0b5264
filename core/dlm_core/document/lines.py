"""The text as lines, and the way from offsets and rows to spans. Columns count characters of any width.

A line ends at LF or CRLF and at nothing else: form feeds, U+2028 and a CR alone are characters of a line.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from dlm_core.document.model import Span

_LINE_END = re.compile(r"\r+(?=\n|\Z)")


def normalised(text: str) -> str:
    """`text` without its byte order mark, with LF for CRLF.

    Carriage returns right before a line end, or before the end of the text, go with it: no text can end in
    one and be written out again.
    """
    return _LINE_END.sub("", text.removeprefix("\ufeff"))


@dataclass(frozen=True)
class Lines:
    """A text with LF line ends, cut at them. `rows[0]` is line 1."""

    text: str

    @cached_property
    def rows(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *accumulate(len(row) + 1 for row in self.rows[:-1])]

    def offset(self, row: int) -> int:
        """Where row `row` (from 0) begins in the text."""
        return self._starts[row]

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column (from 1) of an offset; offsets outside are moved to the nearest end."""
        inside = min(max(offset, 0), len(self.text))
        row = bisect_right(self._starts, inside) - 1
        return row + 1, inside - self._starts[row] + 1

    def span(self, start: int, end: int) -> Span:
        """The span between two offsets."""
        return Span(*self.position(start), *self.position(max(start, end)))

    def row_span(self, row: int, last: int | None = None) -> Span:
        """Row `row` (from 0), or the rows up to and with `last`, without the final line end."""
        end = row if last is None else max(row, last)
        return Span(row + 1, 1, end + 1, len(self.rows[end]) + 1)
