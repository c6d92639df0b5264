"""What the adapters know, question by question: measured here, sorted, asked, taught."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from rich.style import Style
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import DataTable, Static

from dlm_core.errors import DlmError, Stopped
from dlm_core.events import Working
from dlm_core.reports import Evaluation, ProbeReply
from dlm_core.safetext import visible, visible_line
from dlm_tui.session.wording import evaluation_line
from dlm_tui.widgets.dialogs import ClosedOnce
from dlm_tui.widgets.looks import Looks

Show = Literal["wrong", "all", "right"]
Sorting = Literal["confident", "question", "adapter", "support"]
_SHOWN: tuple[Show, ...] = ("wrong", "all", "right")
_SORTED: tuple[Sorting, ...] = ("confident", "question", "adapter", "support")

Measure = Callable[[Callable[[Working], None]], Coroutine[Any, Any, Evaluation]]


@dataclass(frozen=True)
class Wish:
    """What is to be done with a question: ask it in the chat, or teach what its reply should have been."""

    what: Literal["ask", "teach"]
    reply: ProbeReply


class EvaluateScreen(ClosedOnce[Wish | None]):
    """The last evaluation as a table, the wrong ones first to see; `r` measures anew.

    `measure` does so, and is told a place for its progress.
    """

    DEFAULT_CSS = """
    EvaluateScreen { align: center middle; background: $background 60%; }
    EvaluateScreen > Vertical { width: 98%; height: 94%; background: $surface; border: round $border; }
    EvaluateScreen > Vertical { padding: 0 1; }
    EvaluateScreen Static { height: auto; }
    EvaluateScreen DataTable { height: 1fr; background: $surface; }
    EvaluateScreen VerticalScroll { height: 8; border-top: solid $border-blurred; }
    EvaluateScreen #eval-keys { color: $secondary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "Close"),
        Binding("r", "measure", "Measure"),
        Binding("f", "filter", "Wrong, all, right"),
        Binding("s", "sort", "Sort"),
        Binding("t", "teach", "Teach"),
    ]

    def __init__(self, found: Evaluation | None, measure: Measure) -> None:
        super().__init__()
        self._found, self._measure = found, measure
        self._show: Show = "wrong"
        self._sort: Sorting = "confident"
        self._rows: list[ProbeReply] = []
        self._measuring: asyncio.Task[None] | None = None

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static("", id="eval-summary")
            yield DataTable(cursor_type="row", zebra_stripes=True)
            with VerticalScroll():
                yield Static("", id="eval-detail")
            yield Static("", id="eval-keys")

    def on_mount(self) -> None:
        table = self._table
        table.add_columns("", "question", "adapter", "routed", "support", "F1")
        table.focus()
        self._fill()

    @property
    def _table(self) -> DataTable[Text]:
        return self.query_one(DataTable)

    @property
    def _looks(self) -> Looks:
        return self.app.looks  # type: ignore[attr-defined,no-any-return]

    def _fill(self) -> None:
        found = self._found
        replies = list(found.replies) if found is not None else []
        self._rows = arranged(replies, self._show, self._sort)
        self._table.clear()
        for reply in self._rows:
            self._table.add_row(*self._cells(reply))
        self._tell(evaluation_line(found) if found is not None else "Nothing was measured yet: r measures.")
        right = sum(reply.right for reply in replies)
        shown = f"{self._show} ({len(self._rows)} of {len(replies)}, {right} right), by {self._sort}"
        keys = "Enter asks it, t teaches, f filters, s sorts, r measures, Escape closes"
        self.query_one("#eval-keys", Static).update(Text(f"{shown}   {keys}", overflow="fold"))
        self._detail()

    def _cells(self, reply: ProbeReply) -> list[Text]:
        looks = self._looks
        routed = max(reply.routing, key=reply.routing.__getitem__, default="")
        colors = looks.theme.spec.colors
        sign = Text("✔" if reply.right else "✖", Style(color=colors.success if reply.right else colors.error))
        return [
            sign,
            Text(visible_line(reply.question)),
            looks.label(reply.adapter),
            looks.label(routed) if routed else Text("-"),
            Text("-" if reply.support is None else f"{reply.support:.0%}"),
            Text(f"{reply.f1:.2f}"),
        ]

    @property
    def _chosen(self) -> ProbeReply | None:
        row = self._table.cursor_row
        return self._rows[row] if 0 <= row < len(self._rows) else None

    @on(DataTable.RowHighlighted)
    def _detail(self) -> None:
        reply, text = self._chosen, Text(end="")
        if reply is not None:
            text.append("expected  ", Style(dim=True)).append(visible(reply.expected))
            text.append("\nreplied   ", Style(dim=True)).append(visible(reply.reply))
        self.query_one("#eval-detail", Static).update(text)

    def _tell(self, sentence: str) -> None:
        self.query_one("#eval-summary", Static).update(Text(sentence, style=Style(bold=True)))

    @on(DataTable.RowSelected)
    def _ask(self) -> None:
        if (reply := self._chosen) is not None:
            self._leave_with(Wish("ask", reply))

    def action_teach(self) -> None:
        """Say what the reply to the chosen question should have been."""
        if (reply := self._chosen) is not None:
            self._leave_with(Wish("teach", reply))

    def action_filter(self) -> None:
        """Show the wrong ones, all, the right ones."""
        self._show = _SHOWN[(_SHOWN.index(self._show) + 1) % len(_SHOWN)]
        self._fill()

    def action_sort(self) -> None:
        """Sort by the next column."""
        self._sort = _SORTED[(_SORTED.index(self._sort) + 1) % len(_SORTED)]
        self._fill()

    def action_measure(self) -> None:
        """Measure anew; the chat waits meanwhile."""
        if self._measuring is None or self._measuring.done():
            self._tell("measuring; the chat waits meanwhile, Escape stops it")
            self._measuring = asyncio.create_task(self._measured(), name="evaluate")

    def action_leave(self) -> None:
        """Stop what is being measured, or close."""
        if self._measuring is not None and not self._measuring.done():
            self._measuring.cancel()
        else:
            self.dismiss(None)

    def _leave_with(self, wish: Wish) -> None:
        if self._measuring is not None:
            self._measuring.cancel()
        self.dismiss(wish)

    async def _measured(self) -> None:
        try:
            self._found = await self._measure(self._working)
        except asyncio.CancelledError:
            if self.is_attached:
                self._fill()
                self._tell("stopped; nothing was recorded")
            raise
        except Stopped:
            self._tell("stopped; nothing was recorded")
        except DlmError as error:
            self._tell(str(error))
        else:
            self._fill()

    def _working(self, event: Working) -> None:
        left = f", {event.eta_s:.0f} s left" if event.eta_s is not None else ""
        self._tell(f"measuring {event.label}, {event.done} of {event.total}{left}; Escape stops it")


def arranged(replies: list[ProbeReply], show: Show, sort: Sorting) -> list[ProbeReply]:
    """The replies to be shown, in order; `confident` is the order that they came in."""
    shown = [reply for reply in replies if show == "all" or reply.right is (show == "right")]
    match sort:
        case "question":
            return sorted(shown, key=lambda reply: reply.question.casefold())
        case "adapter":
            return sorted(shown, key=lambda reply: (reply.adapter, reply.question.casefold()))
        case "support":
            return sorted(shown, key=lambda reply: -1.0 if reply.support is None else reply.support)
        case _:
            return shown
