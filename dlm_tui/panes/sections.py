"""What the document pane does with sections: go to one, put one in, give one wordings, compare one."""

from pathlib import Path

from textual.message import Message

from dlm_core.document import Document
from dlm_core.store import SectionRecord
from dlm_tui.panes.editing import append_section, insert_section, renew_id, section_choices, within
from dlm_tui.panes.pane import Pane
from dlm_tui.session.section_states import SectionState, section_states
from dlm_tui.widgets.dialogs import ChoiceScreen, ask
from dlm_tui.widgets.document_area import DocumentArea
from dlm_tui.widgets.focus import give_keys
from dlm_tui.widgets.section_jump import SectionJump


class SectionsPane(Pane):
    """The part of the document pane that knows sections; `document` is the text as it was last readable."""

    class RewordWanted(Message):
        """The questions of the section at `line` (from 1) are to be given further wordings."""

        def __init__(self, line: int) -> None:
            super().__init__()
            self.line = line

    class ComparisonWanted(Message):
        """A section is to be compared with what was last trained of it."""

        def __init__(self, state: SectionState) -> None:
            super().__init__()
            self.state = state

    def __init__(self, path: Path, area: DocumentArea) -> None:
        super().__init__()
        self.path, self.area = path, area
        self.document: Document | None = None
        self._records: tuple[SectionRecord, ...] = ()

    @property
    def sections(self) -> tuple[SectionState, ...]:
        """The sections as they stand, then those that are gone, each with its state since the last run."""
        return section_states(self.document.sections if self.document is not None else (), self._records)

    def section_here(self) -> SectionState | None:
        """The section at the cursor; None in the frontmatter."""
        line = self.area.cursor_location[0] + 1
        here = (state for state in self.sections if state.section is not None)
        above = [s for s in here if s.section and s.section.source is None and _begins(s) <= line]
        return max(above, key=_begins, default=None)

    def go_to(self, line: int, column: int = 0) -> None:
        """Move to a line and column, from 0, into view and with the focus."""
        self.area.move_cursor(within(self.area, line, column), center=True)
        give_keys(self.area)

    def go_to_remedy(self, adapter: str) -> None:
        """Go to the end, open a section for `adapter` there, and say so."""
        self.go_to(append_section(self.area, adapter))
        self.notify(f"A section for {adapter} begins here: write a question, then its answer.", markup=False)

    def action_new_id(self) -> None:
        """Give the document an id of its own, as one undoable edit: the way out for a copied file."""
        done = "The document has a new id: save it, and train it. Nothing is trained under it yet."
        self.notify(done if renew_id(self.area) else "There is no dlm_id in the document.")

    def action_insert_section(self) -> None:
        """Choose kind and adapter of a new section at the cursor."""
        which = ChoiceScreen("Insert which section?", section_choices(self.looks))
        ask(self, which, lambda answer: self.go_to(insert_section(self.area, *answer.split(" ", 1))))

    def action_jump(self) -> None:
        """Go to a section by some letters of what it says."""
        states = [s for s in self.sections if s.section is not None and s.section.source is None]
        ask(self, SectionJump(states, self.section_here()), lambda line: self.go_to(line - 1))

    def action_reword(self) -> None:
        """Have further wordings written for the questions of the section at the cursor."""
        self.post_message(self.RewordWanted(self.area.cursor_location[0] + 1))

    def action_compare_section(self) -> None:
        """Show what differs between the section at the cursor and what was last trained of it."""
        if (state := self.section_here()) is None:
            self.notify("The cursor is in no section.")
        else:
            self.post_message(self.ComparisonWanted(state))


def _begins(state: SectionState) -> int:
    """The first line of a section, its fence."""
    assert state.section is not None
    return (state.section.fence or state.section.span).line
