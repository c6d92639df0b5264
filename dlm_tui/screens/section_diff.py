"""One section beside what was last trained of it: the lines that differ."""

from collections.abc import Sequence
from difflib import unified_diff
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from dlm_core.document.model import Section
from dlm_core.safetext import visible, visible_line
from dlm_tui.session.section_states import SectionState
from dlm_tui.themes import WorkbenchTheme
from dlm_tui.widgets.dialog_keys import DialogKeys
from dlm_tui.widgets.dialogs import ClosedOnce
from dlm_tui.widgets.looks import looks_of

KEYS = (Binding("escape,q,enter", "dismiss(None)", "closes"),)


class SectionDiff(ClosedOnce[None]):
    """What of a section is new since its last training; `trained` is that one, None where it is not known."""

    DEFAULT_CSS = """
    SectionDiff > Vertical { width: 104; max-width: 96%; height: auto; max-height: 90%; }
    SectionDiff VerticalScroll { height: auto; max-height: 65vh; margin: 0 0 1 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [*KEYS]

    def __init__(self, state: SectionState, trained: Section | None) -> None:
        super().__init__()
        self._state, self._trained = state, trained

    def compose(self) -> ComposeResult:
        looks = looks_of(self)
        with Vertical():
            yield Static(Text(title_of(self._state)), classes="dialog-title")
            with VerticalScroll():
                yield Static(comparison(self._state, self._trained, looks.theme))
            yield DialogKeys(KEYS)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()


def title_of(state: SectionState) -> str:
    """A section's name, and what became of it."""
    record = state.record
    since = f", since run {record.since}" if record is not None and record.since else ""
    what = {
        "trained": f"is as it was trained{since}",
        "changed": f"differs from what was trained{since}",
        "new": "was never trained",
        "gone": "is gone from the document",
    }[state.state]
    return f"“{visible_line(state.title)}” {what}"


def comparison(state: SectionState, trained: Section | None, theme: WorkbenchTheme) -> Text:
    """The lines of a section, those that differ from the trained one marked."""
    now = state.section.text.split("\n") if state.section is not None else []
    if state.state == "trained":
        return difference_text([f" {row}" for row in now], theme)
    if trained is None and state.state == "changed":
        unknown = Text("The text that was trained is not kept; this is what stands here now.\n", end="")
        return unknown.append_text(difference_text([f" {row}" for row in now], theme))
    before = trained.text.split("\n") if trained is not None else []
    most = len(before) + len(now)
    return difference_text([*unified_diff(before, now, n=most, lineterm="")][3:], theme)


def difference_text(rows: Sequence[str], theme: WorkbenchTheme) -> Text:
    """Rows of a unified diff, what is new and what is gone in their colours."""
    colors = theme.spec.colors
    tints = {"+": colors.success, "-": colors.error, "@": colors.accent}
    text = Text(end="", overflow="fold")
    for number, row in enumerate(rows):
        tint = tints.get(row[:1])
        style = Style(color=tint) if tint else Style(color=colors.secondary)
        text.append(("\n" if number else "") + visible(row), style)
    return text
