"""The first frame: the first lines of the document, while the workbench behind it is put together."""

from itertools import islice
from pathlib import Path

from rich.style import Style
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widget import Widget

from dlm_core.safetext import visible_line

LINES = 200
MAX_BYTES = 64 * 1024


class FirstLines(Widget):
    """The document as plain text, where the editor will show it."""

    DEFAULT_CSS = """
    FirstLines { height: 1fr; width: 1fr; }
    """

    def __init__(self, path: Path | None) -> None:
        super().__init__()
        self._heading = visible_line(path.name) if path is not None else ""
        self._lines = first_lines(path) if path is not None else []

    def render(self) -> Text:
        colors = self.app.workbench_theme.spec.colors  # type: ignore[attr-defined]
        muted = Style(color=colors.secondary)
        text = Text(no_wrap=True, overflow="crop", end="")
        text.append(" dlm ", style=Style(bold=True, color=colors.accent)).append(self._heading, style="bold")
        text.append("  opening…\n\n", style=muted)
        for number, line in enumerate(islice(self._lines, max(0, self.size.height - 2)), 1):
            text.append(f"{number:>3}  ", style=muted).append(line + "\n")
        return text


class Curtain(Screen[None]):
    """Stands until the workbench can be shown; `keys` are those that were pressed before it."""

    def __init__(self, path: Path | None) -> None:
        super().__init__()
        self._first = FirstLines(path)
        self.keys: list[events.Key] = []

    def compose(self) -> ComposeResult:
        yield self._first

    def on_key(self, event: events.Key) -> None:
        event.stop()
        self.keys.append(event)


def first_lines(path: Path) -> list[str]:
    """The first lines of a file, made safe for a terminal; none where it cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(MAX_BYTES)
    except OSError:
        return []
    text = head.decode("utf-8", errors="replace").removeprefix("\ufeff")
    return [visible_line(line) for line in islice(text.splitlines(), LINES)]
