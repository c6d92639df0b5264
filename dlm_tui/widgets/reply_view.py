"""A question and its reply in the chat: streamed Markdown, with the routing as bars beside it."""

import asyncio
import time
from collections.abc import Sequence
from functools import partialmethod
from itertools import chain
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.geometry import Region, Size
from textual.message import Message
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from dlm_core.errors import DlmError
from dlm_core.events import Citation, Routing, Token
from dlm_core.requests import Message as Said
from dlm_core.safetext import visible, visible_line
from dlm_tui.actions import bindings
from dlm_tui.session import sources
from dlm_tui.session.conversation import Answer
from dlm_tui.widgets.brush import after, typed_at, wait_for
from dlm_tui.widgets.looks import Looks, looks_of
from dlm_tui.widgets.markdown_text import MarkdownText
from dlm_tui.widgets.routing_bars import mode_line, routing_lines
from dlm_tui.widgets.styled_lines import adapter_signs

SIDE_BY_SIDE_FROM = 70
"""Width of a reply from which its bars stand beside it, and not above."""
SIDE_WIDTH, SIDE_GAP = 34, 2
"""Cells of what stands beside a reply, and how many of them keep it apart from the text."""

COMPARE_FROM = 56
"""Width from which two replies stand side by side."""
WRITE_S = 0.125
"""How often what was streamed is put on screen."""


class QuestionView(Static):
    """What the person asked."""

    DEFAULT_CSS = """
    QuestionView { width: 1fr; height: auto; margin: 1 0 0 0; padding: 0 1; text-style: bold; }
    """

    def __init__(self, question: str) -> None:
        super().__init__(Text("❯ ", end="").append(visible(question)))


class NoteView(Static):
    """Something the workbench says in the chat: the answer to a command, an error."""

    DEFAULT_CSS = """
    NoteView { width: 1fr; height: auto; margin: 1 0 0 0; padding: 0 1; color: $secondary; }
    NoteView { border-left: wide $border-blurred; }
    NoteView.-error { color: $error; border-left: wide $error; }
    """

    def __init__(self, text: str | Text, *, error: bool = False) -> None:
        super().__init__(
            text if isinstance(text, Text) else Text(visible(text)), classes="-error" if error else ""
        )


class ReplyView(Widget, can_focus=True):
    """One reply, growing while it streams, with its routing beside it or, where it is narrow, above it.

    It takes what a session tells of a reply (see `session.front.ReplySink`).

    It is one widget that paints both: were each part a widget, a row that scrolls by would be painted once
    for each of them. `asked` are the messages it answers.
    """

    DEFAULT_CSS = """
    ReplyView { width: 1fr; height: auto; padding: 0 0 0 1; border-left: wide $border-blurred; }
    ReplyView:focus { border-left: wide $accent; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("reply")

    class Wanted(Message):
        """The person wants something of this reply: `what` is the name of one of the reply's actions."""

        def __init__(self, what: str, view: "ReplyView") -> None:
            super().__init__()
            self.what, self.view = what, view

    def __init__(self, asked: tuple[Said, ...], answer: Answer | None = None) -> None:
        super().__init__()
        self.asked = asked
        self.answer = answer
        self.text = answer.text if answer is not None else ""
        self.pieces = answer.tokens.said if answer is not None else []
        """What every token added, with the adapters' openness at it."""
        self._unwritten = ""
        self._write_timer: asyncio.TimerHandle | None = None
        self._written_at = 0.0
        self._routing: Routing | None = None
        self._fault = ""
        self._markdown = MarkdownText(visible(self.text), unsupported_words(answer))
        self._side: tuple[int, list[Strip]] | None = None
        """The rows beside the text, and the width they were painted for."""
        self._painted: dict[int, Strip] = {}
        """Rows of blocks that are complete, as they go to the screen."""
        self._painted_for: tuple[int, Style] = (0, Style.null())

    # Growing

    def routed(self, routing: Routing) -> None:
        """The routing is known; the reply is still to come."""
        self._routing = routing
        self._changed()

    def token(self, token: Token) -> None:
        """Append a token; the screen follows a few times a second."""
        self.text += token.text
        self.pieces.append((token.text, dict(token.openness)))
        self._unwritten += token.text
        if self._write_timer is None and self._unwritten:
            self._written_at = time.monotonic()
            self._write_timer = after(self, WRITE_S, self._write)

    def _write(self) -> None:
        now = time.monotonic()
        if wait := wait_for(typed_at(self.app), now - self._written_at, now):
            self._write_timer = after(self, wait, self._write)
            return
        self._write_timer = None
        text, self._unwritten = self._unwritten, ""
        if text and self.answer is None and self.is_attached:
            self.append(visible(text))

    def append(self, text: str) -> None:
        """Put more text on screen: laid out anew where it takes another row, painted where it differs."""
        width = self.size.width
        height, top, complete = self._height(width), self._top(width), self._markdown.complete
        self._markdown.append(text)
        if self._height(width) != height:
            self.refresh(layout=True)
        else:
            self.refresh(Region(0, top + complete, width, height - top - complete))

    def finished(self, answer: Answer) -> None:
        """The reply is complete."""
        self._stop_writing()
        self.answer, self.text = answer, answer.text
        self._markdown.show(visible(answer.text), unsupported_words(answer))
        self._changed()

    def failed(self, error: DlmError | None) -> None:
        """The reply broke off, or was stopped before it began; what was said stays."""
        self._stop_writing()
        self._markdown.show(visible(self.text))
        self._fault = str(error) if error is not None else "stopped before it began"
        self._changed()

    def _stop_writing(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def redraw(self) -> None:
        """The theme or the adapters changed."""
        self._changed()

    def _changed(self) -> None:
        self._side = None
        self._painted.clear()
        self.refresh(layout=True)

    # Painting

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return max(1, self._height(width))

    def render_lines(self, crop: Region) -> list[Strip]:
        painted_for = (self.size.width, self.rich_style)
        if painted_for != self._painted_for or self.text_selection is not None:
            self._painted_for = painted_for
            self._painted.clear()
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        strip = self._painted.get(y)
        if strip is None:
            strip = self._paint(y)
            if y < self._top(self.size.width) + self._markdown.complete and self.text_selection is None:
                self._painted[y] = strip
        return strip

    def _paint(self, y: int) -> Strip:
        width, ground = self._painted_for
        side, text, top = self._side_rows(width), self._text_rows(width), self._top(width)
        strip = self._text_row(text[y - top], y - top) if top <= y < top + len(text) else Strip([])
        if top:
            strip = side[y] if y < len(side) else strip
        elif y < len(side):
            strip = Strip.join([strip.adjust_cell_length(width - SIDE_WIDTH + SIDE_GAP), side[y]])
        return strip.adjust_cell_length(width).apply_style(ground)

    def _text_row(self, strip: Strip, row: int) -> Strip:
        """A row of the text, ready to be selected with the mouse."""
        if (selection := self.text_selection) is not None and (span := selection.get_span(row)) is not None:
            strip = self._selected(strip, *span)
        return strip.apply_offsets(0, row)

    def _selected(self, strip: Strip, start: int, end: int) -> Strip:
        end = strip.cell_length if end == -1 else min(end, strip.cell_length)
        if start >= end:
            return strip
        before, marked, rest = (
            strip.crop(0, start), strip.crop(start, end), strip.crop(end, strip.cell_length)
        )  # fmt: skip
        style = self.screen.get_component_rich_style("screen--selection")
        plain = Strip([Segment(s.text, (s.style or Style()) + style) for s in marked], marked.cell_length)
        return Strip.join([before, plain, rest])

    def _top(self, width: int) -> int:
        """The row in which the text begins: after what stands above it, if anything does."""
        return len(self._side_rows(width)) + 1 if width < SIDE_BY_SIDE_FROM else 0

    def _height(self, width: int) -> int:
        top, text, side = self._top(width), self._text_rows(width), self._side_rows(width)
        return top + len(text) if top else max(len(text), len(side))

    def _text_rows(self, width: int) -> Sequence[Strip]:
        beside = width >= SIDE_BY_SIDE_FROM
        cells = width - SIDE_WIDTH if beside else width
        return self._markdown.rows(self.app.console, cells, looks_of(self).theme)

    def _side_rows(self, width: int) -> list[Strip]:
        """Routing and facts as rows."""
        cells = SIDE_WIDTH - SIDE_GAP if width >= SIDE_BY_SIDE_FROM else width
        if self._side is None or self._side[0] != cells:
            console = self.app.console
            options = console.options.update(width=max(1, cells), height=None)
            rows = (console.render_lines(text, options, pad=False) for text in self._side_texts(cells))
            self._side = cells, [Strip(row) for row in chain.from_iterable(rows)]
        return self._side[1]

    def _side_texts(self, width: int) -> list[Text]:
        looks, answer = looks_of(self), self.answer
        colors = looks.colors
        routing = answer.routing if answer is not None else self._routing
        parts = []
        if routing is not None:
            opens = {name: o.mean for name, o in answer.openness.items()} if answer is not None else None
            mode = mode_line(routing, looks)
            mode.stylize_before(Style(color=colors.secondary))
            parts += [mode, routing_lines(routing, looks, width, opens)]
        if answer is not None and answer.citation is not None:
            parts.append(source_text(answer.citation, looks))
        if self._fault:
            parts.append(Text(f"✖ {visible(self._fault)}", style=Style(color=colors.error)))
        else:
            parts.append(
                facts_line(answer, looks)
                if answer is not None
                else Text("…", style=Style(color=colors.secondary))
            )
        return [part for part in parts if part]

    # Selecting with the mouse

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text, and what ends it."""
        rows = self._text_rows(self.size.width)
        return selection.extract("\n".join(strip.text.rstrip() for strip in rows)), "\n"

    # Textual finds an action by the name of its method; what each does, `actions.ACTIONS` says.

    def _want(self, what: str) -> None:
        self.post_message(self.Wanted(what, self))

    action_details = partialmethod(_want, "details")
    action_why = partialmethod(_want, "why")
    action_source = partialmethod(_want, "source")
    action_teach = partialmethod(_want, "teach")
    action_prefer = partialmethod(_want, "prefer")
    action_other = partialmethod(_want, "other")
    action_right = partialmethod(_want, "right")
    action_wrong = partialmethod(_want, "wrong")
    action_copy = partialmethod(_want, "copy")


class Comparison(Horizontal):
    """Two replies to one question side by side; one above the other where there is no room for both."""

    DEFAULT_CSS = """
    Comparison { height: auto; width: 1fr; }
    Comparison.-narrow { layout: vertical; }
    """

    def on_resize(self) -> None:
        self.set_class(self.size.width < COMPARE_FROM, "-narrow")


def unsupported_words(answer: Answer | None) -> list[str]:
    """The numbers and names of a reply that the section it comes from does not hold."""
    citation = answer.citation if answer is not None else None
    return [visible(found.text) for found in citation.unsupported] if citation is not None else []


def source_text(citation: Citation, looks: Looks) -> Text:
    """Where a reply comes from, and below it what is doubtful about it."""
    colors, adapter = looks.colors, citation.adapter
    known = adapter in looks.names
    said = sources.says(citation, looks.sign(adapter) if adapter and known else "")
    style = looks.style(adapter) if adapter and known else Style(color=colors.secondary)
    text = Text(said, style=style, end="", overflow="fold")
    for doubt in sources.doubts(citation, adapter_signs(looks), take="o"):
        text.append(f"\n{doubt}", style=Style(color=colors.warning))
    return text


def facts_line(answer: Answer, looks: Looks) -> Text:
    """Speed, version, and whatever is out of the ordinary about a reply."""
    colors = looks.colors
    text = Text(end="", overflow="fold")
    facts = []
    if answer.timing is not None and answer.timing.tokens:
        facts += [f"{answer.timing.tokens} tokens", f"{answer.timing.tokens_per_s:.0f}/s"]
        if answer.timing.acceptance is not None:
            facts.append(f"{answer.timing.acceptance:.0%} of drafts kept")
    if answer.version:
        facts.append(visible_line(answer.version))
    text.append(" · ".join(facts), style=Style(color=colors.secondary))
    marks = []
    if answer.finish_reason == "interrupted":
        marks.append("■ stopped")
    if answer.finish_reason == "length":
        marks.append("… cut at max_tokens")
    if answer.during_run is not None:
        marks.append(f"▶ while run {answer.during_run} trains: last committed version")
    if answer.dropped_turns:
        marks.append(f"{answer.dropped_turns} early turns no longer fit")
    if marks:
        text.append(("\n" if facts else "") + "\n".join(marks), style=Style(color=colors.warning))
    return text
