"""The list below the editor: the outline of sections, or the problems; an entry jumps to its place."""

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from rich.style import Style
from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from dlm_core.document import Diagnostic
from dlm_core.safetext import visible_line
from dlm_tui.session.section_states import SectionState
from dlm_tui.widgets.looks import SEVERITY_SIGNS, Looks

REMEDY = re.compile(r"did you mean `([^`]+)`")
"""A hint that says what to put in place of the problem's stretch."""
_STATE_SIGNS: Mapping[str, str] = {"trained": "✔", "changed": "~", "new": "+", "gone": "−"}

Content = Literal["", "outline", "problems"]


def problem_text(problem: Diagnostic, looks: Looks, *, place: bool = False) -> Text:
    """A problem in words, with its place if asked, and whether it can be put right by a key."""
    muted = Style(color=looks.colors.secondary)
    sign = Style(color=looks.severity_color(problem.severity), bold=True)
    text = Text(end="").append(f"{SEVERITY_SIGNS[problem.severity]} ", style=sign)
    if place:
        text.append(f"{problem.span.line}:{problem.span.column} ", style=muted)
    text.append(visible_line(problem.message))
    if problem.hint:
        fix = " (Alt+R)" if REMEDY.search(problem.hint) else ""
        text.append(f"  {visible_line(problem.hint)}{fix}", style=muted)
    return text


def section_text(state: SectionState, looks: Looks, width: int) -> Text:
    """A section in one line of the outline: state, adapter, how well it was learned, questions, title."""
    colors = looks.colors
    tints = {"trained": colors.success, "changed": colors.warning, "new": colors.accent}
    text = Text(no_wrap=True, overflow="ellipsis", end="")
    text.append(f"{_STATE_SIGNS[state.state]} ", style=tints.get(state.state, colors.secondary))
    adapter = state.adapter or ""
    text.append(f"{looks.sign(adapter) if adapter else ' '} ", style=looks.style(adapter))
    section, record = state.section, state.record
    count = len(section.questions) + len(section.preferences) if section is not None else 0
    notes: list[str] = []
    if state.state == "trained" and record is not None:
        notes += [f"loss {record.last_loss:.2f}"] if record.last_loss is not None else []
        notes += [f"recall {record.last_recall:.0%}"] if record.last_recall is not None else []
        notes += [state.lost] if state.lost else []
    notes = notes or [state.state]
    notes += [f"{count} Q"] if count > 1 else []
    text.append(", ".join(notes) + "  ", style=Style(color=colors.secondary))
    text.append(visible_line(state.title) or state.kind)
    text.truncate(max(8, width), overflow="ellipsis")
    return text


class Drawer(OptionList):
    """Closed, or showing one of its two lists."""

    DEFAULT_CSS = """
    Drawer { height: auto; max-height: 40%; border: none; border-top: solid $panel; background: $surface; }
    Drawer { display: none; padding: 0; }
    Drawer:focus { border-top: solid $border; }
    Drawer.-open { display: block; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Close", show=False)]

    class Left(Message):
        """The list is closed; the text is where the person wants to be."""

    class Jump(Message):
        """Go to a line and column, from 0."""

        def __init__(self, line: int, column: int) -> None:
            super().__init__()
            self.line, self.column = line, column

    def __init__(self) -> None:
        super().__init__(id="drawer", compact=True)
        self.content: Content = ""
        self._places: list[tuple[int, int] | None] = []

    def close(self) -> None:
        """Hide the list."""
        self.content = ""
        self.remove_class("-open")

    def action_leave(self) -> None:
        """Hide the list, and go back to the text."""
        self.close()
        self.post_message(self.Left())

    def show_outline(self, states: Sequence[SectionState], looks: Looks) -> None:
        """Show the sections; those of other files, and those that are gone, lead nowhere."""
        places: list[tuple[int, int] | None] = []
        for state in states:
            section = state.section
            here = section is not None and section.source is None
            span = (section.fence or section.span) if section is not None else None
            places.append((span.line - 1, 0) if here and span is not None else None)
        self._show("outline", "Outline", [section_text(state, looks, self._room) for state in states], places)

    @property
    def _room(self) -> int:
        """Cells of a line, also before the list itself is laid out; its scrollbar takes two."""
        return (self.parent.size.width if isinstance(self.parent, Widget) else 60) - 3

    def show_problems(self, problems: Sequence[Diagnostic], looks: Looks) -> None:
        """Show the problems."""
        texts = [problem_text(problem, looks, place=True) for problem in problems]
        places = [(problem.span.line - 1, problem.span.column - 1) for problem in problems]
        self._show("problems", f"Problems ({len(problems)})", texts, places)

    def _show(
        self, content: Content, title: str, texts: list[Text], places: Sequence[tuple[int, int] | None]
    ) -> None:
        where = self.highlighted if content == self.content else None
        self.content, self._places = content, list(places)
        self.border_title = title
        self.clear_options()
        if not texts:
            self.add_option(Option(Text("nothing here", style="dim"), disabled=True))
        self.add_options(
            [Option(text, disabled=place is None) for text, place in zip(texts, places, strict=True)]
        )
        if where is not None and texts:
            self.highlighted = min(where, len(texts) - 1)
        self.add_class("-open")

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        place = self._places[event.option_index]
        if place is not None:
            self.post_message(self.Jump(*place))
