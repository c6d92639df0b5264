"""Grapheme clusters: what a reader sees as one character, though it may be several code points (UAX #29).

A line in cells is the line with each cluster as one stand-in character of the cluster's width, so that code
that counts characters one by one wraps it and finds columns in it rightly.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from wcwidth import grapheme_boundary_before, iter_graphemes

from dlm_core.safetext import visible_line

_ALONE = (
    "\0-\u02ff\u0370-\u0482\u048a-\u0590\u2010-\u2027\u2030-\u205e\u20a0-\u20cf\u2100-\u2bff"
    "\u3001-\u3029\u3030-\u3098\u309b-\u312f\u3400-\u9fff\uac00-\ud7a3\uff01-\uff9d"
)
"""Characters that are clusters of their own beside each other: most of what is written."""
_PLAIN = re.compile(f"[{_ALONE}]*")
# A stretch of those, or one in which characters may join, with one of those before and behind.
_STRETCH = re.compile(f"([{_ALONE}]+(?=[{_ALONE}]|\\Z))|[{_ALONE}]?(?:[^{_ALONE}]+[{_ALONE}]?)+")
_STAND_INS = ("\N{COMBINING GRAVE ACCENT}", "x", "\N{CJK UNIFIED IDEOGRAPH-4E00}")  # of no, one and two cells
_JOINERS = frozenset("\u200c\u200d") | {chr(code) for code in range(0xE0020, 0xE0080)}
"""Characters that print nothing by themselves and shape the cluster that they stand in."""


def _plain(line: str) -> bool:
    """Whether each character is a cluster."""
    return line.isascii() or _PLAIN.fullmatch(line) is not None


def before(line: str, column: int) -> int:
    """The column at which the cluster before `column` begins."""
    return column - 1 if _plain(line) else grapheme_boundary_before(line, column)


def after(line: str, column: int) -> int:
    """The column at which the cluster at `column` ends."""
    if _plain(line) or column >= len(line):
        return min(column + 1, len(line))
    return column + len(next(iter_graphemes(line[column:])))


def snapped(line: str, column: int) -> int:
    """`column`, or the beginning of the cluster that it stands inside of."""
    if _plain(line) or not 0 < column < len(line):
        return column
    begin = grapheme_boundary_before(line, column)
    return column if begin + len(next(iter_graphemes(line[begin:]))) <= column else begin


@dataclass(frozen=True)
class Cells:
    """A line in cells: its stand-ins, and the columns at which clusters begin, closed by the line's length.

    `begins` is None where every cluster is one character.
    """

    text: str
    begins: Sequence[int] | None

    def column(self, index: int) -> int:
        """The column of the line where the stand-in at `index` begins."""
        return index if self.begins is None else self.begins[min(index, len(self.begins) - 1)]


@lru_cache(maxsize=4096)
def in_cells(line: str) -> Cells:
    """A line as it is shown, in cells."""
    if _plain(line):
        return Cells(line, None)
    begins, text = [0], ""
    for stretch in _STRETCH.finditer(line):
        if stretch[1]:
            begins.extend(range(begins[-1] + 1, begins[-1] + len(stretch[1]) + 1))
            text += stretch[1]
            continue
        for cluster in iter_graphemes(stretch[0]):
            begins.append(begins[-1] + len(cluster))
            text += cluster if len(cluster) == 1 else _STAND_INS[min(cell_len(cluster), 2)]
    return Cells(text, None if len(text) == len(line) else begins)


@lru_cache(maxsize=4096)
def shown(raw: str) -> str:
    """The line with control characters as single signs, so that columns stay what they are."""
    if raw.isprintable() or not any(not c.isprintable() and c != "\t" for c in raw):
        return raw
    return "".join(
        stretch[0] if stretch[0].isprintable() else "".join(map(_sign, iter_graphemes(stretch[0])))
        for stretch in _STRETCH.finditer(raw)
    )


def _sign(cluster: str) -> str:
    joined = len(cluster) > 1 and all(c.isprintable() or c in _JOINERS for c in cluster)
    return cluster if joined else _signs(cluster)


def _signs(cluster: str) -> str:
    return "".join(c if c.isprintable() or c == "\t" else _one_cell(c) for c in cluster)


def _one_cell(character: str) -> str:
    sign = visible_line(character)
    return sign if len(sign) == 1 and cell_len(sign) == 1 else "\N{REPLACEMENT CHARACTER}"


class ClusterText(Text):
    """Styled text whose styles never begin or end inside a cluster: a terminal would draw its parts apart."""

    def stylize(self, style: str | Style, start: int = 0, end: int | None = None) -> None:
        """Style a stretch, widened to whole clusters."""
        begins = in_cells(self.plain).begins
        if begins is not None:
            length = len(self.plain)
            start = _at_or_before(begins, start if start >= 0 else length + start)
            if end is not None:
                stop = end if end >= 0 else length + end
                end = stop if stop >= length else _at_or_after(begins, stop)
        super().stylize(style, start, end)


def _at_or_before(begins: Sequence[int], column: int) -> int:
    return begins[max(0, bisect_right(begins, column) - 1)]


def _at_or_after(begins: Sequence[int], column: int) -> int:
    begin = _at_or_before(begins, column)
    return begin if begin == column else begins[min(bisect_right(begins, column), len(begins) - 1)]


def column_at(line: str, cell: int, tab_width: int, count: Callable[[str, int, int], int]) -> int:
    """The column of the cluster at a `cell` of a line as it is shown; `count` finds a stand-in's index."""
    cells = in_cells(line)
    return cells.column(count(cells.text, cell, tab_width))
