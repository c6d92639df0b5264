"""What the workbench does with one section: further wordings from a model, a comparison with its training."""

import asyncio
from typing import TYPE_CHECKING

from textual.screen import Screen

from dlm_core import kept_texts, teaching
from dlm_core.errors import DlmError
from dlm_core.store.paths import StorePaths, dlm_home
from dlm_tui.panes.editing import put_edit
from dlm_tui.panes.editor import EditorPane
from dlm_tui.screens.section_diff import SectionDiff
from dlm_tui.session.section_states import SectionState
from dlm_tui.settings import State
from dlm_tui.widgets.dialogs import ask

if TYPE_CHECKING:
    from dlm_core.reword.rewording import Proposal
    from dlm_core.reword.teacher import Teacher


class SectionWork:
    """Work on a section of the document in `editor`; `state` remembers which teacher was asked last."""

    def __init__(self, screen: Screen[None], editor: EditorPane, state: State) -> None:
        self._screen, self._editor, self._state = screen, editor, state

    def reword(self, line: int) -> None:
        """Ask for a teacher, have it reword what is asked in the section at a line, put in what is taken."""
        from dlm_tui.screens.rewording import RewordScreen, asked_in
        from dlm_tui.screens.teacher import TeacherScreen

        path, text = self._editor.path, self._editor.area.text
        try:
            document = teaching.document_of(path, text)
            questions = asked_in(document, line)
        except DlmError as error:
            self._fail(error)
            return
        count = len(questions)
        what = "The question and its answer go" if count == 1 else f"{count} questions and their answers go"

        def agreed(teacher: "Teacher") -> None:
            self._state.teacher_url, self._state.teacher_model = teacher.url, teacher.model
            proposed = RewordScreen(document, questions, teacher)
            ask(self._screen, proposed, lambda chosen: self._put(chosen, teacher))

        ask(self._screen, TeacherScreen(what, self._state.teacher_url, self._state.teacher_model), agreed)

    def _put(self, chosen: "tuple[Proposal, ...]", teacher: "Teacher") -> None:
        from dlm_tui.screens.rewording import edit_of

        area = self._editor.area
        try:
            edit = edit_of(self._editor.path, area.text, chosen, teacher)
            put_edit(area, edit)
        except DlmError as error:
            self._fail(error)
            return
        area.focus()
        self._screen.notify(f"{edit.sentence}: save or train them, or undo.", markup=False)

    async def compare(self, state: SectionState, dlm_id: str) -> None:
        """Show a section beside what was last trained of it."""
        trained = None
        if state.state == "changed" and state.record is not None and dlm_id:
            folder = StorePaths(dlm_home(), dlm_id).replay
            kept = await asyncio.to_thread(kept_texts.load_kept, folder)
            trained = kept.get(state.record.content_hash)
        self._screen.app.push_screen(SectionDiff(state, trained))

    def _fail(self, error: DlmError) -> None:
        self._screen.notify(str(error), severity="error", markup=False, timeout=12)
