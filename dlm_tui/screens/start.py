"""The first screen of `dlm` without a file: recent documents, samples, or a path to type."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.style import Style
from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from dlm_core.data.formats import is_data, refused
from dlm_core.errors import UsageError
from dlm_core.requests import path_of
from dlm_core.safetext import visible_line
from dlm_tui.actions import bindings
from dlm_tui.screens.importing import Importing
from dlm_tui.session import drafts
from dlm_tui.session.dropped import document_beside, dropped_path
from dlm_tui.session.meaning import vectors_of
from dlm_tui.widgets.dialog_help import DialogHelp
from dlm_tui.widgets.key_line import KeyLine
from dlm_tui.widgets.looks import looks_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dlm_core.data.importing import Import


_TOUR = "tour"


def sample_documents() -> list[Path]:
    """The documents that come with the project, those that train first."""
    here = Path(__file__).resolve().parents[1]
    for folder in (here / "_bundled" / "sample_docs", here.parent / "sample_docs"):
        if folder.is_dir():
            return sorted(folder.glob("*.dlm"), key=lambda p: (p.stem in ("mistakes", "cold-start"), p.name))
    return []


class StartScreen(Screen[None]):
    """Choose a document."""

    DEFAULT_CSS = """
    StartScreen { align: center middle; background: $background; }
    StartScreen > Vertical { width: 84; max-width: 96%; height: auto; max-height: 92%; }
    StartScreen #welcome { height: auto; margin: 0 0 1 1; }
    StartScreen OptionList { height: auto; max-height: 22; background: $surface; }
    StartScreen OptionList { border: round $border; }
    StartScreen Input { border: round $border-blurred; background: $surface; }
    StartScreen Input:focus { border: round $border; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("start"),
        Binding("down", "move(1)", "Next document", show=False),
        Binding("up", "move(-1)", "Previous document", show=False),
    ]

    class Chosen(Message):
        """A document was chosen."""

        def __init__(self, path: Path) -> None:
            super().__init__()
            self.path = path

    def __init__(self, recent: Sequence[str], *, tour: bool = False) -> None:
        super().__init__()
        self._tour = tour
        self._recent = [path for path in map(path_of, recent) if path.is_file()]
        self._paths: list[Path | None] = []

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self._welcome(), id="welcome")
            yield OptionList(*self._options(), id="documents")
            yield Input(placeholder="or type a path: a document, or an FAQ or table to import", id="path")
        yield KeyLine()

    def on_mount(self) -> None:
        documents = self.query_one("#documents", OptionList)
        documents.can_focus = False  # so that whatever is typed is a path, from the first key on
        self.query_one("#path", Input).focus()
        first = next((i for i, path in enumerate(self._paths) if path is not None), None)
        documents.highlighted = 0 if self._tour else first

    def _welcome(self) -> Text:
        colors = looks_of(self).colors
        text = Text(end="").append("dlm workbench\n", style=Style(bold=True, color=colors.accent))
        words = "One text file trains adapters on a local model; here you write it, watch it, and talk to it."
        return text.append(words, style=Style(color=colors.secondary))

    def _options(self) -> list[Option]:
        options: list[Option] = []
        if self._tour:
            text = Text("  New here? The tour: write, train, ask, correct", no_wrap=True)
            options.append(Option(text.append("  two minutes", "dim"), id=_TOUR))
            self._paths.append(None)
        for title, paths in (("Recent", self._recent), ("Samples", sample_documents())):
            if paths:
                options.append(Option(Text(title, style="bold"), disabled=True))
                self._paths.append(None)
            for path in paths:
                text = Text(f"  {visible_line(path.name)}", no_wrap=True, overflow="ellipsis")
                text.append(f"  {visible_line(str(path.parent))}", style="dim")
                options.append(Option(text))
                self._paths.append(path)
        return options

    @on(OptionList.OptionSelected, "#documents")
    def _selected(self, event: OptionList.OptionSelected) -> None:
        path = self._paths[event.option_index]
        if event.option_id == _TOUR:
            self.action_tour()
        elif path is not None:
            self.post_message(self.Chosen(path))

    @on(Input.Submitted, "#path")
    def _typed(self, event: Input.Submitted) -> None:
        if event.value.strip():
            self._take_path(event.value)
        else:
            self.query_one("#documents", OptionList).action_select()

    def action_move(self, by: int) -> None:
        """To the next or the previous document of the list."""
        documents = self.query_one("#documents", OptionList)
        if by > 0:
            documents.action_cursor_down()
        else:
            documents.action_cursor_up()

    def on_paste(self, event: events.Paste) -> None:
        """A file was dropped on the terminal: its path arrives as if it were pasted."""
        self.query_one("#path", Input).value = event.text.strip().split("\n")[0]
        self._take_path(event.text)

    def _take_path(self, text: str) -> None:
        """Open a document; of any other file or folder, make one."""
        path = dropped_path(text)
        if path is None or not path.exists():
            shown = visible_line(str(path)) if path is not None else "of that name"
            self.notify(f"There is no file {shown}.", severity="warning", markup=False)
        elif not is_data(path):
            if why := refused(path):
                self.notify(why, severity="warning", markup=False)
            else:
                self.post_message(self.Chosen(path))
        else:
            try:
                new = document_beside(path)
            except UsageError as error:
                self.notify(str(error), severity="warning", markup=False)
                return
            bringing = Importing(self, new, lambda: None, (), self._write, self._vectors)
            self.run_worker(bringing.bring(str(path)), exit_on_error=False, exclusive=True)

    async def _vectors(self, texts: Sequence[str]) -> "NDArray[np.float32] | None":
        """What texts mean, by an engine process that is there for this alone: no document is open yet."""
        async with self.app.new_client() as client:  # type: ignore[attr-defined]
            return await vectors_of(client, texts)

    def _write(self, done: "Import") -> None:
        """Write the new document, and open it."""
        drafts.write_new(done.target, done.text)
        self.post_message(self.Chosen(done.target))

    def action_tour(self) -> None:
        """Show the loop on a sample."""
        self.app.start_tour()  # type: ignore[attr-defined]

    def action_help(self) -> None:
        """Show what can be done here."""
        self.app.push_screen(DialogHelp(self))

    def action_quit(self) -> None:
        """Leave."""
        self.app.call_later(self.app.action_leave)  # type: ignore[attr-defined]

    def action_next_theme(self) -> None:
        """Change to the next theme."""
        self.app.action_next_theme()  # type: ignore[attr-defined]
