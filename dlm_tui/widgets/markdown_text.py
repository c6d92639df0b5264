"""Markdown that grows, as painted rows: complete blocks are kept as painted, the last is read again.

Textual's own Markdown is a widget a paragraph and list item; with some replies on screen every few words of
another one cost a layout of them all, which is longer than a keystroke may wait.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

from markdown_it import MarkdownIt
from rich import markdown
from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.segment import Segment
from rich.style import Style
from rich.theme import Theme
from textual.strip import Strip

from dlm_tui.themes import WorkbenchTheme


class _Heading(markdown.Heading):
    LEVEL_ALIGN: ClassVar[dict[str, JustifyMethod]] = {}


class _Markdown(markdown.Markdown):
    elements: ClassVar[dict[str, type[markdown.MarkdownElement]]] = {
        **markdown.Markdown.elements, "heading_open": _Heading
    }  # fmt: skip


class MarkdownText:
    """Markdown as the rows it takes at some width; `append` goes on with it.

    Its text is safe for a terminal, see `dlm_core.safetext`.
    """

    def __init__(self, text: str = "", marked: Sequence[str] = ()) -> None:
        self.text = text
        self.marked = tuple(marked)
        """Words that are underlined in the colour of warnings wherever they stand."""
        self._read_to = 0
        """Where the last block begins: what stands before it is complete."""
        self._rows: list[Strip] = []
        self._complete = 0
        self._drawn_for: tuple[Console, int, WorkbenchTheme] | None = None

    def show(self, text: str, marked: Sequence[str] = ()) -> None:
        """Have another text, with other words marked in it."""
        if (text, tuple(marked)) != (self.text, self.marked):
            self.text, self.marked = text, tuple(marked)
            self._drawn_for = None

    def append(self, text: str) -> None:
        """Go on with the text; rows of complete blocks stay the same objects."""
        self.text += text
        if self._drawn_for is not None:
            self._draw_rest(*self._drawn_for)

    @property
    def complete(self) -> int:
        """How many rows, as last painted, no further text changes."""
        return self._complete

    def rows(self, console: Console, width: int, theme: WorkbenchTheme) -> Sequence[Strip]:
        """The rows in `width` cells, none longer; painted where they are not yet."""
        if self._drawn_for != (console, width, theme):
            self._drawn_for = (console, width, theme)
            self._read_to, self._complete, self._rows = 0, 0, []
            self._draw_rest(console, width, theme)
        return self._rows

    def _draw_rest(self, console: Console, width: int, theme: WorkbenchTheme) -> None:
        """Paint from the last block on; all but the then last one is complete."""
        *complete, last = blocks(self.text[self._read_to :])
        del self._rows[self._complete :]
        for block in complete:
            self._rows += self._strips(console, block, width, theme)
        self._read_to += sum(map(len, complete))
        self._complete = len(self._rows)
        self._rows += self._strips(console, last, width, theme)

    def _strips(self, console: Console, block: str, width: int, theme: WorkbenchTheme) -> list[Strip]:
        strips = _strips(console, block, width, theme, follows=bool(self._rows))
        style = Style(color=theme.spec.colors.warning, underline=True)
        return with_marks(strips, self.marked, style) if self.marked else strips


def blocks(text: str) -> Sequence[str]:
    """The text cut before each of its top-level blocks; at least one piece, and joined they are the text."""
    lines = text.splitlines(keepends=True)
    begins = [
        token.map[0]
        for token in MarkdownIt().enable("table").parse(text)
        if token.level == 0 and token.map is not None and token.nesting >= 0
    ]
    cuts = [0, *sorted({begin for begin in begins if begin > 0}), len(lines)]
    pieces = ["".join(lines[start:end]) for start, end in pairwise(cuts)]
    return pieces or [""]


def with_marks(rows: Sequence[Strip], marked: Sequence[str], style: Style) -> list[Strip]:
    """The rows with some words in a style of their own, wherever they stand whole, line breaks within them
    or not.
    """
    text = "\n".join(row.text for row in rows)
    spans: list[tuple[int, int]] = []
    for words in (each.split() for each in marked):
        if words:
            pattern = r"(?<!\w)" + r"\s+".join(map(re.escape, words)) + r"(?!\w)"
            spans += [match.span() for match in re.finditer(pattern, text)]
    shown, begin = [], 0
    for row in rows:
        line, end = row.text, begin + len(row.text)
        here = [
            (max(a, begin) - begin, min(b, end) - begin) for a, b in sorted(spans) if a < end and b > begin
        ]
        shown.append(_row_with_marks(row, line, here, style) if here else row)
        begin = end + 1
    return shown


def _row_with_marks(row: Strip, line: str, spans: Sequence[tuple[int, int]], style: Style) -> Strip:
    cuts = sorted({cell_len(line[:at]) for span in spans for at in span} | {row.cell_length})
    inside = [(cell_len(line[:a]), cell_len(line[:b])) for a, b in spans]
    parts, begin = [], 0
    for part, end in zip(row.divide(cuts), cuts, strict=False):
        is_marked = any(a <= begin and end <= b for a, b in inside)
        parts.append(
            Strip([Segment(s.text, (s.style or Style()) + style) for s in part], part.cell_length)
            if is_marked
            else part
        )
        begin = end
    return Strip.join(parts)


def _strips(console: Console, block: str, width: int, theme: WorkbenchTheme, *, follows: bool) -> list[Strip]:
    """A block's rows, after an empty one where another block `follows`."""
    if not block.strip() or width < 1:
        return []
    code = "ansi_dark" if theme.spec.dark else "ansi_light"
    shown = _Markdown(block, code_theme=code, hyperlinks=False)
    with console.use_theme(_markdown_theme(theme)):
        rows = console.render_lines(shown, console.options.update(width=width, height=None), pad=False)
    strips = [Strip(row) for row in rows]
    while strips and not strips[0].text.strip():
        strips.pop(0)
    while strips and not strips[-1].text.strip():
        strips.pop()
    return [Strip([]), *strips] if follows and strips else strips


def _markdown_theme(theme: WorkbenchTheme) -> Theme:
    colors = theme.spec.colors
    heading = Style(bold=True, color=colors.accent)
    quiet = Style(color=colors.secondary)
    styles = {f"markdown.h{level}": heading for level in range(1, 7)}
    styles |= {
        "markdown.code": Style(color=colors.primary),
        "markdown.block_quote": quiet + Style(italic=True),
        "markdown.item.bullet": quiet,
        "markdown.item.number": quiet,
        "markdown.hr": quiet,
        "markdown.link": Style(underline=True),
        "markdown.link_url": quiet,
        "markdown.table.header": heading,
        "markdown.table.border": quiet,
    }
    return Theme(styles)
