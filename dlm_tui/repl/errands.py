"""What the slash commands do that concern more than the conversation's own state."""

import os
import shlex
import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dlm_core.errors import UsageError
from dlm_core.events import Why
from dlm_core.requests import Explain, RoutingChoice
from dlm_tui.session import reports
from dlm_tui.session.commands import Invocation, parse_again, parse_train
from dlm_tui.session.conversation import describe
from dlm_tui.session.text import WARNING

if TYPE_CHECKING:
    from dlm_tui.repl.chat import Chat

KEYS = (
    ("Enter", "Send the line. Alt-Enter makes a new line in it."),
    ("Ctrl-G, F7", "Switch the gate between auto and off."),
    ("Ctrl-C", "Stop the reply; clear the line; stop the training."),
    ("Ctrl-D", "Leave."),
    ("Ctrl-R", "Search the questions of earlier sessions."),
    ("Ctrl-X Ctrl-E", "Write the line in $EDITOR."),
)


class Errands:
    """Carries commands out for a chat. Every method takes the command's argument and may raise DlmError."""

    def __init__(self, chat: "Chat") -> None:
        self._chat = chat
        self._commands: Mapping[str, Callable[[str], Awaitable[None]]] = {
            "again": self._again,
            "base": self._base,
            "why": self._why,
            "show": self._show,
            "model": self._model,
            "warnings": self._warnings,
            "edit": self._edit,
            "train": self._train,
            "stop": self._stop,
            "history": self._history,
            "save": self._save,
            "load": self._load,
            "copy": self._copy,
            "restart": self._restart,
            "help": self._help,
            "exit": self._exit,
        }

    async def run(self, invocation: Invocation) -> None:
        """Carry a command out."""
        await self._commands[invocation.name](invocation.argument)

    async def _again(self, argument: str) -> None:
        self._chat.answer_again(parse_again(argument, self._chat.adapters))

    async def _base(self, argument: str) -> None:
        bare = RoutingChoice(mode="base")
        if argument:
            self._chat.ask(argument, bare)
        else:
            self._chat.answer_again(bare)

    async def _why(self, argument: str) -> None:
        del argument
        self._chat.in_turn(self._explain)

    async def _explain(self) -> None:
        chat = self._chat
        messages = chat.conversation.messages_of_last()
        last = chat.conversation.last
        assert last is not None
        await chat.link.until_ready()
        request = Explain(request_id=chat.link.new_id(), messages=messages)
        async for event in chat.link.stream(request):
            if isinstance(event, Why):
                chat.front.show(reports.why_report(last.answer, event.neighbours, chat.look))

    async def _show(self, argument: str) -> None:
        del argument
        chat = self._chat
        now = await chat.document.look_again()
        if now.errors:
            chat.front.show(reports.errors_report(now, chat.look))
        else:
            chat.front.show(reports.show_report(now, chat.link.ready, chat.conversation, chat.look))

    async def _model(self, argument: str) -> None:
        del argument
        self._chat.front.show(reports.model_report(self._chat.link.ready, self._chat.look))

    async def _warnings(self, argument: str) -> None:
        del argument
        self._chat.front.show(reports.warnings_report(self._chat.warnings, self._chat.look))

    async def _history(self, argument: str) -> None:
        del argument
        self._chat.front.show(reports.history_report(self._chat.conversation, self._chat.look))

    async def _help(self, argument: str) -> None:
        self._chat.front.show(reports.help_report(argument, self._chat.look, KEYS))

    async def _save(self, argument: str) -> None:
        path = _file(argument, "/save")
        self._chat.conversation.save(path)
        self._chat.tell([f"saved as {path}"])

    async def _load(self, argument: str) -> None:
        path = _file(argument, "/load")
        conversation = self._chat.conversation
        conversation.load(path)
        count = len(conversation.turns)
        turns = f"{count} turn{'' if count == 1 else 's'}"
        self._chat.tell([f"{turns} from {path}; {describe(conversation.choice)}"])
        self._chat.routing_changed()

    async def _copy(self, argument: str) -> None:
        del argument
        last = self._chat.conversation.last
        if last is None:
            raise UsageError("there is no reply to copy yet", "ask something first")
        self._chat.front.copy(last.answer.text)
        self._chat.tell(["sent to the terminal's clipboard"])

    async def _restart(self, argument: str) -> None:
        del argument
        self._chat.tell(["starting the engine again"])
        await self._chat.link.restart()

    async def _exit(self, argument: str) -> None:
        del argument
        self._chat.front.leave()

    async def _stop(self, argument: str) -> None:
        del argument
        stopped = [self._chat.interrupt_reply(), self._chat.interrupt_run()]
        if not any(stopped):
            self._chat.tell(["nothing is under way"])

    async def _train(self, argument: str) -> None:
        self._chat.spawn(self._chat.run(parse_train(argument)))

    async def _edit(self, argument: str) -> None:
        del argument
        chat = self._chat
        command = [*editor_command(os.environ), str(chat.path)]
        try:
            code = await chat.front.run_editor(command)
        except OSError as error:
            raise UsageError(
                f"{command[0]} cannot be run: {error.strerror}", "set EDITOR to an editor, such as nano"
            ) from error
        if code != 0:
            chat.tell([f"{command[0]} ended with code {code}"], WARNING)
        now = await chat.document.look_again()
        if now.errors:
            chat.front.show(reports.errors_report(now, chat.look))
        elif now.untrained:
            noun = "section is" if now.untrained == 1 else "sections are"
            chat.tell([f"{now.untrained} {noun} new or changed: /train"])


def editor_command(environment: Mapping[str, str]) -> list[str]:
    """The person's editor as words, never through a shell. Raises UsageError where there is none."""
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


def _file(argument: str, command: str) -> Path:
    if not argument:
        raise UsageError(f"{command} needs a file name", f"{command} talk.md")
    try:
        return Path(argument).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{argument} names no file: {error}") from error
