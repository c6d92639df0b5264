"""Find and replace: a bar below the editor that moves through the matches and says how many there are."""

import re
from dataclasses import dataclass
from functools import partialmethod
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Static

from dlm_tui.widgets.document_area import DocumentArea
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
    """Two lines to type in: what to find in `area`, and what to put there. Escape closes it."""

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

    def __init__(self, area: DocumentArea) -> None:
        super().__init__(id="find-bar")
        self._area = area
        self._wanted = ""
        self._matches: list[Match] = []

    def compose(self) -> ComposeResult:
        yield Input(placeholder="find", id="wanted", compact=True)
        yield Input(placeholder="replace with (Ctrl+J: all)", id="replacement", compact=True)
        yield Static("", id="match-count")

    def open(self, *, replacing: bool) -> None:
        """Show the bar, to begin with what is selected."""
        self.add_class("-open")
        self.set_class(replacing, "-replacing")
        line, selected = self.query_one("#wanted", Input), self._area.selected_text
        if selected and "\n" not in selected:
            line.value = selected
        give_keys(line)
        line.action_select_all()
        self._look_for(line.value)

    def step(self, *, forward: bool) -> None:
        """Go to the next match, or the one before, round the end."""
        self._search()
        if not self._matches:
            self.notify("No match." if self._wanted else "Nothing to find: Ctrl+F.")
            return
        start, end = sorted(self._area.selection)
        if forward:
            self._show(self._from(end))
        else:
            before = [i for i, m in enumerate(self._matches) if (m.line, m.start) < start]
            self._show(before[-1] if before else len(self._matches) - 1)

    @on(Input.Changed, "#wanted")
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.has_class("-open"):
            self._look_for(event.value)

    @on(Input.Submitted, "#wanted")
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.step(forward=True)

    @on(Input.Submitted, "#replacement")
    def _replace_one(self, event: Input.Submitted) -> None:
        """Replace the match at the cursor, and go to the next one."""
        event.stop()
        self._search()
        if not self._matches:
            return
        match = self._matches[self._from(min(self._area.selection))]
        self._area.history.checkpoint()
        self._area.put(event.value, (match.line, match.start), (match.line, match.end))
        self._search()
        self._show_from(self._area.cursor_location)

    def action_replace_all(self) -> None:
        """Replace every match, as one undoable edit."""
        if not self.has_class("-replacing"):
            return
        self._search()
        lines, count = self._area.text.split("\n"), len(self._matches)
        replacement = self.query_one("#replacement", Input).value
        for match in reversed(self._matches):
            line = lines[match.line]
            lines[match.line] = line[: match.start] + replacement + line[match.end :]
        if count:
            self._area.replace_all("\n".join(lines))
        self._search()
        self._tell_count(0)
        self.notify(f"{count} replaced; one undo takes it back." if count else "No match.")

    action_next = partialmethod(step, forward=True)
    action_previous = partialmethod(step, forward=False)

    def action_close(self) -> None:
        """Hide the bar; matches are not marked any more."""
        self.remove_class("-open")
        self._area.show_matches([])
        give_keys(self._area)

    def _look_for(self, wanted: str) -> None:
        """Mark every match of `wanted` and show the first one from the cursor on."""
        self._wanted = wanted
        self._search()
        self._show_from(min(self._area.selection))

    def _search(self) -> None:
        self._matches = find_matches(self._area.text, self._wanted)
        self._area.show_matches([(m.line, m.start, m.end) for m in self._matches])

    def _from(self, place: tuple[int, int]) -> int:
        return next((i for i, m in enumerate(self._matches) if (m.line, m.start) >= place), 0)

    def _show_from(self, place: tuple[int, int]) -> None:
        """Show the first match from a place on, round the end; that there is none, where that is so."""
        if self._matches:
            self._show(self._from(place))
        else:
            self._tell_count(0)

    def _show(self, index: int) -> None:
        match = self._matches[index]
        self._area.move_cursor((match.line, match.start))
        self._area.move_cursor((match.line, match.end), select=True, center=True)
        self._tell_count(index + 1)

    def _tell_count(self, current: int) -> None:
        total = len(self._matches)
        self.query_one("#match-count", Static).update(f"{current}/{total}" if total else "no match")
