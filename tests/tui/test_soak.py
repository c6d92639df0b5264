"""Terminals send anything: random bytes, half characters, unknown sequences, huge pastes, mouse noise.

Nothing ends but by what ends by design, and the terminal is as it was afterwards.
"""

import contextlib
import os
import random
import signal
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.tui.repl.terminal import DOCUMENT, PROGRAMS, ROOT, SCRIPTED, environment

BY_DESIGN = bytes.maketrans(b"\x03\x04\x1a", b"\x00\x00\x00")  # Ctrl-C, Ctrl-D, Ctrl-Z
BYTES = int(os.environ.get("DLM_SOAK_BYTES", "20000"))
"""Random bytes sent to each program; a million takes hours."""


class Child:
    """A program in a pseudo-terminal whose output is read away all the time."""

    def __init__(self, program: str, folder: Path) -> None:
        path = folder / "doc.dlm"
        path.write_text(DOCUMENT, encoding="utf-8")
        self.process = pexpect.spawn(
            sys.executable,
            [*PROGRAMS[program], str(path)],
            env=environment(folder, {}, EDITOR="true", DLM_CONFIG_HOME=str(folder / "config")),
            cwd=str(ROOT),
            dimensions=(30, 100),
            echo=True,
        )
        self.process.delaybeforesend = None
        self.process.expect(b"ready|\xe2\x9d\xaf|\xe2\x80\xba|> ", timeout=90)
        self.output, self.written = b"", 0
        self.ended = threading.Event()
        threading.Thread(target=self._drain, daemon=True).start()

    def _drain(self) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(self.process.child_fd, 1 << 16):
                self.output = (self.output + data)[-200_000:]
                self.written += len(data)
        self.ended.set()

    def send(self, data: bytes) -> None:
        """Send all of it, as fast as it is taken."""
        while data:
            assert not self.ended.is_set(), self.output[-3000:].decode(errors="replace")
            data = data[os.write(self.process.child_fd, data[:1024]) :]

    def settle(self, seconds: float = 60) -> None:
        """Wait until it has been quiet for a moment, or for long enough: a cursor blinks."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            seen = self.written
            time.sleep(0.7)
            if self.written - seen <= 2000:
                break
        assert not self.ended.is_set(), self.output[-3000:].decode(errors="replace")

    def end(self, number: signal.Signals) -> None:
        """End it by a signal, and see that it ends."""
        self.process.kill(number)
        assert self.ended.wait(180), "it did not end"


@pytest.fixture(params=SCRIPTED)
def child(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Child]:
    child = Child(request.param, tmp_path)
    try:
        yield child
        child.end(signal.SIGTERM)
        modes = termios.tcgetattr(child.process.child_fd)[3]
        assert modes & termios.ICANON and modes & termios.ECHO, "the terminal is as it was"
        assert b"Traceback" not in child.output
        if request.param == "workbench":
            assert b"\x1b[?1049l" in child.output and b"\x1b[?25h" in child.output
    finally:
        if child.process.isalive():
            child.process.kill(signal.SIGKILL)
        child.process.close()


def noise(seed: int, count: int) -> Iterator[bytes]:
    """Random bytes in pieces, with resizes' worth of mouse reports and unfinished sequences between them."""
    chance = random.Random(seed)
    while count > 0:
        piece = chance.randbytes(min(count, chance.choice((1, 7, 64, 900))))
        count -= len(piece)
        yield piece.translate(BY_DESIGN)
        yield chance.choice(
            (
                b"",
                b"\x1b[",
                b"\x1b[<0;1",
                b"\x1b[<35;99999;-1M",
                b"\x1b[M\xff\xfe\xfd",
                b"\x1b]0;",
                b"\xf0\x9f",
                b"\x1b[200~",
            )
        )
        yield b"\x1b[201~"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_random_bytes_end_nothing(child: Child) -> None:
    for number, piece in enumerate(noise(7, BYTES)):
        child.send(piece)
        if number % 50 == 0:
            child.process.setwinsize(5 + number % 60, 20 + number % 170)
    child.send(b"\x1b[201~\x1b\x1b")
    child.settle()


@pytest.mark.slow
def test_half_a_character_and_bytes_of_another_encoding_end_nothing(child: Child) -> None:
    for piece in (
        b"\xe4",
        b"\xe2\x82",
        b"\xff\xfe",
        "Größe".encode("latin-1"),
        b"\x80" * 50,
        b"\xed\xa0\x80",
    ):
        child.send(piece)
    child.send(b"\r")
    child.settle()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_paste_of_ten_megabytes_ends_nothing(child: Child) -> None:
    child.send(b"\x1b[200~" + b"Ten megabytes, without end. " * 380_000 + b"\x1b[201~")
    child.settle(300)


@pytest.mark.slow
def test_unknown_sequences_mouse_noise_and_resizes_end_nothing(child: Child) -> None:
    chance = random.Random(3)
    for number in range(300):
        body = bytes(chance.choice(b"0123456789;:<=>?!\"#$%&'()*+,-./") for _ in range(chance.randrange(12)))
        child.send(b"\x1b[" + body + bytes([chance.randrange(0x40, 0x7F)]).replace(b"~", b"z"))
        child.send(
            b"\x1b[<%d;%d;%dM" % (chance.randrange(200), chance.randrange(10**9), chance.randrange(10**9))
        )
        if number % 20 == 0:
            child.process.setwinsize(chance.randrange(1, 90), chance.randrange(1, 250))
    child.settle()
