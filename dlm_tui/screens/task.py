"""The frame of the screens that do what a command does: fields, what happened, how far it is, the command."""

import asyncio
import time
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from dlm_core.errors import DlmError, Stopped
from dlm_core.events import Log, Working
from dlm_core.safetext import visible, visible_line
from dlm_tui.session import mishaps
from dlm_tui.session.wording import duration
from dlm_tui.widgets.dialogs import Choice, ChoiceScreen, ClosedOnce, LineScreen, ask
from dlm_tui.widgets.fields import Field, Fields
from dlm_tui.widgets.key_line import KeyLine
from dlm_tui.widgets.looks import looks_of

_EVERY_S = 0.5
_BAR = 24


@dataclass(frozen=True)
class Words:
    """What a task is called: `heading` above it, `verb` on its key, `doing` while it goes on; `opening` is
    said before it was begun.
    """

    heading: str
    verb: str
    doing: str
    opening: str = ""


class TaskScreen(ClosedOnce[None]):
    """One command of the command line, with its values as fields. `r` begins, Escape stops or closes. Where
    there is nothing to set, it begins by itself.

    A subclass says what there is to set, does the work off the loop or in the engine's process, and words
    what came of it.
    """

    DEFAULT_CSS = """
    TaskScreen > Vertical { width: 112; max-width: 98%; height: 94%; max-height: 26; }
    TaskScreen #task-heading { text-style: bold; color: $accent; }
    TaskScreen Fields { margin: 1 0 0 0; max-height: 12; }
    TaskScreen #task-about { color: $secondary; min-height: 2; max-height: 2; }
    TaskScreen VerticalScroll { height: 1fr; border-top: solid $border-blurred; scrollbar-size-vertical: 1; }
    TaskScreen VerticalScroll:focus { border-top: solid $border; }
    TaskScreen #task-progress { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    TaskScreen #task-command { color: $secondary; border-top: solid $border-blurred; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "run", "Begin", tooltip="Begin with what is set above."),
        Binding("c", "copy", "Copy command", tooltip="Put the command line on the clipboard."),
        Binding("escape", "leave", "Stop, close", tooltip="Stop what goes on; close where nothing does."),
        Binding("q", "leave", "Close", show=False),
        Binding("pagedown", "page(1)", "Further down", show=False, priority=True),
        Binding("pageup", "page(-1)", "Back up", show=False, priority=True),
    ]
    words: ClassVar[Words]

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._work: asyncio.Task[None] | None = None
        self._stopping = False
        self.overwriting = False
        """Whether what is there may be replaced: the user said so."""
        self._begun = 0.0
        self._moved: Working | None = None
        self._outcome = Text(end="")

    @property
    def file(self) -> str:
        """The document for a command line that is typed where this program was started."""
        absolute = self.path.absolute()
        return str(absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute)

    # What a subclass says

    def fields(self) -> Sequence[Field]:
        """What can be set, with the values as they are."""
        return ()

    def take(self, key: str, value: str) -> None:
        """Set a value. Raises UsageError for one that cannot be."""

    @abstractmethod
    def command(self) -> str:
        """The command line that does the same."""

    def opening(self) -> Text:
        """What is shown before anything was begun."""
        return Text(self.words.opening, Style(dim=True), end="")

    @abstractmethod
    async def perform(self) -> Text:
        """Do it, and word what came of it. Raises DlmError."""

    async def halt(self) -> None:
        """Ask what goes on to stop; where it cannot, closing leaves it unread."""

    def more(self) -> Iterable[Widget]:
        """What stands below what came of it."""
        return ()

    def replaces(self, error: DlmError) -> str:
        """What to ask before something is replaced, where that is why it failed; else ""."""
        del error
        return ""

    # The frame

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Text(visible_line(self.words.heading)), id="task-heading")
            yield Fields()
            yield Static("", id="task-about")
            with VerticalScroll():
                yield Static("", id="task-outcome")
                yield from self.more()
            yield Static("", id="task-progress")
            yield Static("", id="task-command")
            yield KeyLine()

    def on_mount(self) -> None:
        self.set_interval(_EVERY_S, self._tick)
        self.show_outcome(self.opening())
        self.refresh_fields()
        if self.fields():
            self.query_one(Fields).focus()
        else:
            self.query_one(Fields).display = self.query_one("#task-about").display = False
            self.query_one(VerticalScroll).focus()
            self.action_run()

    @property
    def busy(self) -> bool:
        """Whether it goes on."""
        return self._work is not None and not self._work.done()

    def refresh_fields(self) -> None:
        """Show the values and the command anew."""
        self.query_one(Fields).show(self.fields())
        text = Text("the same on the command line:  ", Style(dim=True), overflow="fold", end="")
        text.append(visible_line(self.command()), Style(dim=False, bold=True))
        self.query_one("#task-command", Static).update(text)

    def show_outcome(self, text: Text) -> None:
        """Show what came of it."""
        self._outcome = text
        self.query_one("#task-outcome", Static).update(text)

    @on(Fields.Highlit)
    def _highlit(self, event: Fields.Highlit) -> None:
        about = event.field.about if event.field is not None else ""
        self.query_one("#task-about", Static).update(Text(about))

    @on(Fields.Chosen)
    def _chosen(self, event: Fields.Chosen) -> None:
        self.set_field(event.key, event.value)

    @on(Fields.Typing)
    def _typing(self, event: Fields.Typing) -> None:
        self.ask(event.field)

    def ask(self, field: Field) -> None:
        """Ask for the value of a field that has no choices."""
        line = LineScreen(f"{field.label}: {field.about}", field.value, takes_nothing=True)
        ask(self, line, lambda typed: self.set_field(field.key, typed))

    def set_field(self, key: str, value: str) -> None:
        """Set a value that the user chose; what is wrong with it is said."""
        if self.busy:
            self.app.bell()
            return
        self.overwriting = False
        try:
            self.take(key, value)
        except DlmError as error:
            self._say(str(error), bad=True)
        else:
            self._say("")
        self.refresh_fields()

    # Doing it

    def action_run(self) -> None:
        """Begin."""
        self._begin(overwrite=False)

    def action_copy(self) -> None:
        """Put the command line on the clipboard."""
        self.app.copy_to_clipboard(self.command())
        self.notify("The command line is on the clipboard.", timeout=2)

    def action_page(self, by: int) -> None:
        """Scroll what came of it."""
        outcome = self.query_one(VerticalScroll)
        outcome.scroll_relative(y=by * max(1, outcome.size.height - 1), animate=False)

    def action_leave(self) -> None:
        """Stop what goes on, or close. A second Escape closes, and it stops without being watched."""
        if self.busy and not self._stopping:
            self._stopping = True
            self._tick()
            self._halting = asyncio.create_task(self.halt(), name="stop task")
        else:
            self.dismiss(None)

    def _begin(self, *, overwrite: bool) -> None:
        if self.busy:
            self.app.bell()
            return
        self._stopping, self._moved, self.overwriting = False, None, overwrite
        self._begun = time.monotonic()
        self.show_outcome(Text(end=""))
        self.refresh_fields()
        self._work = asyncio.create_task(self._carried_out(), name="task")
        self._tick()

    async def _carried_out(self) -> None:
        said, bad = "", True
        try:
            outcome = await self.perform()
        except Stopped as error:
            said, bad = error.message, False
        except DlmError as error:
            if (question := self.replaces(error)) and not self.overwriting:
                self._ask(question)
                return
            said = str(error)
        except Exception as error:
            said = str(mishaps.unforeseen(error))
        else:
            if self.is_attached:
                self.show_outcome(outcome)
            took = duration(time.monotonic() - self._begun)
            said, bad = f"✔ {self.words.verb}: done in {took}", False
        self._say(said, bad=bad)

    def _ask(self, question: str) -> None:
        choices = [Choice("keep", "leave it as it is"), Choice("replace", "replace it")]

        def answered(answer: str | None) -> None:
            if answer == "replace":
                self._begin(overwrite=True)
            else:
                self._say("nothing was written; what is there stays as it is")

        if self.is_attached:
            self._say("")
            self.app.push_screen(ChoiceScreen(question, choices), answered)

    def told(self, event: Working | Log) -> None:
        """How far it is."""
        if isinstance(event, Working):
            self._moved = event if event.done < event.total else None
        elif self.is_attached:
            self._moved = None
            style = Style(color=looks_of(self).colors.warning) if event.level != "info" else Style()
            lines = Text(visible(event.message), style, end="")
            if event.hint:
                lines.append(f"\n  {visible(event.hint)}", Style(dim=True))
            self._add(lines)
        self._tick()

    def _add(self, lines: Text) -> None:
        before = self._outcome.copy()
        self.show_outcome(before.append("\n" if before.plain else "").append_text(lines))
        self.query_one(VerticalScroll).scroll_end(animate=False)

    # How far it is

    def _tick(self) -> None:
        if not self.is_attached or not self.busy:
            return
        passed = duration(time.monotonic() - self._begun)
        colors = looks_of(self).colors
        if self._stopping:
            text = Text(f"stopping, {passed}; Escape closes this", Style(color=colors.warning))
        elif self._moved is None:
            text = Text(f"{self.words.doing}, {passed}; Escape stops", Style(color=colors.accent))
        else:
            moved, share = self._moved, self._moved.done / max(1, self._moved.total)
            full = round(share * _BAR)
            text = Text(end="").append("━" * full, Style(color=colors.accent))
            text.append("━" * (_BAR - full), Style(color=colors.panel))
            left = f", {duration(moved.eta_s)} left" if moved.eta_s is not None else ""
            text.append(f" {share:.0%} {visible_line(moved.label)}, {passed}{left}; Escape stops")
        text.no_wrap, text.overflow = True, "ellipsis"
        self.query_one("#task-progress", Static).update(text)

    def _say(self, sentence: str, *, bad: bool = False) -> None:
        """Say something in the line of the progress; an error, with its hint, where the outcome stands."""
        if not self.is_attached:
            return
        colors = looks_of(self).colors
        line = self.query_one("#task-progress", Static)
        if not bad:
            line.update(Text(visible_line(sentence), Style(bold=True), no_wrap=True, overflow="ellipsis"))
            return
        line.update(Text("✖ that did not work", Style(color=colors.error, bold=True)))
        message, _, hint = sentence.partition("\n")
        text = Text(f"✖ {visible(message)}", Style(color=colors.error), end="")
        self.show_outcome(text.append(f"\n{visible(hint)}" if hint else "", Style(color=colors.foreground)))
