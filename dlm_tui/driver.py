"""Textual's driver for terminals, made to take anything that a terminal may send."""

import contextlib
import os
import selectors
from codecs import getincrementaldecoder

from textual._parser import ParseError
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver

_CHUNK = 4096
_POLL_S = 0.1


class TolerantDriver(LinuxDriver):
    """LinuxDriver, whose decoder ends the app at a byte that is not UTF-8, and whose parser may raise.

    Bytes that are not UTF-8 arrive as U+FFFD. A sequence that the parser cannot read is dropped.
    """

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
                self.process_message(event)
            for event in parser.tick():
                self.process_message(event)
        except Exception:  # whatever it stumbled over, what follows is to be read
            return XTermParser(self._debug)
        return parser
