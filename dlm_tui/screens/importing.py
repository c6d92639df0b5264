"""Data brought into a document: what it would change is shown first, and goes in with Enter."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import Screen
from textual.widgets import Static

from dlm_core.errors import DlmError, UsageError
from dlm_core.safetext import visible_line
from dlm_tui.widgets.dialogs import Choice, ChoiceScreen, ClosedOnce

if TYPE_CHECKING:
    from dlm_core.data.importing import Import, Wanted

_SHOWN = 400
_LISTED = 3
_SAID_AFTER_S, _SAID_EVERY_S = 0.5, 2.0
TOPICS, FILES = "--topics", "--files"
"""Choices beside the adapters' names, which cannot begin with a dash."""


def is_on_hub(text: str) -> bool:
    """Whether a text names a dataset on the hub, not a path."""
    return text.startswith("hf:")


class ImportPreview(ClosedOnce[bool]):
    """What an import read, noticed and would change; Enter takes it, Escape leaves all as it is."""

    DEFAULT_CSS = """
    ImportPreview { align: center middle; background: $background 60%; }
    ImportPreview > Vertical { width: 104; max-width: 96%; height: 90%; background: $surface; }
    ImportPreview > Vertical { border: round $border; padding: 0 1; }
    ImportPreview .dialog-title { text-style: bold; height: auto; margin: 0 0 1 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "dismiss(True)", "Take it"),
        Binding("escape", "dismiss(False)", "Leave it"),
    ]

    def __init__(self, done: "Import") -> None:
        super().__init__()
        self._done = done

    def compose(self) -> ComposeResult:
        name = visible_line(self._done.target.name)
        title = f"Enter brings this into {name}, Escape leaves all as it is."
        if not self._done.writes:
            title = f"{name} has all of it already. Escape goes back."
        with Vertical():
            yield Static(Text(title), classes="dialog-title")
            with VerticalScroll():
                yield Static(preview_text(self._done))

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()


def preview_text(done: "Import") -> Text:
    """The import's summary, then the lines that it changes; of a new document, its sections."""
    from dlm_tui.session.import_report import difference, summary

    text = Text("\n".join(summary(done, listed=_LISTED)), end="")
    lines = difference(done)
    if done.before is None:
        lines = (f"+{visible_line(row)}" for entry in done.changes.added for row in [*entry.rendered(), ""])
    shown = list(islice(lines, _SHOWN + 1))
    text.append("\n")
    for line in shown[:_SHOWN]:
        text.append(f"\n{line}", Style(dim=not line.startswith(("+", "-")), bold=line.startswith("@")))
    if len(shown) > _SHOWN:
        text.append("\n…", Style(dim=True))
    return text


class Reading:
    """Says what is being read, where it takes long enough to be asked about; gone when that is over."""

    def __init__(self, screen: Screen[Any]) -> None:
        self._screen = screen
        self._source, self._rows = "", 0

    def tell(self, source: str, rows: int) -> None:
        """Take note of how far it is. Called from the thread that reads."""
        self._source, self._rows = source, rows

    @asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """While it is entered, how far the reading is stands on the screen."""
        saying = asyncio.create_task(self._say())
        try:
            yield
        finally:
            saying.cancel()
            self._screen.app.clear_notifications()

    async def _say(self) -> None:
        await asyncio.sleep(_SAID_AFTER_S)
        while True:
            rows = f", {self._rows:,} rows so far" if self._rows else ""
            said = f"Reading {visible_line(self._source)}{rows} …"
            self._screen.app.clear_notifications()
            self._screen.notify(said, timeout=2 * _SAID_EVERY_S, markup=False)
            await asyncio.sleep(_SAID_EVERY_S)


@dataclass(frozen=True)
class Importing:
    """One import on its way: from a path over the preview to `take`, which puts it where it belongs.

    `text` gives the document as it stands, None for a new one; `adapters` are those it declares.
    """

    screen: Screen[Any]
    target: Path
    text: Callable[[], str | None]
    adapters: tuple[str, ...]
    take: Callable[["Import"], object]

    async def bring(self, source: str, wanted: "Wanted | None" = None) -> None:
        """Read `source` off the loop and show what it would change; ask for an adapter where that is open."""
        from dlm_core.data.importing import Wanted, prepare

        wanted, before = wanted or Wanted(), self.text()
        reading = Reading(self.screen)
        try:
            async with reading.shown():
                done = await asyncio.to_thread(prepare, [source], self.target, before, wanted, reading.tell)
        except UsageError as error:
            if len(self.adapters) < 2 or wanted.adapter or wanted.by:
                self._fail(error)
            else:
                self._ask(source, wanted)
            return
        except DlmError as error:
            self._fail(error)
            return

        def answered(agreed: bool | None) -> None:
            if agreed and done.writes:
                self._take(done, before)

        self.screen.app.push_screen(ImportPreview(done), answered)

    def _take(self, done: "Import", before: str | None) -> None:
        if self.text() != before:
            self.screen.notify("The document changed meanwhile: import again.", severity="warning")
            return
        try:
            self.take(done)
        except DlmError as error:
            self._fail(error)

    def _ask(self, source: str, wanted: "Wanted") -> None:
        choices = [Choice(name, name) for name in self.adapters]
        choices += [Choice(TOPICS, "by topic", "found by the words"), Choice(FILES, "by file", "named so")]

        def chosen(answer: str | None) -> None:
            match answer:
                case None:
                    return
                case "--topics":
                    asked = replace(wanted, by="auto")
                case "--files":
                    asked = replace(wanted, by="file")
                case name:
                    asked = replace(wanted, adapter=name)
            self.screen.run_worker(self.bring(source, asked), exit_on_error=False)

        self.screen.app.push_screen(ChoiceScreen("Which adapter learns these rows?", choices), chosen)

    def _fail(self, error: DlmError) -> None:
        self.screen.notify(str(error), severity="error", markup=False, timeout=15)
