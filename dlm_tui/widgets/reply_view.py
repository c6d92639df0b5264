"""A question and its reply in the chat: streamed Markdown, with the routing as bars beside it."""

import asyncio
import time
from collections.abc import Mapping
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from dlm_core.events import Routing
from dlm_core.requests import Message as Said
from dlm_core.safetext import visible, visible_line
from dlm_tui.actions import bindings
from dlm_tui.conversation import Answer
from dlm_tui.widgets.brush import PATIENCE_S, PAUSE_S, QUIET_S, after, typed_at
from dlm_tui.widgets.looks import Looks
from dlm_tui.widgets.markdown_text import MarkdownText
from dlm_tui.widgets.routing_bars import RoutingBars, mode_line

SIDE_BY_SIDE_FROM = 70
"""Width of a reply from which its bars stand beside it, and not above."""


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


class ReplyRow(Horizontal):
    """A reply's text, and what stands beside it or, where it is narrow, above it."""

    def __init__(self, side: Widget, text: Widget) -> None:
        super().__init__(side, text)
        self._side, self._text = side, text
        self._stacked = True

    def on_mount(self) -> None:
        self.place(stacked=self._stacked)

    def place(self, *, stacked: bool) -> None:
        """Bring both into their order. Before they are mounted, that is done when they are: a busy program
        may lay a reply out sooner.
        """
        self._stacked = stacked
        first = self._side if stacked else self._text
        if first in self.children and self.children[0] is not first:
            self.move_child(first, before=0)


class ReplyView(Vertical, can_focus=True):
    """One reply, growing while it streams. `asked` are the messages it answers."""

    DEFAULT_CSS = """
    ReplyView { width: 1fr; height: auto; padding: 0 0 0 1; border-left: wide $border-blurred; }
    ReplyView:focus { border-left: wide $accent; background: $surface; }
    ReplyView > Horizontal { height: auto; width: 1fr; }
    ReplyView .reply-side { width: 34; height: auto; padding: 0 0 0 2; }
    ReplyView.-stacked > Horizontal { layout: vertical; }
    ReplyView.-stacked .reply-side { width: 1fr; padding: 0; margin: 0 0 1 0; }
    ReplyView .reply-facts { width: 1fr; height: auto; color: $secondary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("reply")

    class Wanted(Message):
        """The person wants something of this reply: `what` is details, why or copy."""

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
        self._markdown = MarkdownText(visible(self.text))
        self._bars = RoutingBars()
        self._mode = Static("", classes="reply-facts")
        self._facts = Static("", classes="reply-facts")
        side = Vertical(self._mode, self._bars, self._facts, classes="reply-side")
        self._row = ReplyRow(side, self._markdown)

    def compose(self) -> ComposeResult:
        yield self._row

    def on_mount(self) -> None:
        self._place()
        if self.answer is not None:
            self._show_answer(self.answer)
        else:
            self._facts.update("…")

    def on_resize(self) -> None:
        self._place()

    def _place(self) -> None:
        stacked = self.size.width < SIDE_BY_SIDE_FROM
        if stacked != self.has_class("-stacked"):
            self.set_class(stacked, "-stacked")
        self._row.place(stacked=stacked)

    # Growing

    def show_routing(self, routing: Routing) -> None:
        """The routing is known; the reply is still to come."""
        self._mode.update(mode_line(routing, self._looks))
        self._bars.show_routing(routing)

    def grow(self, text: str, openness: Mapping[str, float]) -> None:
        """Append a token; the screen follows a few times a second."""
        self.text += text
        self.pieces.append((text, dict(openness)))
        self._unwritten += text
        if self._write_timer is None and self._unwritten:
            self._written_at = time.monotonic()
            self._write_timer = after(self, WRITE_S, self._write)

    def _write(self) -> None:
        now = time.monotonic()
        if now - typed_at(self.app) < QUIET_S and now - self._written_at < PATIENCE_S:
            self._write_timer = after(self, PAUSE_S, self._write)
            return
        self._write_timer = None
        text, self._unwritten = self._unwritten, ""
        if text and self.answer is None and self.is_attached:
            self._markdown.append(visible(text))

    def finish(self, answer: Answer) -> None:
        """The reply is complete."""
        self._stop_writing()
        self.answer, self.text = answer, answer.text
        self._markdown.show(visible(answer.text))
        self._show_answer(answer)

    def fail(self, sentence: str) -> None:
        """The reply broke off; what was said stays."""
        self._stop_writing()
        self._markdown.show(visible(self.text))
        colors = self._looks.theme.spec.colors
        self._facts.update(Text(f"✖ {visible(sentence)}", style=Style(color=colors.error)))

    def _stop_writing(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def redraw(self) -> None:
        """The theme or the adapters changed."""
        self._markdown.refresh(layout=True)
        if self.answer is not None:
            self._show_answer(self.answer)
        else:
            self._bars.redraw()

    def _show_answer(self, answer: Answer) -> None:
        self._mode.update(mode_line(answer.routing, self._looks))
        self._bars.show_routing(answer.routing, {name: o.mean for name, o in answer.openness.items()})
        self._facts.update(facts_line(answer, self._looks))

    @property
    def _looks(self) -> Looks:
        return self.app.looks  # type: ignore[attr-defined,no-any-return]

    def action_details(self) -> None:
        """Open the reply's detail."""
        self.post_message(self.Wanted("details", self))

    def action_why(self) -> None:
        """Ask why it was routed so."""
        self.post_message(self.Wanted("why", self))

    def action_copy(self) -> None:
        """Put the reply on the clipboard."""
        self.post_message(self.Wanted("copy", self))


class Comparison(Horizontal):
    """Two replies to one question side by side; one above the other where there is no room for both."""

    DEFAULT_CSS = """
    Comparison { height: auto; width: 1fr; }
    Comparison.-narrow { layout: vertical; }
    """

    def on_resize(self) -> None:
        self.set_class(self.size.width < COMPARE_FROM, "-narrow")


def facts_line(answer: Answer, looks: Looks) -> Text:
    """Speed, version, and whatever is out of the ordinary about a reply."""
    colors = looks.theme.spec.colors
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
