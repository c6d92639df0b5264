"""The workbench as the place that a session is shown in (see `session.front.Front`)."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rich.style import Style
from textual.message import Message
from textual.notifications import SeverityLevel
from textual.screen import Screen

from dlm_core.errors import DlmError, DocumentError
from dlm_core.events import Event, Log, RunEnded
from dlm_core.teaching import Edit
from dlm_tui.panes.chat import ChatPane
from dlm_tui.panes.dashboard import DashboardPane
from dlm_tui.panes.editor import EditorPane
from dlm_tui.panes.frame import PaneFrame
from dlm_tui.screens.edit_choice import EditChoice
from dlm_tui.screens.reply_detail import ReplyDetail
from dlm_tui.screens.training_control import TrainingControl
from dlm_tui.session import drafts
from dlm_tui.session.front import Asked, Option
from dlm_tui.session.shown import EditShown, Failed, Shown, WhyShown
from dlm_tui.widgets.dialogs import Choice, TextScreen, TwoLineScreen
from dlm_tui.widgets.looks import looks_of
from dlm_tui.widgets.reply_view import ReplyView

T = TypeVar("T")


class SessionChanged(Message):
    """Something that is on screen all the time has changed: engine, routing, run, document."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, SessionChanged)


@dataclass(eq=False)
class BenchFront:
    """Hands what a session shows to the pane that it concerns; `end` is asked to end the workbench."""

    screen: Screen[None]
    frame: PaneFrame
    editor: EditorPane
    dashboard: DashboardPane
    chat: ChatPane
    training: TrainingControl
    end: Callable[[], object]

    @property
    def keys(self) -> Mapping[str, str]:
        return {"F1": "All keys of the workbench."}

    def show(self, shown: Shown) -> None:
        match shown:
            case WhyShown():
                answer = shown.answer
                self.screen.app.push_screen(ReplyDetail(answer, answer.tokens.said, answer.text, shown.why))
            case Failed():
                if shown.of_run:
                    self.dashboard.fail(shown.error.message, shown.error.hint)
                self.chat.show(Failed(self._in_short(shown.error)))
            case _:
                self.chat.show(shown)

    def _in_short(self, error: DlmError) -> DlmError:
        """The error; where it lists the document's problems, how many there are: the editor lists them."""
        problems = sum(d.severity == "error" for d in self.editor.diagnostics)
        if not problems or self.chat.session.engine.state != "refused":
            return error
        what = "a problem" if problems == 1 else f"{problems} problems"
        return DocumentError(f"the document has {what}", "put right and saved, it is opened; F4 goes there")

    async def open_reply(self, asked: Asked) -> ReplyView:
        return await self.chat.open_reply(asked)

    def run_event(self, event: Event) -> None:
        self.dashboard.take(event)
        match event:
            case RunEnded():
                self.training.ended(event)
            case Log() if event.level != "info" and event.code != "cold_start":
                text = f"{event.message}\n{event.hint}".strip()
                severity: SeverityLevel = "error" if event.level == "error" else "warning"
                self.screen.notify(text, severity=severity, markup=False)

    def changed(self) -> None:
        self.screen.post_message(SessionChanged())

    def conversation_replaced(self) -> None:
        self.chat.show_turns()

    def document_changed(self) -> None:
        self.editor.look_at_disk()

    async def save_document(self) -> bool:
        return await self.training.save_first()

    @property
    def asks_again(self) -> bool:
        return True

    def document_text(self) -> str:
        return self.editor.area.text

    async def choose(self, title: str, options: Sequence[Option]) -> int | None:
        looks = looks_of(self.screen)
        choices = [
            Choice(
                str(number),
                f"{looks.sign(option.adapter)} {option.adapter}, {option.label}"
                if option.adapter in looks.names and option.label != option.adapter
                else option.label,
                option.remark,
                looks.style(option.adapter) if option.adapter in looks.names else Style(),
            )
            for number, option in enumerate(options)
        ]
        said = await self._answer_of(TwoLineScreen(title, choices))
        return int(said) if said is not None else None

    async def write(self, title: str, text: str) -> str | None:
        return await self._answer_of(TextScreen(title, text))

    async def take_edit(self, edit: Edit, other: Edit | None = None) -> bool:
        if other is not None:
            chosen = await self._answer_of(EditChoice(edit, other))
            if chosen is None:
                return False
            edit = chosen
        if edit.path == self.editor.path:
            self.training.taught()
            if not await self.editor.take_edit(edit):
                return False
        else:
            drafts.write_edit(edit)
        self.chat.show(EditShown(edit))
        return True

    async def _answer_of(self, dialog: Screen[T | None]) -> T | None:
        answered: asyncio.Future[T | None] = asyncio.get_running_loop().create_future()

        def dismissed(said: T | None) -> None:
            if not answered.done():
                answered.set_result(said)

        self.screen.app.push_screen(dialog, dismissed)
        return await answered

    async def edit_document(self) -> bool:
        self.frame.bring_up("editor")
        return False

    def copy(self, text: str) -> None:
        self.screen.app.copy_to_clipboard(text)

    def leave(self) -> None:
        self.end()
