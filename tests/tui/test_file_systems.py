"""A file system that takes nothing, or no more: chat goes on, and what cannot be kept is said once."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.tui.browser.served import until
from tests.tui.repl.terminal import DOCUMENT, PROGRAMS, ROOT, environment

READ_ONLY = "mount -o remount,ro $PLACE"
FULL = "dd if=/dev/zero of=$PLACE/filler bs=4096 2>/dev/null || true"
SETUP = """
set -e
mount -t tmpfs -o size=4m tmpfs "$PLACE"
mkdir "$PLACE/home" "$PLACE/config"
cp "$DOCUMENT" "$PLACE/doc.dlm"
{then}
exec "$@" "$PLACE/doc.dlm"
"""

ALONE = """
set -e
mkdir "$PLACE/home" "$PLACE/config" "$PLACE/paper"
mount -t tmpfs -o size=4m tmpfs "$PLACE/{which}"
cp "$DOCUMENT" "$PLACE/paper/doc.dlm"
mount -o remount,ro "$PLACE/{which}"
exec "$@" "$PLACE/paper/doc.dlm"
"""


def can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    tried = ["unshare", "-m", "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
    return subprocess.run(tried, capture_output=True).returncode == 0


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_mount(), reason="no right to mount in a namespace of its own"),
]


@contextmanager
def running(program: str, folder: Path, setup: str, *arguments: str) -> Iterator[Any]:
    """The program in a terminal; what a shell does before, in a namespace of its own, is `setup`."""
    (folder / "place").mkdir()
    (folder / "doc.dlm").write_text(DOCUMENT, encoding="utf-8")
    place = folder / "place"
    env = environment(place / "home", {}, DLM_CONFIG_HOME=str(place / "config"), HOME=str(place / "home"))
    child = pexpect.spawn(
        "unshare",
        ["-m", "sh", "-c", setup, "sh", sys.executable, *PROGRAMS[program], *arguments],
        env={**env, "PLACE": str(place), "DOCUMENT": str(folder / "doc.dlm"), "TMPDIR": str(folder)},
        cwd=str(ROOT),
        dimensions=(36, 120),
        timeout=60,
    )
    child.delaybeforesend = None
    try:
        yield child
    finally:
        if child.isalive():
            child.kill(signal.SIGKILL)
        child.close()


@pytest.mark.parametrize("then", [READ_ONLY, FULL], ids=["read-only", "full"])
def test_the_repl_answers_where_nothing_can_be_kept(tmp_path: Path, then: str) -> None:
    with running("repl", tmp_path, SETUP.format(then=then)) as child:
        if then == READ_ONLY:
            child.expect(b"log cannot be kept")
        child.expect(b"fake-135m")
        child.send("what is the limit?\r")
        child.expect(b"g1|knowledge")
        child.send("\x04")
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 0
        assert b"Traceback" not in (child.before or b"")


@pytest.mark.parametrize("then", [READ_ONLY, FULL], ids=["read-only", "full"])
def test_the_workbench_answers_where_nothing_can_be_kept(tmp_path: Path, then: str) -> None:
    with running("workbench", tmp_path, SETUP.format(then=then)) as child:
        child.expect(b"fake-135m ready")
        child.send("\x1bc")  # the chat's line
        child.send("what is the limit?\r")
        child.expect(b"knowledge")
        child.send("\x1be")
        child.send("x")
        child.expect(b"unsaved")
        child.send("\x1b[12~")  # F2: saving fails with a sentence
        child.expect(b"cannot write|No space|read-only|full")
        child.kill(signal.SIGTERM)
        child.expect(rb"\x1b\[\?1049l")
        child.expect(pexpect.EOF)
        assert b"Traceback" not in (child.before or b"")


@pytest.mark.parametrize("which", ["home", "config", "paper"])
def test_the_workbench_answers_and_saves_where_one_place_alone_takes_nothing(
    tmp_path: Path, which: str
) -> None:
    """The store, the configuration, and the document's folder."""
    with running("workbench", tmp_path, ALONE.format(which=which)) as child:
        child.expect(b"fake-135m ready")
        child.send("\x1bc")
        child.send("what is the limit?\r")
        child.expect(b"knowledge")
        child.send("\x1be")
        child.send("x")
        child.expect(b"unsaved")
        child.send("\x1b[12~")  # F2
        if which == "paper":
            child.expect(b"cannot write")
        else:
            saved = tmp_path / "place" / "paper" / "doc.dlm"
            until(lambda: saved.read_text("utf-8") == "x" + DOCUMENT, "the save")
        child.kill(signal.SIGTERM)
        child.expect(rb"\x1b\[\?1049l")
        child.expect(pexpect.EOF)
        assert b"Traceback" not in (child.before or b"")


@pytest.mark.parametrize("which", ["home", "config", "paper"])
@pytest.mark.parametrize("command", [["check"], ["show"], ["versions"]])
def test_commands_read_where_one_place_alone_takes_nothing(
    tmp_path: Path, which: str, command: list[str]
) -> None:
    with running("dlm", tmp_path, ALONE.format(which=which), *command) as child:
        child.expect(pexpect.EOF)
        child.close()
        said = child.before or b""
        assert child.exitstatus == 0 and b"Traceback" not in said, said


@pytest.mark.parametrize("name", ["with blanks", "quote\"s 'and", "new\nline", os.fsdecode(b"caf\xe9")])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    path = folder / "doc.dlm"
    path.write_text(DOCUMENT, encoding="utf-8")
    env = environment(folder / "home", {}, DLM_CONFIG_HOME=str(folder / "config"))
    program = [sys.executable, *PROGRAMS["repl"], str(path)]
    done = subprocess.run(
        program, input=b"what is the limit?\n", capture_output=True, env=env, cwd=ROOT, timeout=120
    )
    assert done.returncode == 0 and done.stdout.strip(), done.stderr
    for command in (["check"], ["show"], ["show", "--json"], ["check", "--json"]):
        said = subprocess.run(
            [sys.executable, "-c", "from dlm_tui.cli import main; main()", *command, str(path)],
            capture_output=True,
            env=env,
            timeout=120,
        )
        assert said.returncode == 0 and b"unforeseen" not in said.stderr, said.stderr
    with contextlib.closing(
        pexpect.spawn(
            sys.executable, [*PROGRAMS["workbench"], str(path)], env=env, cwd=str(ROOT), dimensions=(36, 120)
        )
    ) as child:
        child.expect(b"fake-135m ready", timeout=60)
        child.kill(signal.SIGTERM)
        child.expect(rb"\x1b\[\?1049l", timeout=60)
