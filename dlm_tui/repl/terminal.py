"""What both terminals of the REPL have in common: a session shown as lines, below one another."""

import os
import shlex
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from dlm_core.errors import DlmError, UsageError
from dlm_core.events import Event, Log, Routing, Token
from dlm_core.safetext import visible
from dlm_core.teaching import Edit
from dlm_tui.session import drafts, reports
from dlm_tui.session.conversation import Answer, describe
from dlm_tui.session.front import Asked, Option, ReplySink
from dlm_tui.session.reports import Look
from dlm_tui.session.session import Session
from dlm_tui.session.shown import EditShown, Entered, Failed, Shown, Told
from dlm_tui.session.signs import adapter_signs
from dlm_tui.session.text import NOTE, STRONG, WARNING, Line, sentences
from dlm_tui.session.wording import chat_lines

KEYS = {
    "Enter": "Send the line. Alt-Enter makes a new line in it.",
    "Ctrl-G, F7": "Switch the gate between auto and off.",
    "Ctrl-C": "Stop the reply; clear the line; stop the training.",
    "Ctrl-D": "Leave.",
    "Ctrl-R": "Search the questions of earlier sessions.",
    "Ctrl-X Ctrl-E": "Write the line in $EDITOR.",
}


class TerminalFront(ABC):
    """A front (see `session.front.Front`) that writes lines; how they get on screen is its subclass's."""

    echoes: bool
    """Whether a line has to be shown again when its turn comes (a dumb terminal has it already)."""
    unicode: bool

    def __init__(self, session: Session) -> None:
        self.session = session

    @property
    @abstractmethod
    def width(self) -> int:
        """Columns there are now."""

    @abstractmethod
    def write_lines(self, lines: Sequence[Line]) -> None:
        """Show whole lines, after what a reply has said so far."""

    @abstractmethod
    def say(self, text: str) -> None:
        """A reply goes on with `text`, which holds no control characters but newline and tab."""

    @abstractmethod
    def end_reply(self) -> None:
        """The reply is over; its last line is complete."""

    @abstractmethod
    async def run_editor(self, command: Sequence[str]) -> int:
        """Run a program that takes the terminal over, and return its exit code. Raises OSError."""

    @abstractmethod
    async def ask_line(self, text: str = "") -> str | None:
        """The next line that the user sends, `text` to begin with; None where it is empty or called off."""

    @property
    def look(self) -> Look:
        """How reports are drawn here and now."""
        return Look(adapter_signs(self.session.adapters, unicode=self.unicode), self.width, self.unicode)

    # As a front

    @property
    def keys(self) -> Mapping[str, str]:
        return KEYS

    def show(self, shown: Shown) -> None:
        if self.echoes or not isinstance(shown, Entered):
            self.write_lines(reports.report(shown, self.look))

    async def open_reply(self, asked: Asked) -> ReplySink:
        if self.echoes or asked.taught:
            self.write_lines(reports.shown_line(asked.question, self.look, STRONG))
        if asked.before is not None:
            self.write_lines([[(STRONG, "before")]])
            self.say(visible(asked.before.text))
            self.end_reply()
            how = "taught" if asked.taught else describe(asked.choice)
            now: Line = [(STRONG, f"now, {how}")]
            self.write_lines([*self.reply_report(asked.before), now])
        return _TerminalReply(self)

    def reply_report(self, answer: Answer) -> list[Line]:
        """What stands under a reply."""
        ready = self.session.engine.ready
        return reports.reply_report(answer, self.look, ready.context_length if ready else 0)

    def run_event(self, event: Event) -> None:
        style = WARNING if isinstance(event, Log) and event.level != "info" else NOTE
        if said := chat_lines(event):
            self.write_lines(sentences(said, self.look.room, style))

    def conversation_replaced(self) -> None:
        return  # what was said stands above, and stays

    def document_changed(self) -> None:
        return  # nothing of the document is on screen but what the toolbar tells

    async def save_document(self) -> bool:
        return True

    @property
    def asks_again(self) -> bool:
        return True

    def document_text(self) -> str:
        return drafts.read(self.session.path).text

    async def choose(self, title: str, options: Sequence[Option]) -> int | None:
        report = sentences([title], self.look.room, STRONG)
        for number, option in enumerate(options, start=1):
            report += reports.option_report(number, option, self.look)
        report += sentences([f"1 to {len(options)}, or Enter alone to leave all as it is"], self.look.room)
        self.write_lines(report)
        while (said := await self.ask_line()) is not None:
            if said.isdecimal() and 1 <= int(said) <= len(options):
                return int(said) - 1
            self.show(Told((f"`{said}` is none of 1 to {len(options)}",), warning=True))
        return None

    async def write(self, title: str, text: str) -> str | None:
        self.write_lines(sentences([title], self.look.room, STRONG))
        return await self.ask_line(text)

    async def take_edit(self, edit: Edit, other: Edit | None = None) -> bool:
        while True:
            self.show(EditShown(edit))
            instead = f", t makes it {other.sentence}" if other is not None else ""
            choices = f"y writes it{instead}, Enter alone leaves all as it is"
            self.write_lines(sentences([choices], self.look.room))
            said = await self.ask_line()
            if other is None or said is None or said.lower() not in ("t", "turns"):
                break
            edit, other = other, edit
        if said is None or said.lower() not in ("y", "yes"):
            self.show(Told(("nothing was written",)))
            return False
        drafts.write_edit(edit)
        return True

    async def edit_document(self) -> bool:
        command = [*editor_command(os.environ), str(self.session.path)]
        try:
            code = await self.run_editor(command)
        except OSError as error:
            raise UsageError(
                f"{command[0]} cannot be run: {error.strerror}", "set EDITOR to an editor, such as nano"
            ) from error
        if code != 0:
            self.show(Told((f"{command[0]} ended with code {code}",), warning=True))
        return True


class _TerminalReply:
    def __init__(self, front: TerminalFront) -> None:
        self._front = front

    def routed(self, routing: Routing) -> None:
        """The weights are told under the reply."""

    def token(self, token: Token) -> None:
        self._front.say(visible(token.text))

    def finished(self, answer: Answer) -> None:
        self._front.end_reply()
        self._front.write_lines([*self._front.reply_report(answer), [("", "")]])

    def failed(self, error: DlmError | None) -> None:
        self._front.end_reply()
        self._front.show(Told(("stopped before it began",), warning=True) if error is None else Failed(error))


def editor_command(environment: Mapping[str, str]) -> list[str]:
    """The user's editor as words, never through a shell. Raises UsageError where there is none."""
    chosen = environment.get("VISUAL") or environment.get("EDITOR")
    if chosen:
        try:
            words = shlex.split(chosen)
        except ValueError:
            words = []
        if words:
            return words
        raise UsageError(f"EDITOR is `{chosen}`, which cannot be read", "set it to an editor, such as nano")
    found = next((path for name in ("nano", "vim", "vi") if (path := shutil.which(name))), None)
    if found is None:
        raise UsageError("there is no editor", "set EDITOR to one, such as nano")
    return [found]
