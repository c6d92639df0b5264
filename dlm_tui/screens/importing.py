"""Data brought into a document: what it would change is shown first, and goes in with Enter."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
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

from dlm_core.errors import DlmError, Stopped, UsageError
from dlm_core.safetext import visible_line
from dlm_tui.session.import_options import ImportOption, import_options, toggled
from dlm_tui.session.meaning import Vectors, meaning_from
from dlm_tui.widgets.dialog_keys import DialogKeys
from dlm_tui.widgets.dialogs import Choice, ChoiceScreen, ClosedOnce
from dlm_tui.widgets.looks import looks_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dlm_core.data.importing import Import, Wanted

_SHOWN = 400
_LISTED = 3
_SAID_EVERY_S = 0.25
TOPICS, FILES = "--topics", "--files"
"""Choices beside the adapters' names, which cannot begin with a dash."""
TAKE = "take"


def is_on_hub(text: str) -> bool:
    """Whether a text names a dataset on the hub, not a path."""
    return text.startswith("hf:")


class ImportPreview(ClosedOnce[str | None]):
    """What an import read, noticed and would change. Enter answers `TAKE`, Escape nothing, and the key of an
    option that key.
    """

    DEFAULT_CSS = """
    ImportPreview > Vertical { width: 104; max-width: 96%; height: 90%; }
    ImportPreview Static { link-style: none; link-color: $foreground; link-color-hover: $accent; }
    ImportPreview VerticalScroll { height: 1fr; }
    ImportPreview .options { margin: 0 0 1 0; }
    """
    KEYS = (
        Binding("enter", f"dismiss('{TAKE}')", "brings it in", tooltip="Put it into the document; one undo."),
        Binding("escape", "dismiss(None)", "leaves it", tooltip="Leave all as it is."),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        *KEYS,
        *(Binding(key, f"option('{key}')", "turns this option on or off", show=False) for key in "rpnut"),
    ]

    def __init__(self, done: "Import", options: Sequence[ImportOption] = ()) -> None:
        super().__init__()
        self._done, self._options = done, options

    def compose(self) -> ComposeResult:
        name = visible_line(self._done.target.name)
        title = f"This goes into {name}." if self._done.writes else f"{name} has all of it already."
        with Vertical():
            yield Static(Text(title), classes="dialog-title")
            if self._options:
                yield Static(_listed(self._options), classes="options")
            with VerticalScroll():
                colors = looks_of(self).colors
                yield Static(preview_text(self._done, {"+": colors.success, "-": colors.error}))
            yield DialogKeys(self.KEYS)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def action_option(self, key: str) -> None:
        """Answer the key of an option that is shown."""
        if any(option.key == key for option in self._options):
            self.dismiss(key)


def _listed(options: Sequence[ImportOption]) -> Text:
    """The options, a line each, with what they are set to; a click does what their key does."""
    text = Text(end="")
    for number, option in enumerate(options):
        link = Style(meta={"@click": f"screen.option('{option.key}')"})
        text.append("\n" if number else "").append(f" {option.key} ", link + Style(reverse=True))
        text.append(f" [{'x' if option.on else ' '}] {option.words}", link)
    return text


def preview_text(done: "Import", tints: Mapping[str, str] | None = None) -> Text:
    """What an import comes to, what was noticed, then the lines that it changes; of a new document, its
    sections. `tints` are the colours of lines that begin with `+` and `-`.
    """
    from dlm_tui.session.import_report import difference, summary, total

    text = Text(total(done), Style(bold=True), end="")
    for line in summary(done, listed=_LISTED, flags=False):
        text.append(f"\n{line}", Style(dim=line.startswith(" "), bold=False))
    lines = difference(done)
    if done.before is None:
        lines = (f"+{visible_line(row)}" for entry in done.changes.added for row in [*entry.rendered(), ""])
    shown = list(islice(lines, _SHOWN + 1))
    text.append("\n")
    for line in shown[:_SHOWN]:
        changed, tint = line.startswith(("+", "-")), (tints or {}).get(line[:1])
        text.append(f"\n{line}", Style(color=tint, dim=not changed, bold=line.startswith("@")))
    if len(shown) > _SHOWN:
        text.append("\n…", Style(dim=True, bold=False))
    return text


def first_change(done: "Import") -> int:
    """The first line, from 0, of a document that is there in which an import changes a section."""
    before, after = (done.before or "").split("\n"), done.text.split("\n")
    old, new = _first_fence(before), _first_fence(after)  # adapters may be declared above
    pairs = enumerate(zip(before[old:], after[new:], strict=False))
    same = next((number for number, (a, b) in pairs if a != b), min(len(before) - old, len(after) - new))
    return min(new + same, len(after) - 1)


def _first_fence(rows: Sequence[str]) -> int:
    return next((number for number, row in enumerate(rows) if row.startswith("::")), 0)


class ReadingScreen(ClosedOnce[None]):
    """Says how far the reading has come; Escape stops it. `told` gives that as a sentence, None once it is
    over.
    """

    DEFAULT_CSS = """
    ReadingScreen > Vertical { width: 64; max-width: 95%; height: auto; padding: 1 2; }
    """
    KEYS = (Binding("escape", "dismiss(None)", "stops it", tooltip="Bring nothing in."),)
    BINDINGS: ClassVar[list[BindingType]] = [*KEYS]

    def __init__(self, told: Callable[[], str | None]) -> None:
        super().__init__()
        self._told = told

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Text(self._told() or ""), id="told")
            yield DialogKeys(self.KEYS)

    def on_mount(self) -> None:
        self.set_interval(_SAID_EVERY_S, self._say)

    def _say(self) -> None:
        said = self._told()
        if said is not None:
            self.query_one("#told", Static).update(Text(said))
        elif self.is_current:  # something lay over it when it was to be closed
            self.dismiss(None)


class Reading:
    """How far an import has been read, and whether it is to stop. Shared with the thread that reads."""

    def __init__(self, source: str) -> None:
        self._source, self._rows, self._asked = source, 0, 0
        self.stopped = threading.Event()

    def tell(self, source: str, rows: int) -> None:
        """Take note of how far it is."""
        self._source, self._rows = source, rows

    def ask(self, sections: int) -> None:
        """Take note that it is read, and so many sections are looked at for their topics."""
        self._asked = sections

    def __str__(self) -> str:
        if self._asked:
            return f"Asking the sentence encoder what {self._asked:,} sections mean …"
        rows = f": {self._rows:,} rows so far" if self._rows else ""
        return f"Reading {visible_line(self._source)}{rows} …"


@dataclass(frozen=True)
class Importing:
    """One import on its way: from a path over the preview to `take`, which puts it where it belongs.

    `text` gives the document as it stands, None for a new one; `adapters` are those it declares. `vectors`
    asks for what texts mean, where topics are to be told apart.
    """

    screen: Screen[Any]
    target: Path
    text: Callable[[], str | None]
    adapters: tuple[str, ...]
    take: Callable[["Import"], object]
    vectors: Vectors

    async def bring(self, source: str) -> None:
        """Read `source` off the loop and show what it would change, anew for every option that is turned on
        or off; ask for an adapter where that is open. To be run as a worker.
        """
        from dlm_core.data.importing import Wanted

        done: Import | None = None
        wanted = wished = Wanted()
        before = self.text()
        while True:
            try:
                done, wanted = await self._read(source, before, wished), wished
            except Stopped:
                self.screen.notify("Stopped: nothing was brought in.", markup=False)
                return
            except UsageError as error:
                chosen = None
                if len(self.adapters) > 1 and not wished.adapter and not wished.by:
                    chosen = await self._ask(wished)
                    if chosen is None and done is None:
                        return
                if chosen is not None:
                    wished = chosen
                    continue
                self._fail(error)
            except DlmError as error:
                self._fail(error)
            if done is None:
                return
            preview = ImportPreview(done, import_options(done, wanted))
            answer = await self.screen.app.push_screen_wait(preview)
            if answer is None:
                return
            if answer == TAKE:
                self._take(done, before)
                return
            wished = toggled(wanted, answer)

    async def _read(self, source: str, before: str | None, wanted: "Wanted") -> "Import":
        """Read it in a thread, with a box that says so and that Escape closes.

        Raises Stopped once it is closed, whatever the thread still does; nobody waits for that any more.
        """
        from dlm_core.data.importing import prepare

        loop, reading = asyncio.get_running_loop(), Reading(source)
        by_vectors = meaning_from(self.vectors, loop, reading.stopped.is_set)
        finished: asyncio.Future[Import] = loop.create_future()

        def meaning(texts: Sequence[str]) -> "NDArray[np.float32] | None":
            reading.ask(len(texts))
            return by_vectors(texts)

        def settle(outcome: "Import | BaseException") -> None:
            if finished.done():
                return
            if isinstance(outcome, BaseException):
                finished.set_exception(outcome)
            else:
                finished.set_result(outcome)

        def read() -> None:
            outcome: Import | BaseException
            try:
                outcome = prepare(
                    [source], self.target, before, wanted, reading.tell, meaning, reading.stopped.is_set
                )
            except BaseException as error:
                outcome = error
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, outcome)

        def closed(_: None) -> None:
            if not finished.done():
                finished.set_exception(Stopped("stopped by you; nothing was brought in"))

        box = ReadingScreen(lambda: None if finished.done() else str(reading))
        self.screen.app.push_screen(box, closed)
        # A daemon: a page that takes long to be taken apart must not hold up the end of the program.
        threading.Thread(target=read, name="import", daemon=True).start()
        try:
            return await finished
        finally:
            reading.stopped.set()
            if box.is_current:
                await box.dismiss(None)

    def _take(self, done: "Import", before: str | None) -> None:
        if not done.writes:
            return
        if self.text() != before:
            self.screen.notify("The document changed meanwhile: import again.", severity="warning")
            return
        try:
            self.take(done)
        except DlmError as error:
            self._fail(error)

    async def _ask(self, wanted: "Wanted") -> "Wanted | None":
        """What is wanted with the adapter that the user chooses; None for none."""
        choices = [Choice(name, name) for name in self.adapters]
        choices += [
            Choice(TOPICS, "by topic", "found by what sections mean"),
            Choice(FILES, "by file", "named so"),
        ]
        answer = await self.screen.app.push_screen_wait(
            ChoiceScreen("Which adapter learns these rows?", choices)
        )
        match answer:
            case None:
                return None
            case "--topics":
                return replace(wanted, by="auto")
            case "--files":
                return replace(wanted, by="file")
        return replace(wanted, adapter=answer, known_stay=True)

    def _fail(self, error: DlmError) -> None:
        self.screen.notify(str(error), severity="error", markup=False, timeout=15)
