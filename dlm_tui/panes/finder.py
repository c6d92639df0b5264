"""Finding and replacing in the editor: which matches there are, which one is current, what replacing does."""

from dlm_tui.widgets.document_area import DocumentArea
from dlm_tui.widgets.find_bar import FindBar, Match, find_matches
from dlm_tui.widgets.focus import give_keys


class Finder:
    """Moves through the matches of what the find bar asks for, in the text area."""

    def __init__(self, area: DocumentArea, bar: FindBar) -> None:
        self._area, self._bar = area, bar
        self._wanted = ""
        self._matches: list[Match] = []

    def open(self, *, replacing: bool) -> None:
        """Open the bar with what is selected."""
        selected = self._area.selected_text
        self._bar.open(selected if "\n" not in selected else "", replacing=replacing)

    def close(self) -> None:
        """Matches are not marked any more."""
        self._area.show_matches([])
        give_keys(self._area)

    def look_for(self, wanted: str) -> None:
        """Mark every match of `wanted` and show the first one from the cursor on."""
        self._wanted = wanted
        self._search()
        if self._matches:
            self._show(self._from(min(self._area.selection)))
        else:
            self._bar.tell_count(0, 0)

    def step(self, *, forward: bool) -> str:
        """Go to the next match, or the one before, round the end; answers a sentence where there is none."""
        self._search()
        if not self._matches:
            return "No match." if self._wanted else "Nothing to find: Ctrl+F."
        start, end = sorted(self._area.selection)
        if forward:
            self._show(self._from(end))
        else:
            before = [i for i, m in enumerate(self._matches) if (m.line, m.start) < start]
            self._show(before[-1] if before else len(self._matches) - 1)
        return ""

    def replace(self, replacement: str) -> None:
        """Replace the match at the cursor, and go to the next one."""
        self._search()
        if not self._matches:
            return
        match = self._matches[self._from(min(self._area.selection))]
        self._area.history.checkpoint()
        self._area.put(replacement, (match.line, match.start), (match.line, match.end))
        self._search()
        if self._matches:
            self._show(self._from(self._area.cursor_location))
        else:
            self._bar.tell_count(0, 0)

    def replace_everywhere(self, replacement: str) -> int:
        """Replace all matches as one undoable edit; answers how many."""
        self._search()
        lines = self._area.text.split("\n")
        for match in reversed(self._matches):
            line = lines[match.line]
            lines[match.line] = line[: match.start] + replacement + line[match.end :]
        count = len(self._matches)
        if count:
            self._area.replace_all("\n".join(lines))
        self._search()
        self._bar.tell_count(0, len(self._matches))
        return count

    def _search(self) -> None:
        self._matches = find_matches(self._area.text, self._wanted)
        self._area.show_matches([(m.line, m.start, m.end) for m in self._matches])

    def _from(self, place: tuple[int, int]) -> int:
        return next((i for i, m in enumerate(self._matches) if (m.line, m.start) >= place), 0)

    def _show(self, index: int) -> None:
        match = self._matches[index]
        self._area.move_cursor((match.line, match.start))
        self._area.move_cursor((match.line, match.end), select=True, center=True)
        self._bar.tell_count(index + 1, len(self._matches))
