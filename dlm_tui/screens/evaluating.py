"""What the adapters know, question by question: measured, sorted, filtered, asked, taught; and figures."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
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
from dlm_tui.screens.evaluation_figures import EvaluationFigures, View
from dlm_tui.session.wording import evaluation_line
from dlm_tui.widgets.dialog_keys import DialogKeys
from dlm_tui.widgets.dialogs import ClosedOnce
from dlm_tui.widgets.looks import looks_of

Show = Literal["wrong", "all", "right", "outside"]
Sorting = Literal["confident", "right", "question", "adapter", "routed", "support", "f1"]
_SHOWN: tuple[Show, ...] = ("wrong", "all", "right", "outside")
_COLUMNS: tuple[tuple[Sorting, str], ...] = (
    ("right", ""),
    ("question", "question"),
    ("adapter", "adapter"),
    ("routed", "routed"),
    ("support", "support"),
    ("f1", "F1"),
)
_SORTED: tuple[Sorting, ...] = ("confident", *(column for column, _ in _COLUMNS))
_OTHERS = 56  # cells that the other columns take
_LEAST_QUESTION = 16
KEYS = (
    Binding("enter", "ask", "asks it"),
    Binding("t", "teach", "teaches"),
    Binding("f", "filter", "filters"),
    Binding("s", "sort", "sorts"),
    Binding("d", "reverse", "turns round"),
    Binding("v", "view", "figures"),
    Binding("r", "measure", "measures"),
    Binding("escape,q", "leave", "closes"),
)

Measure = Callable[[Callable[[Working], None]], Coroutine[Any, Any, Evaluation]]


@dataclass(frozen=True)
class Wish:
    """What is to be done with a question: ask it in the chat, or teach what its reply should have been."""

    what: Literal["ask", "teach"]
    reply: ProbeReply


class EvaluateScreen(ClosedOnce[Wish | None]):
    """The last evaluation, the wrong replies first to see, and its figures; `r` measures anew.

    `measure` does so, and is told a place for its progress.
    """

    DEFAULT_CSS = """
    EvaluateScreen > Vertical { width: 98%; height: 94%; }
    EvaluateScreen DataTable { height: 1fr; background: $surface; }
    EvaluateScreen #eval-summary { margin: 0 0 1 0; }
    EvaluateScreen #eval-reply { height: 6; border-top: solid $border-blurred; }
    EvaluateScreen #eval-shown { color: $secondary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [*KEYS]

    def __init__(self, found: Evaluation | None, measure: Measure) -> None:
        super().__init__()
        self._found, self._measure = found, measure
        self._show: Show = "wrong"
        self._sort: Sorting = "confident"
        self._turned = False
        self._view: View = "questions"
        self._rows: list[ProbeReply] = []
        self._measuring: asyncio.Task[None] | None = None

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static("", id="eval-summary")
            yield DataTable(cursor_type="row", zebra_stripes=True)
            with VerticalScroll(id="eval-reply"):
                yield Static("", id="eval-detail")
            yield EvaluationFigures()
            yield Static("", id="eval-shown")
            yield DialogKeys(KEYS)

    def on_mount(self) -> None:
        table = self._table
        for key, title in _COLUMNS:
            table.add_column(title, key=key)
        table.focus()
        self._fill()
        self._turn_to("questions")

    @property
    def _table(self) -> DataTable[Text]:
        return self.query_one(DataTable)

    def _fill(self) -> None:
        found = self._found
        replies = list(found.replies) if found is not None else []
        self._rows = arranged(replies, self._show, self._sort, turned=self._turned)
        self._table.clear()
        for reply in self._rows:
            self._table.add_row(*self._cells(reply))
        self._tell(evaluation_line(found) if found is not None else "Nothing was measured yet: r measures.")
        right, outside = (sum(getattr(r, what) for r in replies) for what in ("right", "outside"))
        order = "the surest first" if self._sort == "confident" else f"by {self._sort}"
        order += ", turned round" if self._turned else ""
        counts = f"{len(self._rows)} of {len(replies)}, {right} right, {outside} taken for outside"
        self.query_one("#eval-shown", Static).update(Text(f"{self._show} ({counts}), {order}"))
        self.query_one(EvaluationFigures).show(found)
        self._detail()

    def _cells(self, reply: ProbeReply) -> list[Text]:
        looks = looks_of(self)
        routed = routed_to(reply)
        colors = looks.colors
        sign = Text("✔" if reply.right else "✖", Style(color=colors.success if reply.right else colors.error))
        if reply.outside:
            sign.append(" ○", Style(color=colors.warning))
        return [
            sign,
            self._question(reply),
            looks.label(reply.adapter),
            looks.label(routed) if routed else Text("-"),
            Text("-" if reply.support is None else f"{reply.support:.0%}"),
            Text(f"{reply.f1:.2f}"),
        ]

    def _question(self, reply: ProbeReply) -> Text:
        """A question, cut so that the other columns are on screen."""
        text = Text(visible_line(reply.question))
        text.truncate(max(_LEAST_QUESTION, self.size.width - _OTHERS), overflow="ellipsis")
        return text

    def on_resize(self) -> None:
        if self._rows:
            here = self._table.cursor_row
            self._fill()
            self._table.move_cursor(row=here)

    @property
    def _chosen(self) -> ProbeReply | None:
        row = self._table.cursor_row
        return self._rows[row] if 0 <= row < len(self._rows) else None

    @on(DataTable.RowHighlighted)
    def _detail(self) -> None:
        reply, text = self._chosen, Text(end="")
        if reply is not None:
            for question, answer in reply.before:
                text.append(f"after     {visible_line(question)} / {visible_line(answer)}\n", Style(dim=True))
            text.append("expected  ", Style(dim=True)).append(visible(reply.expected))
            text.append("\nreplied   ", Style(dim=True)).append(visible(reply.reply))
            if reply.outside:
                text.append("\n○ taken for outside the document", Style(dim=True))
        self.query_one("#eval-detail", Static).update(text)

    def _tell(self, sentence: str) -> None:
        self.query_one("#eval-summary", Static).update(Text(sentence, style=Style(bold=True)))

    @on(DataTable.RowSelected)
    def action_ask(self) -> None:
        """Ask the chosen question in the chat."""
        if (reply := self._chosen) is not None:
            self._leave_with(Wish("ask", reply))

    def action_teach(self) -> None:
        """Say what the reply to the chosen question should have been."""
        if (reply := self._chosen) is not None:
            self._leave_with(Wish("teach", reply))

    def action_filter(self) -> None:
        """Show the wrong ones, all, the right ones, those taken for outside."""
        self._show = _SHOWN[(_SHOWN.index(self._show) + 1) % len(_SHOWN)]
        self._fill()

    def action_sort(self) -> None:
        """Sort by the next column."""
        self._sort = _SORTED[(_SORTED.index(self._sort) + 1) % len(_SORTED)]
        self._turned = False
        self._fill()

    def action_reverse(self) -> None:
        """Turn the order round."""
        self._turned = not self._turned
        self._fill()

    @on(DataTable.HeaderSelected)
    def _sort_by(self, event: DataTable.HeaderSelected) -> None:
        column = next(name for name, _ in _COLUMNS if name == event.column_key.value)
        self._turned = not self._turned if column == self._sort else False
        self._sort = column
        self._fill()

    def action_view(self) -> None:
        """Show the questions, the figures, how far support can be trusted, who was routed where."""
        self._turn_to(self.query_one(EvaluationFigures).after(self._view))

    def _turn_to(self, view: View) -> None:
        self._view = view
        questions = view == "questions"
        for selector in ("DataTable", "#eval-reply", "#eval-shown"):
            self.query_one(selector).display = questions
        figures = self.query_one(EvaluationFigures)
        figures.turn_to(view)
        (self._table if questions else figures).focus()
        following = figures.after(view)
        self.query_one(DialogKeys).tell(
            {
                "view": {"trust": "reliability", "routing": "confusion"}.get(following, following),
                **{key: label if questions else "" for key, label in _OF_QUESTIONS.items()},
            }
        )

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


_OF_QUESTIONS = {
    binding.action: binding.description
    for binding in KEYS
    if binding.action in ("ask", "teach", "filter", "sort", "reverse")
}


def routed_to(reply: ProbeReply) -> str:
    """The adapter with the most weight in a reply; "" where none had any."""
    best = max(reply.routing, key=reply.routing.__getitem__, default="")
    return best if reply.routing.get(best) else ""


def arranged(
    replies: list[ProbeReply], show: Show, sort: Sorting, *, turned: bool = False
) -> list[ProbeReply]:
    """The replies to be shown, in order; `confident` is the order that they came in."""
    shown = [reply for reply in replies if _SHOWS[show](reply)]
    if sort in _ORDERS:
        shown.sort(key=_ORDERS[sort])
    return shown[::-1] if turned else shown


_SHOWS: Mapping[Show, Callable[[ProbeReply], bool]] = {
    "all": lambda reply: True,
    "outside": lambda reply: reply.outside,
    "right": lambda reply: reply.right,
    "wrong": lambda reply: not reply.right,
}
_ORDERS: Mapping[Sorting, Callable[[ProbeReply], Any]] = {
    "question": lambda reply: reply.question.casefold(),
    "adapter": lambda reply: (reply.adapter, reply.question.casefold()),
    "routed": lambda reply: (routed_to(reply), reply.adapter, reply.question.casefold()),
    "support": lambda reply: -1.0 if reply.support is None else reply.support,
    "right": lambda reply: (reply.right, not reply.outside),
    "f1": lambda reply: reply.f1,
}
