"""The document pane: the text, its problems, its outline, finding, completing, saving."""

import asyncio
from collections.abc import Sequence
from functools import partialmethod
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import TextArea

from dlm_core.document import Diagnostic, Document, Parsed, parse_text
from dlm_core.errors import DlmError
from dlm_core.events import MaskedRow
from dlm_core.safetext import visible_line
from dlm_core.store import SectionRecord
from dlm_core.teaching import Edit
from dlm_tui.actions import bindings
from dlm_tui.panes.completion import Completer
from dlm_tui.panes.editing import next_place, put_edit, put_right, toggle_comment
from dlm_tui.panes.loss_preview import laid_over, place_text
from dlm_tui.panes.sections import SectionsPane
from dlm_tui.session import drafts
from dlm_tui.session.copies import with_copies
from dlm_tui.session.drafts import Draft, Drafts, OnDisk
from dlm_tui.widgets.block import Block
from dlm_tui.widgets.dialogs import Choice, ChoiceScreen, LineScreen, ask
from dlm_tui.widgets.document_area import DocumentArea
from dlm_tui.widgets.drawer import Content, Drawer, problem_text
from dlm_tui.widgets.find_bar import FindBar
from dlm_tui.widgets.focus import give_keys

DRAFT_S = 2.0
"""Longest time that unsaved work is nowhere but in memory."""


class EditorPane(SectionsPane):
    """One document. Checks run in a thread once typing pauses; nothing here waits for them."""

    pane_name = "editor"
    title = "Document"
    BINDINGS: ClassVar[list[BindingType]] = bindings("editor")

    class CheckDone(Message):
        """The text was checked: the diagnostics, and the document where it is usable."""

        def __init__(self, diagnostics: Sequence[Diagnostic], document: Document | None) -> None:
            super().__init__()
            self.diagnostics, self.document = diagnostics, document

    class Saved(Message):
        """The text on disk is another: saved here, or by another program (`elsewhere`) and taken up."""

        def __init__(self, *, elsewhere: bool = False) -> None:
            super().__init__()
            self.elsewhere = elsewhere

    class MaskWanted(Message):
        """The person wants to see which tokens carry loss."""

    class Dirtied(Message):
        """Whether there is unsaved work changed."""

        def __init__(self, unsaved: bool) -> None:
            super().__init__()
            self.unsaved = unsaved

    def __init__(self, path: Path, draft_folder: Path, *, delay: float, soft_wrap: bool, blink: bool) -> None:
        super().__init__(path, DocumentArea(soft_wrap=soft_wrap))
        self.diagnostics: tuple[Diagnostic, ...] = ()
        self.on_disk = OnDisk("", "", 0, 0)
        self.area.cursor_blink = blink
        self._completer = Completer(self.area, lambda: self.looks.names)
        self.area.completer = self._completer.rest_of_line
        self._drafts = Drafts(draft_folder)
        self.delay = delay
        self._check_timer: Timer | None = None
        self._draft_timer: Timer | None = None
        self._unsaved = False
        self._checked = ""
        self._asking = False
        self._mask: tuple[MaskedRow, ...] = ()
        self._drawer = Drawer()
        self._find_bar = FindBar(self.area)
        self._place_line = Block(id="problem-line")

    def compose(self) -> ComposeResult:
        yield self.heading
        yield self.area
        yield self._find_bar
        yield self._place_line
        yield self._drawer

    @property
    def default_focus(self) -> Widget:
        return self.area

    @property
    def unsaved(self) -> bool:
        """Whether the text differs from what is on disk."""
        return self._unsaved

    def on_mount(self) -> None:
        self.area.follow_theme()
        self.tell(visible_line(self.path.name))

    # Opening, saving, other people's changes

    def open(self) -> Draft | None:
        """Read the document; answers unsaved work of an earlier session, if there is any.

        Raises:
            DocumentError: the file cannot be read.
        """
        self.on_disk = drafts.read(self.path)
        self.area.load_text(self.on_disk.text)
        self._set_unsaved(False)
        self.check_now()
        draft = self._drafts.find(self.path)
        if draft is not None and draft.text == self.on_disk.text:
            self._drafts.forget(self.path)
            return None
        return draft

    def restore(self, draft: Draft) -> None:
        """Bring unsaved work back into the text; what was on disk is one undo away."""
        self.area.replace_all(draft.text)

    def discard(self) -> None:
        """Unsaved work, of now or of an earlier session, is not wanted: nothing of it is kept."""
        self._drafts.forget(self.path)
        self._unsaved = False

    async def save(self) -> bool:
        """Write the text to disk, and answer whether it was. Asks first where the file changed meanwhile."""
        try:
            other = drafts.changed(self.path, self.on_disk)
        except DlmError as error:
            self.notify(str(error), severity="error", markup=False)
            return False
        if other is not None:
            self._ask_about(other, saving=True)
            return False
        return self._write()

    def _write(self) -> bool:
        text = self.area.text
        try:
            self.on_disk = drafts.write(self.path, text, bom=self.on_disk.bom)
        except DlmError as error:
            self.notify(str(error), severity="error", markup=False, timeout=12)
            return False
        self._set_unsaved(False)
        self.area.history.checkpoint()
        self.check_now()
        self.post_message(self.Saved())
        return True

    def look_at_disk(self) -> None:
        """Take up what another program wrote; asks where there is unsaved work here as well."""
        if self._asking:
            return
        try:
            other = drafts.changed(self.path, self.on_disk)
        except DlmError:
            return
        if other is None:
            return
        if not self._unsaved:
            self._take(other)
            self.notify("The file changed on disk; this is the new text. Undo brings the old one back.")
        else:
            self._ask_about(other, saving=False)

    def _take(self, other: OnDisk) -> None:
        self.on_disk = other
        self.area.replace_all(other.text)
        self._set_unsaved(False)
        self.check_now()
        self.post_message(self.Saved(elsewhere=True))

    def _ask_about(self, other: OnDisk, *, saving: bool) -> None:
        self._asking = True
        lines = abs(other.text.count("\n") - self.area.text.count("\n"))
        title = f"{visible_line(self.path.name)} was changed by another program. {lines} lines more or fewer."
        keep = "save mine over it" if saving else "keep mine, decide when saving"
        choices = [
            Choice("mine", keep, "the other text is lost" if saving else ""),
            Choice("theirs", "take the text on disk", "mine is one undo away"),
            Choice("both", "save mine as a second file", "take the text on disk here"),
        ]

        def chosen(answer: str | None) -> None:
            self._asking = False
            if answer == "mine":
                self.on_disk = other
                if saving:
                    self._write()
            elif answer == "theirs":
                self._take(other)
            elif answer == "both":
                self._save_second(other)

        self.app.push_screen(ChoiceScreen(title, choices), chosen)

    def _save_second(self, other: OnDisk) -> None:
        try:
            second = drafts.write_beside(self.path, self.area.text)
        except DlmError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self.notify(f"Yours is saved as {visible_line(second.name)}.", markup=False)
        self._take(other)

    def keep_draft(self) -> None:
        """Write the recovery file now, if there is unsaved work."""
        self._draft_timer = None
        if not self._unsaved:
            return
        try:
            self._drafts.keep(self.path, self.area.text, self.on_disk)
        except DlmError as error:
            self.notify(
                f"Unsaved work cannot be kept aside: {error.message}", severity="warning", markup=False
            )

    def _set_unsaved(self, unsaved: bool) -> None:
        if unsaved != self._unsaved:
            self._unsaved = unsaved
            if not unsaved:
                self._drafts.forget(self.path)
            self.post_message(self.Dirtied(unsaved))

    # Checking

    @on(TextArea.Changed, "#document-area")
    def _changed(self) -> None:
        self._set_unsaved(self.area.text != self.on_disk.text)
        if self._unsaved and self._draft_timer is None:
            self._draft_timer = self.set_timer(DRAFT_S, self.keep_draft)
        if self._check_timer is not None:
            self._check_timer.stop()
        self._check_timer = self.set_timer(self.delay, self.check_now)

    @work(exclusive=True, group="check", exit_on_error=False)
    async def check_now(self) -> None:
        """Check the text as it stands, off the loop."""
        await self._check()

    async def _check(self) -> None:
        text = self.area.text
        parsed = await asyncio.to_thread(self._read, text)
        if text == self.area.text:
            self._checked = text
            self._take_check(parsed)

    def _read(self, text: str) -> Parsed:
        return with_copies(parse_text(text, self.path, follow_sources=True), self.path)

    def _take_check(self, parsed: Parsed) -> None:
        self.diagnostics = parsed.diagnostics
        if parsed.document is not None:
            self.document = parsed.document
        self.area.show_diagnostics(parsed.diagnostics)
        if self.area.show_loss and self._mask:
            self._lay_mask()
        self._show_problem_here()
        self._fill_drawer(self._drawer.content)
        self.post_message(self.CheckDone(parsed.diagnostics, parsed.document))

    @on(TextArea.SelectionChanged, "#document-area")
    def _show_problem_here(self) -> None:
        found = self.area.diagnostics_at(self.area.cursor_location[0])
        text = problem_text(found[0], self.looks) if found else place_text(self.area, self.looks)
        self._place_line.show(text)

    def next_problem(self) -> None:
        """Go to the next problem, round the end."""
        if not self.diagnostics:
            self.notify("There is no problem in the document.")
            return
        after = next_place(self.diagnostics, self.area.cursor_location[0])
        self.go_to(after.line - 1, after.column - 1)

    async def action_fix(self) -> None:
        """Put in what the hint of the problem under the cursor suggests, as one undoable edit."""
        if self._checked != self.area.text:
            await self._check()  # the problems' places are those of an earlier text
        if not put_right(self.area, self.area.diagnostics_at(self.area.cursor_location[0])):
            self.notify("There is nothing here that could be put right by itself.")

    # Sections

    def show_records(self, records: tuple[SectionRecord, ...]) -> None:
        """What the last run trained, for the outline's states."""
        self._records = records
        if self._drawer.content == "outline":
            self._fill_drawer("outline")

    async def take_edit(self, edit: Edit) -> bool:
        """Make an edit, select it, and save. False where it could not be saved; then it is unsaved work.

        Raises DocumentError: the text is another than the edit was made for.
        """
        put_edit(self.area, edit)
        return await self.save()

    # The drawer: outline and problems

    def _toggle_drawer(self, content: Content) -> None:
        """Show or hide the outline, or the list of problems."""
        if self._drawer.content == content:
            self._drawer.action_leave()
            return
        self._fill_drawer(content)
        give_keys(self._drawer)

    action_outline = partialmethod(_toggle_drawer, "outline")
    action_problems = partialmethod(_toggle_drawer, "problems")

    def _fill_drawer(self, content: Content) -> None:
        if content == "outline":
            self._drawer.show_outline(self.sections, self.looks)
        elif content == "problems":
            self._drawer.show_problems(self.diagnostics, self.looks)

    @on(Drawer.Left)
    def _drawer_left(self) -> None:
        give_keys(self.area)

    @on(Drawer.Jump)
    def _jump(self, message: Drawer.Jump) -> None:
        self.go_to(message.line, message.column)

    # Finding

    def action_find(self) -> None:
        """Find text."""
        self._find_bar.open(replacing=False)

    def action_replace(self) -> None:
        """Find text and replace it."""
        self._find_bar.open(replacing=True)

    def action_find_next(self) -> None:
        """Go to the next match."""
        self._find_bar.step(forward=True)

    def action_find_previous(self) -> None:
        """Go to the match before."""
        self._find_bar.step(forward=False)

    # Small editing

    def action_complete(self) -> None:
        """What fits at the cursor: fences, adapters, keys."""
        found = self._completer.here()
        if not found:
            self.notify("Nothing fits here.")
            return
        if len(found) == 1:
            self._completer.put(found[0])
            return
        choices = [Choice(str(n), c.text, c.note) for n, c in enumerate(found)]
        ask(self, ChoiceScreen("Complete with", choices), lambda n: self._completer.put(found[int(n)]))

    def action_toggle_comment(self) -> None:
        """Comment the selected lines of the frontmatter out, or back in."""
        if not toggle_comment(self.area):
            self.notify("The body has no comments: all of it is text to learn. Cut what is not meant.")

    def action_loss_mask(self) -> None:
        """Dim what carries no loss: by token where the engine can say, by line elsewhere."""
        if self.area.toggle_loss():
            self.notify("Dim text carries no loss; ▐ marks lines that do.", timeout=3)
            self.post_message(self.MaskWanted())
        else:
            self.notify("All text is shown alike.", timeout=2)
        self._show_problem_here()

    def show_mask(self, rows: Sequence[MaskedRow] | None, why_not: str = "") -> None:
        """The engine's rows, token by token; None where it cannot say, and why."""
        self._mask = tuple(rows or ())
        whole = self._lay_mask()
        if rows is None:
            self.notify(f"What carries loss is shown by line: {why_not}.", markup=False, timeout=4)
        elif not whole:
            self.notify("Sections that changed since the last save are shown by line.", timeout=4)

    def _lay_mask(self) -> bool:
        """Lay the engine's rows over the sections they are of; False where some section has none."""
        if self.document is None:
            return False
        laid = laid_over(self.area, self.document, self._mask)
        self.area.show_tokens(laid.marks, laid.exact)
        self._show_problem_here()
        return laid.whole

    def action_go_to_line(self) -> None:
        """Jump to a line by its number."""
        line = LineScreen("Go to line", placeholder=f"1 to {self.area.document.line_count}")
        ask(self, line, lambda answer: self.go_to(int(answer) - 1) if answer.isdecimal() else None)

    def adapters_changed(self) -> None:
        self.area.follow_theme()
        self.area.set_adapters(self.looks.names)
        self._fill_drawer(self._drawer.content)
