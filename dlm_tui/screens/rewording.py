"""Further wordings of a section's questions, as a model proposes them: taken one by one, or all."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from dlm_core import teaching
from dlm_core.document.model import Document, Question
from dlm_core.errors import DlmError
from dlm_core.reword.rewording import Proposal, edit_for, proposals
from dlm_core.reword.teacher import Teacher
from dlm_core.safetext import visible_line
from dlm_core.teaching import Edit
from dlm_tui.widgets.dialog_keys import DialogKeys
from dlm_tui.widgets.dialogs import ClosedOnce
from dlm_tui.widgets.looks import looks_of

MORE = 3
"""Wordings that are asked for, of each question."""
TAKEN, LEFT = "✔", "·"
KEYS = (
    Binding("space", "turn", "takes it, or not"),
    Binding("a", "all", "all, or none"),
    Binding("enter", "take", "puts those in", priority=True),
    Binding("escape,q", "leave", "leaves it"),
)


@dataclass(frozen=True)
class _Place:
    """What stands in a row: the wording, by the number of its proposal; None: a heading, or a reason."""

    proposal: int
    wording: str


class RewordScreen(ClosedOnce[tuple[Proposal, ...] | None]):
    """Asks a teacher in a thread, question by question; answers the proposals with the wordings taken."""

    DEFAULT_CSS = """
    RewordScreen > Vertical { width: 104; max-width: 96%; height: 80%; }
    RewordScreen OptionList { height: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [*KEYS]

    def __init__(self, document: Document, questions: Sequence[Question], teacher: Teacher) -> None:
        super().__init__()
        self._document, self._questions, self._teacher = document, questions, teacher
        self._found: list[Proposal] = []
        self._taken: set[_Place] = set()
        self._places: list[_Place | None] = []
        self._stopped = threading.Event()
        self._asking = True

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static("", classes="dialog-title", id="reword-title")
            yield OptionList()
            yield DialogKeys(KEYS)

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()
        self._say(f"Asking {self._teacher.host} … 0 of {len(self._questions)}")
        # A thread that the program's end does not wait for: an answer may take minutes.
        threading.Thread(target=self._ask, name="reword", daemon=True).start()

    def on_unmount(self) -> None:
        self._stopped.set()

    def _ask(self) -> None:
        error: DlmError | None = None
        wanted = MORE + max(len(question.wordings) for question in self._questions)
        try:
            for proposal in proposals(self._document, self._questions, wanted, self._teacher.ask):
                if self._stopped.is_set():
                    return
                self.call_later(self._proposed, proposal)
        except DlmError as failed:
            error = failed
        if not self._stopped.is_set():
            self.call_later(self._ended, error)

    def _proposed(self, proposal: Proposal) -> None:
        if not self._asking:
            return
        self._found.append(proposal)
        self._say(f"Asking {self._teacher.host} … {len(self._found)} of {len(self._questions)}")
        self._fill()

    def _ended(self, error: DlmError | None) -> None:
        """The teacher is asked no more; `error` says why, where it was not for having answered all."""
        if not self._asking:
            return
        self._asking = False
        count = sum(len(proposal.wordings) for proposal in self._found)
        said = f"{count} wordings from {visible_line(self._teacher.model)} at {self._teacher.host}"
        self._say(said if error is None else f"{error.message} ({error.hint})")

    def _say(self, text: str) -> None:
        self.query_one("#reword-title", Static).update(Text(text))

    def _fill(self) -> None:
        colors = looks_of(self).colors
        muted = Style(color=colors.secondary)
        options, self._places = [], []

        def row(text: Text, place: _Place | None = None) -> None:
            text.overflow = "ellipsis"
            text.no_wrap = True
            options.append(Option(text, disabled=place is None))
            self._places.append(place)

        for number, proposal in enumerate(self._found):
            row(Text(visible_line(proposal.question.question), Style(color=colors.accent, bold=True)))
            for wording in proposal.wordings:
                place = _Place(number, wording)
                taken = place in self._taken
                line = Text().append(f"  {TAKEN if taken else LEFT} ", Style(bold=True))
                row(line.append(visible_line(wording), Style(bold=taken)), place)
            if proposal.fault is not None:
                row(Text(f"    {proposal.fault.message}", muted))
            elif not proposal.wordings:
                row(Text("    nothing that could be taken", muted))
            for wording, why in proposal.left:
                row(Text(f"    left out, {why}: {visible_line(wording)}", muted))
        listed = self.query_one(OptionList)
        here = listed.highlighted
        listed.clear_options()
        listed.add_options(options)
        first = next((n for n, place in enumerate(self._places) if place is not None), None)
        listed.highlighted = first if here is None else here

    @property
    def _wordings(self) -> list[_Place]:
        return [place for place in self._places if place is not None]

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._turn(event.option_index)

    def action_turn(self) -> None:
        """Take the wording under the cursor, or take it no more."""
        if (here := self.query_one(OptionList).highlighted) is not None:
            self._turn(here)

    def _turn(self, row: int) -> None:
        if (place := self._places[row]) is not None:
            self._taken ^= {place}
            self._fill()

    def action_all(self) -> None:
        """Take all; where all are taken, none."""
        everything = set(self._wordings)
        self._taken = set() if self._taken == everything else everything
        self._fill()

    def action_take(self) -> None:
        """Answer what was taken."""
        if not self._taken:
            self.notify("Nothing is taken yet: Space takes a wording, a takes all.")
            return
        chosen = [
            replace(
                proposal, wordings=tuple(w for w in proposal.wordings if _Place(number, w) in self._taken)
            )
            for number, proposal in enumerate(self._found)
        ]
        self.dismiss(tuple(proposal for proposal in chosen if proposal.wordings))

    def action_leave(self) -> None:
        """Ask no more; once that is so, leave all as it is."""
        if self._asking and self._found:
            self._asking = False
            self._stopped.set()
            self._say("stopped; what was proposed so far")
        else:
            self.dismiss(None)


def asked_in(document: Document, line: int) -> tuple[Question, ...]:
    """The questions of the section at a line, from 1. Raises UsageError where none is asked."""
    section, _ = teaching.question_at(document, line)
    return section.questions


def edit_of(path: Path, text: str, chosen: Sequence[Proposal], teacher: Teacher) -> Edit:
    """One edit with all wordings that were taken. Raises DlmError where they cannot stand there."""
    after, answer = text, ""
    for proposal in chosen:
        edit = edit_for(path, after, proposal, teacher)
        after, answer = edit.after, edit.answer
    count = sum(len(proposal.wordings) for proposal in chosen)
    return Edit(path, text, after, f"{count} wordings more", answer)
