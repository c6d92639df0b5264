"""Without a live line: a dumb terminal, where the chat is plain text; and the lines of standard input."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from typing import TextIO

from dlm_core.errors import UsageError
from dlm_tui.repl.terminal import TerminalFront
from dlm_tui.repl.toolbar import standing, toolbar
from dlm_tui.session.dispatch import submit
from dlm_tui.session.reports import prompt_mark
from dlm_tui.session.session import Session
from dlm_tui.session.signs import can_show_unicode
from dlm_tui.session.text import Line, plain


class PlainFront(TerminalFront):
    """A terminal that only prints: no colours, no cursor."""

    echoes = False

    def __init__(self, session: Session, out: TextIO | None = None) -> None:
        super().__init__(session)
        self._out = out or sys.stdout
        self.unicode = can_show_unicode(self._out)
        self._in_reply = False
        self._asking = False
        self._lines = stdin_lines()
        self._leaving = asyncio.Event()
        self._state = ""

    @property
    def width(self) -> int:
        try:
            return os.get_terminal_size(self._out.fileno()).columns or 80
        except OSError:
            return 80

    def write_lines(self, lines: Sequence[Line]) -> None:
        self.end_reply()
        text = "".join(plain(line).rstrip() + "\n" for line in lines)
        # While a line is awaited, what is shown goes under its prompt, and the prompt is given again.
        self._write(f"\n{text}{prompt_mark(self.unicode)}" if self._asking else text)

    def say(self, text: str) -> None:
        if text:
            self._write(text)
            self._in_reply = not text.endswith("\n")

    def end_reply(self) -> None:
        if self._in_reply:
            self._write("\n")
            self._in_reply = False

    def changed(self) -> None:
        """There is no toolbar: a change of the engine's state is said once, the rest is left to /show."""
        engine = self.session.engine
        state = engine.state
        if state != self._state:
            self._state = state
            if state == "ready" and engine.ready is not None:
                self.write_lines([[("", f"{engine.ready.base} is ready")]])
            elif state == "loading":
                self.write_lines([[("", "loading the base; you may already type")]])

    def leave(self) -> None:
        self._leaving.set()

    def copy(self, text: str) -> None:
        raise UsageError("this terminal has no clipboard to send to", "/save FILE keeps the conversation")

    async def run_editor(self, command: Sequence[str]) -> int:
        process = await asyncio.create_subprocess_exec(*command)
        return await process.wait()

    async def run(self) -> None:
        """Take lines until the person leaves or the input ends."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupted)
        try:
            while not self._leaving.is_set():
                self._prompt()
                line = await self._next_line()
                if line is None:
                    return
                submit(self.session, line)
                await self.session.idle()
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    async def _next_line(self) -> str | None:
        """The next line; None at the end of the input, and once the person leaves."""
        reading = asyncio.ensure_future(anext(self._lines, None))
        leaving = asyncio.ensure_future(self._leaving.wait())
        self._asking = True
        try:
            await asyncio.wait((reading, leaving), return_when=asyncio.FIRST_COMPLETED)
            return reading.result() if reading.done() else None
        finally:
            self._asking = False
            reading.cancel()
            leaving.cancel()

    async def ask_line(self, text: str = "") -> str | None:
        # The line itself cannot be filled in here: `text` was shown as a reply, and is to be typed anew.
        self._write(prompt_mark(self.unicode))
        return (await self._next_line() or "").strip() or None

    async def settle(self) -> None:
        """Everything has been written already."""

    def _prompt(self) -> None:
        now = standing(self.session)
        if now.training:
            *_, training = toolbar(now, self.look.signs, self.width, unicode=self.unicode)
            self.write_lines([training])
        self._write(prompt_mark(self.unicode))

    def _interrupted(self) -> None:
        if not self.session.interrupt_reply() and not self.session.interrupt_run():
            self.write_lines([[("", "Ctrl-D leaves")]])

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


async def stdin_lines(descriptor: int = 0) -> AsyncIterator[str]:
    """The lines of standard input without their ends, undecodable bytes replaced.

    A thread reads the descriptor itself, and is left behind when the session ends while it waits.
    """
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[bytes | None] = asyncio.Queue()

    def hand_over(line: bytes | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(lines.put_nowait, line)

    def read() -> None:
        pending = b""
        try:
            while chunk := os.read(descriptor, 1 << 16):
                *whole, pending = (pending + chunk).split(b"\n")
                for line in whole:
                    hand_over(line)
        except OSError:
            pass  # the terminal is gone, which ends the input as well
        if pending:
            hand_over(pending)
        hand_over(None)

    threading.Thread(target=read, name="input lines", daemon=True).start()
    while (line := await lines.get()) is not None:
        yield line.decode("utf-8", "replace").rstrip("\r")
