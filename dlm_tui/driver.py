"""Textual's driver for terminals, made to take anything that a terminal may send."""

import asyncio
import contextlib
import os
import selectors
from codecs import getincrementaldecoder

from textual._parser import ParseError
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

_CHUNK = 4096
_POLL_S = 0.1
_AHEAD = 64
"""Events handed over before the app is waited for. Its message pumps drain their queues without a pause, so
whatever else the event loop has to do, a signal to end among it, comes after all that is queued."""
_ROUNDS = 6
"""Rounds of the event loop in which an event passes from app to screen to widget."""


class TolerantDriver(LinuxDriver):
    """LinuxDriver, whose decoder ends the app at a byte that is not UTF-8, and whose parser may raise.

    Bytes that are not UTF-8 arrive as U+FFFD. A sequence that the parser cannot read is dropped. No more is
    read than the app keeps up with: the rest waits in the terminal.
    """

    _handed = 0

    def run_input_thread(self) -> None:
        """Read the terminal until the app ends; as LinuxDriver does, but for what it dies of."""
        decode = getincrementaldecoder("utf-8")("replace").decode
        parser = XTermParser(self._debug)
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                text = ""
                if selector.select(_POLL_S):
                    data = os.read(self.fileno, _CHUNK)
                    text = decode(data)
                    if not data and self.exit_event.wait(_POLL_S):  # the terminal is gone; SIGHUP follows
                        break
                parser = self._feed(parser, text)
        with contextlib.suppress(EOFError, ParseError):
            for _ in parser.feed(""):
                pass

    def _feed(self, parser: XTermParser, text: str) -> XTermParser:
        """Hand what the parser makes of `text` to the app; the parser to go on with."""
        try:
            for event in parser.feed(text) if text else ():
                self._hand_over(event)
            for event in parser.tick():
                self._hand_over(event)
        except Exception:  # whatever it stumbled over, what follows is to be read
            return XTermParser(self._debug)
        return parser

    def _hand_over(self, event: Message) -> None:
        self.process_message(event)
        self._handed += 1
        if self._handed % _AHEAD == 0:
            taken = asyncio.run_coroutine_threadsafe(_rounds(), self._loop)
            while not self.exit_event.is_set():
                with contextlib.suppress(TimeoutError):
                    return taken.result(_POLL_S)
            taken.cancel()


async def _rounds() -> None:
    for _ in range(_ROUNDS):
        await asyncio.sleep(0)
