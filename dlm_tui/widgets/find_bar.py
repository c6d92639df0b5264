"""Find and replace: a bar below the editor that says how many matches there are."""

import re
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Static

from dlm_tui.widgets.focus import give_keys

MAX_MATCHES = 10_000


@dataclass(frozen=True)
class Match:
    """A match: line and columns, from 0, end excluded."""

    line: int
    start: int
    end: int


def find_matches(text: str, wanted: str) -> list[Match]:
    """Where `wanted` stands in `text`, within lines. Case counts only if `wanted` has a capital."""
    if not wanted:
        return []
    flags = 0 if any(c.isupper() for c in wanted) else re.IGNORECASE
    pattern = re.compile(re.escape(wanted), flags)
    found: list[Match] = []
    for number, line in enumerate(text.split("\n")):
        for match in pattern.finditer(line):
            found.append(Match(number, match.start(), match.end()))
            if len(found) == MAX_MATCHES:
                return found
    return found


class FindBar(Horizontal):
    """Two lines to type in: what to find, and what to put there. Escape closes it."""

    DEFAULT_CSS = """
    FindBar { height: 1; display: none; background: $panel; }
    FindBar.-open { display: block; }
    FindBar Input { width: 1fr; height: 1; border: none; padding: 0 1; background: $panel; }
    FindBar Input:focus { background: $surface; border: none; }
    FindBar #replacement { display: none; }
    FindBar.-replacing #replacement { display: block; }
    FindBar #match-count { width: auto; min-width: 10; padding: 0 1; color: $secondary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Close"),
        Binding("ctrl+j", "replace_all", "Replace all"),
        Binding("down", "next", "Next", show=False),
        Binding("up", "previous", "Previous", show=False),
    ]

    class Wanted(Message):
        """What is looked for changed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Step(Message):
        """Go to the next match, or the one before."""

        def __init__(self, forward: bool) -> None:
            super().__init__()
            self.forward = forward

    class Replace(Message):
        """Put `text` in place of the current match, or of all."""

        def __init__(self, text: str, everywhere: bool) -> None:
            super().__init__()
            self.text, self.everywhere = text, everywhere

    class Closed(Message):
        """The bar was closed."""

    def compose(self) -> ComposeResult:
        yield Input(placeholder="find", id="wanted", compact=True)
        yield Input(placeholder="replace with (Ctrl+J: all)", id="replacement", compact=True)
        yield Static("", id="match-count")

    def open(self, text: str, *, replacing: bool) -> None:
        """Show the bar, with `text` to begin with."""
        self.add_class("-open")
        self.set_class(replacing, "-replacing")
        wanted = self.query_one("#wanted", Input)
        if text:
            wanted.value = text
        give_keys(wanted)
        wanted.action_select_all()
        self.post_message(self.Wanted(wanted.value))

    def tell_count(self, current: int, total: int) -> None:
        """Say which match of how many is shown."""
        shown = f"{current}/{total}" if total else "no match"
        self.query_one("#match-count", Static).update(shown)

    @on(Input.Changed, "#wanted")
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.has_class("-open"):
            self.post_message(self.Wanted(event.value))

    @on(Input.Submitted, "#wanted")
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Step(True))

    @on(Input.Submitted, "#replacement")
    def _replace_one(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Replace(event.value, False))

    def action_replace_all(self) -> None:
        """Replace every match."""
        if self.has_class("-replacing"):
            self.post_message(self.Replace(self.query_one("#replacement", Input).value, True))

    def action_next(self) -> None:
        """The next match."""
        self.post_message(self.Step(True))

    def action_previous(self) -> None:
        """The match before."""
        self.post_message(self.Step(False))

    def action_close(self) -> None:
        """Hide the bar."""
        self.remove_class("-open")
        self.post_message(self.Closed())
