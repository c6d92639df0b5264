"""Unsaved work: what is asked before it would be lost, and where some of an earlier session is left."""

from collections.abc import Callable

from dlm_tui.panes.editor import EditorPane
from dlm_tui.session.drafts import Draft
from dlm_tui.widgets.dialogs import Choice, ChoiceScreen, ask


def offer_draft(editor: EditorPane, draft: Draft) -> None:
    """Offer to bring `draft` back into the editor."""
    choices = [
        Choice("restore", "bring it back", "what is on disk is one undo away"),
        Choice("forget", "throw it away"),
    ]

    title = "There is unsaved work of an earlier session on this document."
    ask(
        editor,
        ChoiceScreen(title, choices),
        lambda answer: editor.restore(draft) if answer == "restore" else editor.discard(),
    )


def unless_unsaved(editor: EditorPane, leave: Callable[[], object]) -> None:
    """Call `leave`; where there is unsaved work, only after the user said what becomes of it."""
    if not editor.unsaved:
        editor.call_later(leave)
        return
    choices = [
        Choice("save", "save, then leave"),
        Choice("discard", "leave without saving", "the changes are lost"),
        Choice("keep", "leave, and be asked about it next time", "the changes are kept aside"),
    ]

    async def chosen(answer: str) -> None:
        if answer == "save" and not await editor.save():
            return
        if answer == "discard":
            editor.discard()
        editor.call_later(leave)

    ask(editor, ChoiceScreen("There is unsaved work.", choices), chosen)
