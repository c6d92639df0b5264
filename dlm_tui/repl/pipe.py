"""Not a terminal: a prompt a line on stdin, replies alone on stdout, everything else on stderr."""

import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

from dlm_core.errors import DlmError, UsageError
from dlm_core.events import Event, Routing, Token
from dlm_core.safetext import visible
from dlm_core.teaching import Edit
from dlm_tui.repl.plain import stdin_lines
from dlm_tui.session import drafts, reports
from dlm_tui.session.conversation import Answer, left_out
from dlm_tui.session.dispatch import submit
from dlm_tui.session.front import Asked, Option, ReplySink
from dlm_tui.session.output import as_json, reply_document
from dlm_tui.session.reports import Look
from dlm_tui.session.session import Session
from dlm_tui.session.shown import Entered, Failed, Shown
from dlm_tui.session.signs import adapter_signs, can_show_unicode
from dlm_tui.session.text import plain
from dlm_tui.session.wording import chat_lines

INTERRUPTED = 130


class Pipe:
    """A front (see `session.front.Front`) that reads lines from a stream, one after the other."""

    def __init__(
        self, session: Session, *, json: bool, out: TextIO | None = None, err: TextIO | None = None
    ) -> None:
        self._session = session
        self._json = json
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self._interrupted = False
        self._leaving = False
        self._failed = False

    async def run(self) -> int:
        """Answer every prompt; the exit code is 0, 1 if anything failed, 130 after Ctrl-C."""
        session = self._session
        session.attach(self)
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        loop.add_signal_handler(signal.SIGINT, self._interrupt, task)
        try:
            await session.start()
            await session.engine.until_ready()
            async for line in stdin_lines():
                submit(session, line)
                await session.idle(runs=True)
                if self._interrupted or self._leaving or session.engine.state == "dead":
                    break
        except asyncio.CancelledError:
            self._interrupted = True
        except DlmError:
            self._failed = True  # it was shown when it happened
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            await session.close()
        return INTERRUPTED if self._interrupted else int(self._failed)

    def _interrupt(self, task: "asyncio.Task[object]") -> None:
        self._interrupted = True
        stopped = [self._session.interrupt_reply(), self._session.interrupt_run()]
        if not any(stopped):
            task.cancel()

    # As a front

    @property
    def keys(self) -> Mapping[str, str]:
        return {}

    def show(self, shown: Shown) -> None:
        match shown:
            case Entered():
                pass
            case Failed():
                self._fail(shown.error)
            case _:
                unicode = can_show_unicode(self._err)
                look = Look(adapter_signs(self._session.adapters, unicode=unicode), unicode=unicode)
                self._tell([plain(line).rstrip() for line in reports.report(shown, look)])

    async def open_reply(self, asked: Asked) -> ReplySink:
        return self

    def routed(self, routing: Routing) -> None:
        """As JSON the whole reply has its routing; plain text is the reply alone."""

    def token(self, token: Token) -> None:
        """A reply is written once it is whole."""

    def finished(self, answer: Answer) -> None:
        ready = self._session.engine.ready
        if self._json:
            document = reply_document(answer, ready.load_s if ready else 0.0)
            self._out.write(as_json(document, encoding=self._out.encoding) + "\n")
        else:
            self._out.write(visible(answer.text) + "\n")
        self._out.flush()
        if answer.dropped_turns:
            self._tell([left_out(answer.dropped_turns)])

    def failed(self, error: DlmError | None) -> None:
        if error is not None:
            self._fail(error)

    def run_event(self, event: Event) -> None:
        self._tell(chat_lines(event))

    def changed(self) -> None:
        """Nothing is on screen all the time."""

    def conversation_replaced(self) -> None:
        """What was said is in the output, and stays."""

    def document_changed(self) -> None:
        """Nothing of the document is on screen."""

    async def save_document(self) -> bool:
        return True

    @property
    def asks_again(self) -> bool:
        return False  # what reads the output expects a reply a prompt

    def document_text(self) -> str:
        return drafts.read(self._session.path).text

    async def choose(self, title: str, options: Sequence[Option]) -> int | None:
        raise UsageError("nobody can be asked here", "/teach LINE, or /teach ADAPTER: ANSWER")

    async def write(self, title: str, text: str) -> str | None:
        raise UsageError("nobody can be asked here", "/teach ADAPTER: ANSWER")

    async def take_edit(self, edit: Edit, other: Edit | None = None) -> bool:
        drafts.write_edit(edit)
        self._tell([edit.sentence, *edit.difference()])
        if other is not None:
            self._tell([f"/teach --turns or --alone makes it {other.sentence}"])
        return True

    async def edit_document(self) -> bool:
        raise UsageError("/edit needs a terminal", "edit the file with any program; /train trains it")

    def copy(self, text: str) -> None:
        raise UsageError("/copy needs a terminal", "the reply is on stdout; /save FILE keeps it")

    def leave(self) -> None:
        self._leaving = True

    def _fail(self, error: DlmError) -> None:
        self._failed = True
        self._tell([f"error: {error.message}", *([f"  hint: {error.hint}"] if error.hint else [])])

    def _tell(self, texts: Sequence[str]) -> None:
        for text in texts:
            self._err.write(visible(text) + "\n")
        self._err.flush()
