"""A program in a pseudo-terminal, and what a person would see on it (an emulator keeps the screen)."""

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import pexpect
import pyte

ROOT = Path(__file__).parents[3]
DOCUMENT = """---
dlm_id: 01HZX3V5J8K2M4N6P7Q8R9S0TA
base_model: smollm2-135m
training:
  adapters:
    knowledge: {}
    tone: {}
  gate: {enabled: true, cold_start_floor: 1}
---

::instruction#knowledge::
### Q
What is the limit?
### A
Four hundred.

::instruction#tone::
### Q
How do we greet?
### A
Warmly.
"""
SCRIPT = {"adapters": ["knowledge", "tone"], "topics": {"knowledge": ["what"], "tone": ["please"]}}
WORKBENCH = (
    "import sys; from pathlib import Path; from dlm_tui.app import run_app;"
    "sys.exit(run_app(Path(sys.argv[1]), engine='tests.fakes.engine:create_engine'))"
)
PROGRAMS = {
    "repl": ("-m", "tests.tui.repl.drive"),
    "workbench": ("-c", WORKBENCH),
    "dlm": ("-c", "from dlm_tui.cli import main; main()"),
}
"""What Python runs for each; the document comes after it."""
SCRIPTED = ("repl", "workbench")
"""Those on the fake engine."""
CTRL_C, CTRL_D, CTRL_G, ENTER, ALT_ENTER, UP, TAB = "\x03", "\x04", "\x07", "\r", "\x1b\r", "\x1b[A", "\t"


def environment(home: Path, script: Mapping[str, object], **more: str) -> dict[str, str]:
    """What the REPL's process gets: a home of its own, the script of its fake engine, no colours of ours."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TMUX", "EDITOR", "VISUAL")}
    return {
        **inherited,
        "DLM_HOME": str(home),
        "DLM_FAKE_ENGINE": json.dumps({**SCRIPT, **script}),
        "PYTHONPATH": str(ROOT),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        **more,
    }


class Terminal:
    """One of `PROGRAMS` at a size. Leaves no process behind."""

    def __init__(
        self,
        home: Path,
        *arguments: str,
        document: str = DOCUMENT,
        name: str = "doc.dlm",
        columns: int = 80,
        rows: int = 40,
        script: Mapping[str, object] | None = None,
        program: str = "repl",
        **variables: str,
    ) -> None:
        self.path = home / name
        if not self.path.exists():
            self.path.write_text(document, encoding="utf-8")
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.process = pexpect.spawn(
            sys.executable,
            [*PROGRAMS[program], str(self.path), *arguments],
            env=environment(home, script or {}, **variables),
            cwd=str(ROOT),
            dimensions=(rows, columns),
            echo=True,
        )
        self.process.delaybeforesend = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.isalive():
            self.process.kill(signal.SIGKILL)  # its engine sees the end of its input, and goes by itself
            self.process.wait()
        self.process.close()

    @property
    def shown(self) -> str:
        """The screen as text."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def send(self, keys: str) -> None:
        """Press keys."""
        self.process.send(keys)

    def line(self, text: str) -> None:
        """Type a line and send it off."""
        self.send(text + ENTER)

    def wait_until(self, reached: Callable[[], bool], what: str, timeout: float = 90) -> None:
        """Read what the program writes until the screen is as wanted."""
        deadline = time.monotonic() + timeout
        while not reached():
            left = deadline - time.monotonic()
            assert left > 0, f"{what} did not come; the screen:\n{self.shown}"
            try:
                self.read(left)
            except pexpect.EOF:
                assert reached(), f"{what} did not come before the end; the screen:\n{self.shown}"

    def read(self, timeout: float) -> None:
        """Take in what is written next."""
        try:
            data = self.process.read_nonblocking(1 << 16, timeout)
        except pexpect.TIMEOUT:
            return
        self.raw += data
        self._stream.feed(data)

    def expect(self, pattern: str, timeout: float = 90) -> str:
        """Wait until the screen matches a regular expression; returns the match."""
        compiled = re.compile(pattern, re.MULTILINE)
        self.wait_until(lambda: compiled.search(self.shown) is not None, f"/{pattern}/", timeout)
        found = compiled.search(self.shown)
        assert found is not None
        return found[0]

    def gone(self, pattern: str, timeout: float = 90) -> None:
        """Wait until nothing on the screen matches."""
        compiled = re.compile(pattern, re.MULTILINE)
        self.wait_until(lambda: compiled.search(self.shown) is None, f"the end of /{pattern}/", timeout)

    def ended(self, timeout: float = 90) -> int:
        """Wait for the end of the program; its exit code."""
        deadline = time.monotonic() + timeout
        try:
            while time.monotonic() < deadline:
                self.read(1)
        except pexpect.EOF:
            pass
        assert not self.process.isalive(), f"the program did not end; the screen:\n{self.shown}"
        return int(self.process.exitstatus if self.process.exitstatus is not None else -1)
