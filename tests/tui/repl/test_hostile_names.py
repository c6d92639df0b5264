"""What the chat in the terminal writes about a document that was named and written to steer it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tui.repl.terminal import CTRL_D, DOCUMENT, ROOT, Terminal, environment

HOSTILE = "\x1b]0;own\x07\x9b31m\u202eeman"
NAME = f"g{HOSTILE}.dlm"
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb]")
TEXT = DOCUMENT.replace("What is the limit?", f"What {HOSTILE} is it?")


@pytest.mark.slow
def test_nothing_that_others_wrote_steers_the_terminal(tmp_path: Path) -> None:
    with Terminal(tmp_path, name=NAME, document=TEXT, columns=120) as terminal:
        terminal.expect("fake-135m v0001")
        terminal.line("/show")
        terminal.expect("sections")
        terminal.line("/model")
        terminal.line("/save")
        terminal.line("/why")
        terminal.line("hi")
        terminal.expect("Turn 1")
        terminal.send(CTRL_D)
        terminal.wait_until(lambda: not terminal.process.isalive(), "the end")
        assert b"]0;own\x07" not in terminal.raw
        said = terminal.raw.decode("utf-8", "replace")
        assert not re.search("[\x80-\x9f\u2028-\u202e\u2066-\u2069]", said)


@pytest.mark.slow
def test_nor_without_a_terminal(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_text(TEXT, "utf-8")
    said = subprocess.run(
        [sys.executable, "-m", "tests.tui.repl.drive", str(path)],
        input="hi\n/nope\n/adapter nobody\n/load nowhere\n", env=environment(tmp_path, {}), cwd=ROOT,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert said.stdout and "nobody" in said.stderr
    assert not STEERING.search(said.stdout + said.stderr), said.stderr
    assert "Traceback" not in said.stderr
