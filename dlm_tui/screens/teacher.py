"""Which model is asked for wordings: its URL and its name; who is asked is said before anything is sent."""

import os
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from dlm_core.errors import UsageError
from dlm_core.reword.teacher import KEY, Teacher
from dlm_tui.widgets.dialog_keys import DialogKeys
from dlm_tui.widgets.dialogs import ClosedOnce
from dlm_tui.widgets.looks import looks_of

KEYS = (
    Binding("enter", "ask", "asks it", priority=True),
    Binding("tab", "app.focus_next", "next field", show=False),
    Binding("escape", "dismiss(None)", "sends nothing"),
)


class TeacherScreen(ClosedOnce[Teacher | None]):
    """Asks for a teacher, `url` and `model` to begin with; `what` is sent to it. None: nothing is sent."""

    DEFAULT_CSS = """
    TeacherScreen > Vertical { width: 84; max-width: 95%; height: auto; max-height: 90%; padding: 1 2; }
    TeacherScreen .dialog-title { margin: 0; }
    TeacherScreen Input { border: tall $border-blurred; }
    TeacherScreen #teacher-host { margin: 0 0 1 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [*KEYS]

    def __init__(self, what: str, url: str = "", model: str = "") -> None:
        super().__init__()
        self._what, self._url, self._model = what, url, model

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Text("Which model is to write further wordings?"), classes="dialog-title")
            yield Input(self._url, placeholder="its server, as in http://localhost:8080/v1", id="teacher-url")
            yield Input(self._model, placeholder="the model's name there", id="teacher-model")
            yield Static("", id="teacher-host")
            yield DialogKeys(KEYS)

    def on_mount(self) -> None:
        self.query_one("#teacher-url" if not self._url else "#teacher-model", Input).focus()
        self._say()

    @on(Input.Changed)
    def _say(self) -> None:
        """Who would be asked, or why nobody can be."""
        colors = looks_of(self).colors
        said = self._teacher()
        if isinstance(said, Teacher):
            where = ", on this machine" if said.is_here else ""
            key = f" The key is that of {KEY}." if said.key else ""
            text = Text(f"{self._what} to {said.host}{where}.{key}", Style(bold=True))
        else:
            text = Text(said, Style(color=colors.warning if self._given else colors.secondary))
        self.query_one("#teacher-host", Static).update(text)

    @property
    def _given(self) -> bool:
        return all(field.value.strip() for field in self.query(Input))

    def _teacher(self) -> Teacher | str:
        url, model = (self.query_one(f"#teacher-{name}", Input).value.strip() for name in ("url", "model"))
        if not url or not model:
            return f"Nothing of a document is sent anywhere but here. A key is read from {KEY}."
        try:
            return Teacher(url, model, os.environ.get(KEY, ""))
        except UsageError as error:
            return f"{error.message}: {error.hint}" if error.hint else error.message

    def action_ask(self) -> None:
        """Answer the teacher, once there is one; before that, go to the field that lacks something."""
        said = self._teacher()
        if isinstance(said, Teacher):
            self.dismiss(said)
        elif not self._given:
            next(field for field in self.query(Input) if not field.value.strip()).focus()
