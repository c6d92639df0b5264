"""A reply's Markdown as one widget that grows: complete blocks are kept as painted, the last is read again.

Textual's own Markdown is a widget a paragraph and list item; with some replies on screen every few words of
another one cost a layout of them all, which is longer than a keystroke may wait.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

from markdown_it import MarkdownIt
from rich import markdown
from rich.console import JustifyMethod
from rich.segment import Segment
from rich.style import Style
from rich.theme import Theme
from textual.geometry import Region, Size
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from dlm_tui.themes import WorkbenchTheme


class _Heading(markdown.Heading):
    LEVEL_ALIGN: ClassVar[dict[str, JustifyMethod]] = {}


class _Markdown(markdown.Markdown):
    elements: ClassVar[dict[str, type[markdown.MarkdownElement]]] = {
        **markdown.Markdown.elements, "heading_open": _Heading
    }  # fmt: skip


class MarkdownText(Widget):
    """Shows Markdown; `append` goes on with it. The text is safe for a terminal, see `dlm_core.safetext`."""

    DEFAULT_CSS = """
    MarkdownText { width: 1fr; height: auto; }
    """

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.text = text
        self._read_to = 0
        """Where the last block begins: what stands before it is complete."""
        self._complete: list[Strip] = []
        self._last: list[Strip] = []
        self._drawn_for: tuple[int, WorkbenchTheme] | None = None

    def show(self, text: str) -> None:
        """Show another text."""
        if text != self.text:
            self.text = text
            self._drawn_for = None
            self.refresh(layout=True)

    def append(self, text: str) -> None:
        """Go on with the text: laid out anew only where it takes another row, painted where it differs."""
        self.text += text
        if self._drawn_for is None:
            self.refresh(layout=True)
            return
        rows, complete = len(self._rows), len(self._complete)
        self._draw_rest(*self._drawn_for)
        if len(self._rows) != rows:
            self.refresh(layout=True)
        else:
            self.refresh(Region(0, complete, self.size.width, rows - complete))

    @property
    def _rows(self) -> list[Strip]:
        return [*self._complete, *self._last]

    @property
    def _theme(self) -> WorkbenchTheme:
        return self.app.workbench_theme  # type: ignore[attr-defined,no-any-return]

    # Painting

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        self._draw(width)
        return max(1, len(self._complete) + len(self._last))

    def render_line(self, y: int) -> Strip:
        self._draw(self.size.width)
        ground = self.rich_style
        first = len(self._complete)
        if y >= first + len(self._last):
            return Strip.blank(self.size.width, ground)
        strip = self._complete[y] if y < first else self._last[y - first]
        if (selection := self.text_selection) is not None and (span := selection.get_span(y)) is not None:
            strip = self._selected(strip, *span)
        return strip.adjust_cell_length(self.size.width).apply_style(ground).apply_offsets(0, y)

    def _selected(self, strip: Strip, start: int, end: int) -> Strip:
        end = strip.cell_length if end == -1 else min(end, strip.cell_length)
        if start >= end:
            return strip
        before, marked, after = (
            strip.crop(0, start), strip.crop(start, end), strip.crop(end, strip.cell_length)
        )  # fmt: skip
        style = self.screen.get_component_rich_style("screen--selection")
        plain = Strip([Segment(s.text, (s.style or Style()) + style) for s in marked], marked.cell_length)
        return Strip.join([before, plain, after])

    def _draw(self, width: int) -> None:
        drawn_for = (width, self._theme)
        if drawn_for == self._drawn_for:
            return
        self._drawn_for = drawn_for
        self._read_to, self._complete, self._last = 0, [], []
        self._draw_rest(*drawn_for)

    def _draw_rest(self, width: int, theme: WorkbenchTheme) -> None:
        """Paint from the last block on; all but the then last one is complete."""
        rest = self.text[self._read_to :]
        *complete, last = blocks(rest)
        for block in complete:
            self._complete += self._strips(block, width, theme, follows=bool(self._complete))
        self._read_to += sum(map(len, complete))
        self._last = self._strips(last, width, theme, follows=bool(self._complete))

    def _strips(self, block: str, width: int, theme: WorkbenchTheme, *, follows: bool) -> list[Strip]:
        """A block's rows, after an empty one where another block `follows`."""
        console = self.app.console
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

    # Selecting with the mouse

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text, and what ends it."""
        return selection.extract("\n".join(strip.text.rstrip() for strip in self._rows)), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        self.refresh()


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
