"""A correction that can be made in two ways: each is shown as a difference, a key changes to the other."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from dlm_core.safetext import visible_line
from dlm_core.teaching import Edit
from dlm_tui.screens.section_diff import difference_text
from dlm_tui.widgets.dialog_keys import DialogKeys
from dlm_tui.widgets.dialogs import ClosedOnce
from dlm_tui.widgets.looks import looks_of

KEYS = (
    Binding("enter", "take", "teaches this", priority=True),
    Binding("t", "swap", "changes"),
    Binding("escape", "dismiss(None)", "leaves it"),
)


class EditChoice(ClosedOnce[Edit | None]):
    """Two edits, one of them shown; answers the one that is taken."""

    DEFAULT_CSS = """
    EditChoice > Vertical { width: 104; max-width: 96%; height: auto; max-height: 90%; }
    EditChoice VerticalScroll { height: auto; max-height: 60vh; margin: 0 0 1 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [*KEYS]

    def __init__(self, edit: Edit, other: Edit) -> None:
        super().__init__()
        self._edit, self._other = edit, other

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static("", classes="dialog-title", id="edit-title")
            with VerticalScroll():
                yield Static("", id="edit-difference")
            yield DialogKeys(KEYS)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
        self._show()

    def _show(self) -> None:
        looks = looks_of(self)
        self.query_one("#edit-title", Static).update(Text(f"Teach {visible_line(self._edit.sentence)}"))
        self.query_one("#edit-difference", Static).update(
            difference_text(self._edit.difference()[2:], looks.theme)
        )
        self.query_one(DialogKeys).tell({"swap": f"makes it {visible_line(self._other.sentence)}"})

    def action_swap(self) -> None:
        """Show the other one."""
        self._edit, self._other = self._other, self._edit
        self._show()

    def action_take(self) -> None:
        """Answer the one that is shown."""
        self.dismiss(self._edit)
